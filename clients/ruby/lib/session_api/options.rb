# frozen_string_literal: true

require_relative 'calls'

module SessionApi
  # The client's options. Times are in seconds. If one is invalid, `new` raises an ArgumentError naming it and its valid
  # values.
  class Options
    NAMES = %i[
      url function_urls region ttl touch_after lock lease max_sessions user label timeout retries credentials
    ].freeze
    URL = %r{\Ahttps?://[^\s/?#@]+(/[^\s?#]*)?\z}
    # Kind, minimum, and maximum of each number, and whether it may be nil.
    NUMBERS = {
      ttl: [Integer, 1, nil, false],
      touch_after: [Numeric, 0, nil, true],
      lock: [Integer, 0, 10, true],
      lease: [Integer, 1, 60, false],
      max_sessions: [Integer, 1, 100, true],
      timeout: [Numeric, 0.1, 60, false],
      retries: [Integer, 0, 10, false]
    }.freeze
    DEFAULTS = { ttl: 86_400, lease: 10, timeout: 5, retries: 2 }.freeze
    private_constant :URL, :NUMBERS, :DEFAULTS

    attr_reader(*NAMES)

    def initialize(**options)
      unknown = options.keys - NAMES
      raise ArgumentError, "Unknown option #{unknown.first}. The options are: #{NAMES.join(', ')}." if unknown.any?

      # An API that the app names gets no other API's functions from the environment.
      options = { function_urls: ENV.fetch('SESSION_API_FUNCTION_URLS', nil), **options } unless options.key?(:url)
      region = ENV.values_at('AWS_REGION', 'AWS_DEFAULT_REGION').find { |name| name && !name.empty? } || 'us-east-1'
      options = { url: ENV.fetch('SESSION_API_URL', ''), region:, **DEFAULTS, **options }
      options.each { |name, value| instance_variable_set("@#{name}", value) }
      check
      @function_urls = parse(@function_urls)
    end

    # Returns the URL that a call goes to: its function's, or the API's.
    def url_of(call)
      function_urls.fetch(call.function, url)
    end

    # Returns a session's owner, given its data; nil keeps the owner that it has.
    def owner(data)
      user = self.user&.call(data)
      user && Calls.owner(user)
    end

    private

    def check
      unless @url.to_s.match?(URL)
        raise ArgumentError,
              'Set the option url or the variable SESSION_API_URL to the URL of the session API, such as ' \
              "https://abc.execute-api.eu-central-1.amazonaws.com; it is #{@url.inspect}."
      end
      NUMBERS.each { |name, limits| check_number(name, *limits) }
      %i[user label credentials].each do |name|
        value = instance_variable_get("@#{name}")
        unless value.nil? || value.respond_to?(:call)
          raise ArgumentError, "The option #{name} must respond to call; it is #{value.inspect}."
        end
      end
      raise ArgumentError, 'The option max_sessions needs the option user.' if @max_sessions && @user.nil?
    end

    def check_number(name, kind, least, most, is_optional)
      value = instance_variable_get("@#{name}")
      return if value.nil? && is_optional
      return if value.is_a?(kind) && value >= least && (most.nil? || value <= most)

      limit = most ? "from #{least} to #{most}" : "#{least} or more"
      number = kind == Integer ? 'an integer' : 'a number'
      raise ArgumentError, "The option #{name} must be #{number}, #{limit}; it is #{value.inspect}."
    end

    def parse(text)
      return {} if text.nil? || text.empty?

      entries = text.split(',', -1).map { |entry| entry.split('=', 2) }
      unless entries.map(&:first).sort == %w[destroy read write] && entries.all? { |_, url| url.to_s.match?(URL) }
        raise ArgumentError,
              'Set the option function_urls or the variable SESSION_API_FUNCTION_URLS to the stack\'s output ' \
              "FunctionUrls, such as read=https://...,write=https://...,destroy=https://...; it is #{text.inspect}."
      end
      entries.to_h
    end
  end
end
