# frozen_string_literal: true

require_relative 'helper'

# Plays tests/conformance/contract.json, which defines what all clients send and how they read responses.
class TestContract < Minitest::Test
  CONTRACT = JSON.parse(File.read("#{__dir__}/../../../tests/conformance/contract.json"))
  # Calls that this client doesn't have.
  MISSING = %w[exists destroy-unchanged rotate-locked].freeze
  FIELDS = %w[data etag ttl user lock].freeze

  # Answers with a case's response, after losing as many responses as it's told to.
  class Canned < SessionApi::Connections
    def initialize(response, lost)
      super()
      @response = response
      @lost = lost
    end

    def exchange(*)
      @lost -= 1
      raise Failed.new('lost', true) if @lost >= 0

      @response
    end
  end

  class << self
    def cases(kind)
      CONTRACT.fetch(kind).reject { |one| MISSING.include?(one['call']) }
    end

    def options(**options)
      SessionApi::Options.new(url: 'http://localhost', **options)
    end
  end

  def options(**options) = self.class.options(**options)

  def call(one)
    given = one['with']
    calls = SessionApi::Calls
    id, new_id, data, user, ttl, etag, owner, lock =
      given.values_at('id', 'new_id', 'data', 'user', 'ttl', 'etag', 'owner', 'lock')
    stored = SessionApi::Stored.new(id:, data: '{}', etag:, ttl: 60, user: owner, lock:)
    attributes = SessionApi::Attributes.new(ttl: ttl || 60, user:, label: given['label'])
    case one['call']
    when 'read' then calls.read(id)
    when 'lock' then calls.lock(id, given['wait'], given['lease'])
    when 'create' then calls.create(id, data, attributes)
    when 'replace' then calls.replace(stored, data, attributes)
    when 'rotate' then calls.rotate(stored, new_id, data, attributes)
    when 'touch' then calls.touch(stored, ttl)
    when 'release' then calls.release(stored)
    when 'destroy' then calls.destroy(id)
    when 'sessions' then calls.sessions(user, id)
    when 'destroy-all' then calls.destroy_all(user, id)
    when 'limit' then calls.limit(user, given['limit'])
    when 'destroy-by-handle' then calls.destroy_by_handle(user, given['handle'])
    else flunk(one['call'])
    end
  end

  CONTRACT['limits'].reject { |limit| limit['option'] == 'grace' }.each do |limit|
    define_method("test_limit_of_#{limit['option']}") do
      name, min, max = limit.values_at('option', 'min', 'max')
      [min, max].each { |value| options(user: :to_s.to_proc, name.to_sym => value) }
      [min - 1, max + 1].each do |value|
        error = assert_raises(ArgumentError) { options(user: :to_s.to_proc, name.to_sym => value) }
        assert_match(/#{name} must be .* from #{min} to #{max};/, error.message)
      end
    end
  end

  cases('requests').each do |one|
    define_method("test_request: #{one['name']}") do
      uri, headers = SessionApi::Client.new(options).request(call(one))
      assert_equal([one['method'], one['path'], one['body']], [call(one).verb, uri.path, call(one).body.to_s])
      assert_equal(one['headers'], headers.slice(*one['headers'].keys))
      assert_empty(headers.keys & one.fetch('absent', []))
      assert_empty(one.fetch('present', []) - headers.keys)
      if headers.key?('idempotency-key')
        assert_match(/\A[A-Za-z0-9_,-]{16,128}\z/, headers['idempotency-key'])
        refute_equal(headers['idempotency-key'], call(one).headers['idempotency-key'])
      end
    end

    CONTRACT['function_urls']['valid'].each_with_index do |value, number|
      define_method("test_url_#{number}: #{one['name']}") do
        function, = CONTRACT['functions'].find { |_, routes| routes.include?("#{one['method']} #{one['path']}") }
        urls = value.split(',').to_h { |entry| entry.split('=') }
        uri, = SessionApi::Client.new(options(function_urls: value, credentials: method(:key))).request(call(one))
        assert_equal(urls.fetch(function, 'http://localhost').chomp('/') + one['path'], uri.to_s)
      end
    end
  end

  def key
    SessionApi::Credentials.new('key', 'secret')
  end

  CONTRACT['function_urls']['invalid'].each do |value|
    define_method("test_invalid_function_urls: #{value}") do
      error = assert_raises(ArgumentError) { options(function_urls: value) }
      assert_match(/function_urls or the variable SESSION_API_FUNCTION_URLS .* output FunctionUrls/, error.message)
    end
  end

  CONTRACT['signed_for'].each do |one|
    define_method("test_signed_for: #{one['url']}") do
      urls = CONTRACT['functions'].keys.map { |name| "#{name}=#{one['url']}" }.join(',')
      where = one['is_of_function'] ? { function_urls: urls } : { url: one['url'] }
      client = SessionApi::Client.new(options(region: 'eu-west-3', credentials: method(:key), **where))
      _, headers = client.request(SessionApi::Calls.read('x' * 32))
      assert_includes(headers['authorization'], "/#{one['region']}/#{one['service']}/aws4_request")
    end
  end

  cases('responses').each do |one|
    define_method("test_response: #{one['name']}") do
      found = play(one)
      text = found.delete('text').to_s
      %w[status reason].each { |name| assert_includes(text, one['outcome'][name].to_s) }
      expected = one['outcome'].except('status', 'reason')
      assert_equal(expected, found.slice(*expected.keys))
    end
  end

  # Makes a case's call with the case's response to every attempt. Returns the outcome as in the contract.
  def play(one)
    response = Net::HTTPResponse::CODE_TO_OBJ.fetch(one['status'].to_s).new('1.1', one['status'].to_s, '')
    one['headers'].each { |name, value| response[name] = value }
    response.instance_variable_set(:@read, true)
    response.body = one['body']
    pauses = []
    connections = Canned.new(response, one['retry'] ? 1 : 0)
    client = SessionApi::Client.new(options(retries: 1), connections:, sleep: ->(seconds) { pauses << seconds })
    outcome_of(one['call'], client.run(call(one)))
  rescue SessionApi::Conflict => e
    { 'is' => 'changed', **fields(e.current) }
  rescue SessionApi::Locked
    { 'is' => 'locked' }
  rescue SessionApi::Unavailable => e
    back_off = CONTRACT['back_off']
    pause = pauses.last
    pause = nil if pause && pause >= back_off['min'] && pause <= back_off['max']
    { 'is' => pauses.empty? ? 'refused' : 'unavailable', 'retry_after' => pause, 'text' => e.message }
  end

  def outcome_of(call, value)
    case value
    when SessionApi::Stored
      is = { 'read' => 'session', 'lock' => 'session', 'touch' => 'done' }.fetch(call, 'written')
      { 'is' => is, **fields(value) }
    when nil then { 'is' => { 'create' => 'taken', 'release' => 'done', 'destroy' => 'done' }.fetch(call, 'absent') }
    when true, false then { 'is' => 'found', 'value' => value }
    when Integer then { 'is' => 'destroyed', 'count' => value }
    else { 'is' => 'list', 'sessions' => value }
    end
  end

  def fields(stored)
    FIELDS.to_h { |name| [name, stored[name]] }
  end
end
