# frozen_string_literal: true

require 'net/http'
require 'timeout'
require_relative 'calls'
require_relative 'connections'
require_relative 'credentials'
require_relative 'options'
require_relative 'signer'

module SessionApi
  # Calls the session API: signs requests and retries them. Threads and forked processes can share one.
  class Client
    RETRIED = [429, 500, 502, 503, 504].freeze
    # Longest Retry-After to wait for, in seconds.
    MAX_RETRY_AFTER = 10
    LOCAL = %w[localhost 127.0.0.1 [::1]].freeze
    private_constant :RETRIED, :MAX_RETRY_AFTER, :LOCAL

    attr_reader :options

    def initialize(options, connections: Connections.new, sleep: Kernel.method(:sleep))
      @options = options
      @connections = connections
      @sleep = sleep
      @credentials = options.credentials || DefaultCredentials.new
      @signs_local = options.credentials || DefaultCredentials.variable('AWS_ACCESS_KEY_ID')
    end

    # Makes a call and returns its outcome. Raises Unavailable, and whatever the call's comment names.
    def run(call)
      attempt = retries = 0
      loop do
        pause = nil
        begin
          response = attempt(call, attempt.positive?)
          return outcome(call, response) if call.accept.intersect?([response.status, response.problem])

          failure = unexpected(call, response)
          raise failure unless RETRIED.include?(response.status)

          pause = retry_after(response)
        rescue Connections::Failed => e
          failure = unreachable(call, e)
          # The connection may have died long before the call, so this doesn't count as an attempt.
          retries = -1 if e.is_stale && attempt.zero?
        rescue NoCredentials => e
          failure = e
        end
        attempt += 1
        retries += 1
        raise failure if retries > options.retries

        # With jitter: 50 to 150 ms at first, then twice as long each time.
        @sleep.call(pause || (rand(0.05..0.15) * (2**(retries - 1)))) if retries.positive?
      end
    end

    # Returns the URI and the headers of a call, signed.
    def request(call)
      base = options.url_of(call)
      uri = URI(base.chomp('/') + call.path)
      # `make run` serves the API without an authorizer.
      return [uri, call.headers] if LOCAL.include?(uri.host) && !@signs_local

      signer = Signer.new(base == options.url ? 'execute-api' : 'lambda', options.region)
      [uri, signer.sign(call.verb, uri, call.headers, call.body.to_s, credentials, Time.now)]
    end

    private

    # There are no credentials to sign calls with.
    class NoCredentials < Unavailable; end
    private_constant :NoCredentials

    def attempt(call, is_to_retry)
      uri, headers = request(call)
      response = @connections.exchange(call.verb, uri, headers, call.body, (options.timeout + call.wait).to_f)
      names = response.to_hash.transform_values { |values| values.join(', ') }
      Response.new(status: response.code.to_i, headers: names, body: response.body.to_s, is_to_retry:)
    end

    def outcome(call, response)
      call.outcome.call(response)
    rescue KeyError, ArgumentError, TypeError, JSON::ParserError
      raise unexpected(call, response)
    end

    def unreachable(call, error)
      Unavailable.new("The session API at #{options.url_of(call)} cannot be reached: #{error.message}")
    end

    def unexpected(call, response)
      path = call.path.start_with?('/sessions/') ? '/sessions/{handle}' : call.path
      # Lambda itself says `Message`.
      reason = response.document.values_at('detail', 'message', 'Message').compact.first || 'no reason given'
      Unavailable.new("The session API refused #{call.verb} #{path} with status #{response.status}: #{reason}")
    end

    def retry_after(response)
      text = response.headers.fetch('retry-after', '')
      [text.to_i, MAX_RETRY_AFTER].min if text.match?(/\A[0-9]{1,9}\z/)
    end

    def credentials
      find_credentials or
        raise NoCredentials, 'There are no AWS credentials to sign calls of the session API with. Give the server a ' \
                             'role, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass the option credentials.'
    end

    def find_credentials
      @credentials.call
    rescue StandardError => e
      # An SDK, the file system or the option's function may raise anything.
      raise NoCredentials, "There are no AWS credentials to sign calls of the session API with: #{e.message}"
    end
  end
end
