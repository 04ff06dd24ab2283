# frozen_string_literal: true

require 'tempfile'
require_relative 'helper'

# How calls are sent: options, signatures, credentials, and connections.
class TestClient < Minitest::Test
  READ = SessionApi::Calls.read('x' * 32)
  # No credentials from this machine.
  NONE = { 'AWS_ACCESS_KEY_ID' => nil, 'AWS_SECRET_ACCESS_KEY' => nil, 'AWS_SESSION_TOKEN' => nil }.freeze

  def teardown
    @stop&.call
  end

  def serve_with(&block)
    url, @stop = serve(&block)
    url
  end

  # Answers each request with this text. Returns the URL and the requests.
  def answers(text)
    requests = Queue.new
    url = serve_with do |socket|
      while (request = read_request(socket))
        requests << request
        socket.write(text)
      end
    end
    [url, requests]
  end

  def client(**options)
    SessionApi::Client.new(SessionApi::Options.new(**options))
  end

  # The signatures are the ones that botocore 1.43 computes for the same requests.
  {
    nil => '5955ff810b84b35d9061ef47b04a1050fd313f547cbf04c9518fe1c930133267',
    'token==' => '5f55367627eae2c37163f57a58ecf8e7aae83c05a4cc8f3fcbe1a6418ad9c984'
  }.each do |token, signature|
    define_method("test_signature_matches_the_sdks_with_token_#{token.inspect}") do
      headers = {
        'session-id' => 'a' * 43, 'session-user' => '', 'session-label' => 'Firefox  on%20Linux',
        'content-type' => 'application/octet-stream'
      }
      uri = URI('https://abc.execute-api.eu-central-1.amazonaws.com/stage/sessions/a%2Cb-_.~')
      credentials = SessionApi::Credentials.new('AKIDEXAMPLE', 'secret', token)
      signed = SessionApi::Signer.new('execute-api', 'eu-west-3')
                                 .sign('DELETE', uri, headers, "body\xff", credentials, Time.utc(2026, 11, 25, 10))
      assert_equal(signature, signed['authorization'][/Signature=(.*)/, 1])
      assert_equal([token].compact, signed.values_at('x-amz-security-token').compact)
    end
  end

  def test_secrets_are_not_printed
    credentials = SessionApi::Credentials.new('id', 'secret', 'secret token')
    refute_match(/secret/, "#{credentials.inspect} #{credentials}")
  end

  {
    { url: "http://localhost:9000\r" } => 'url', { url: 'http://user:password@localhost' } => 'url',
    { url: 'localhost:9000' } => 'url', { lock: 2.5 } => 'lock', { lease: nil } => 'lease',
    { max_sessions: 5 } => 'max_sessions', { retries: 1.5 } => 'retries', { timeout: Float::NAN } => 'timeout',
    { user: 'ada' } => 'user', { ttl: 0 } => 'ttl', { touch: 1 } => 'touch'
  }.each do |options, name|
    define_method("test_invalid_option_is_named: #{options}") do
      error = assert_raises(ArgumentError) { SessionApi::Options.new(**options) }
      assert_match(/ption #{name}\b/, error.message)
    end
  end

  def test_credentials_come_from_the_container_with_its_token
    requests = nil
    Tempfile.create do |file|
      file.write("the token\n")
      file.flush
      expiration = (Time.now + 3600).iso8601
      url, requests = answers(json(AccessKeyId: 'id', SecretAccessKey: 'secret', Token: 't', Expiration: expiration))
      with_environment(NONE.merge('AWS_CONTAINER_CREDENTIALS_FULL_URI' => "#{url}/container",
                                  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE' => file.path)) do
        found = SessionApi::DefaultCredentials.new
        assert_equal(%w[id secret t], found.call.first(3))
        assert_same(found.call, found.call)
      end
    end
    assert_equal(1, requests.size)
    assert_includes(requests.pop.map(&:downcase), 'authorization: the token')
  end

  def test_credentials_come_from_the_instance_and_are_fetched_again_before_they_expire
    documents = { 'PUT /latest/api/token' => 'token', 'GET /latest/meta-data/iam/security-credentials/' => 'role' }
    requests = Queue.new
    url = serve_with do |socket|
      while (request = read_request(socket))
        requests << request
        document = { AccessKeyId: 'id', SecretAccessKey: 'secret', Expiration: (Time.now + 200).iso8601 }.to_json
        body = documents.fetch(request.first.delete_suffix(' HTTP/1.1'), document)
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: #{body.size}\r\n\r\n#{body}")
      end
    end
    with_environment(NONE.merge('AWS_EC2_METADATA_SERVICE_ENDPOINT' => url)) do
      found = SessionApi::DefaultCredentials.new
      refute_same(found.call, found.call)
    end
    assert_includes(Array.new(3) { requests.pop }.last.map(&:downcase), 'x-aws-ec2-metadata-token: token')
  end

  def test_missing_credentials_are_an_error_that_says_so
    with_environment(NONE.merge('AWS_EC2_METADATA_DISABLED' => 'true')) do
      error = assert_raises(SessionApi::Unavailable) { client(url: 'https://api.example', retries: 0).run(READ) }
      assert_match(/no AWS credentials/, error.message)
    end
  end

  def test_timeout_covers_the_whole_attempt
    url = serve_with do |socket|
      read_request(socket)
      NOT_FOUND.each_char { |character| sleep(0.2) && socket.write(character) }
    end
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    error = assert_raises(SessionApi::Unavailable) { client(url:, retries: 0, timeout: 0.5).run(READ) }
    assert_match(/did not respond in time/, error.message)
    # The whole response would take about 25 s.
    assert_operator(Process.clock_gettime(Process::CLOCK_MONOTONIC) - started, :<, 10)
  end

  # A server that keeps connections for one request, and then resets or closes them.
  def test_dead_connections_are_replaced
    [true, false].each do |is_reset|
      connections = Queue.new
      url, stop = serve do |socket|
        connections << socket
        socket.write(NOT_FOUND) if read_request(socket)
        socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack('ii')) if is_reset
        read_request(socket) if is_reset
        socket.close
      end
      made = client(url:, retries: 0)
      2.times { assert_nil(made.run(READ)) }
      assert_equal(2, connections.size)
      stop.call
    end
  end

  def test_threads_have_connections_of_their_own_and_keep_them
    connections = Queue.new
    url = serve_with do |socket|
      connections << socket
      sleep(0.2) && socket.write(NOT_FOUND) while read_request(socket)
    end
    made = client(url:, retries: 0)
    2.times { Array.new(4) { Thread.new { made.run(READ) } }.each(&:join) }
    assert_equal(4, connections.size)
  end

  def test_processes_do_not_share_connections
    connections = Queue.new
    url = serve_with do |socket|
      connections << socket
      socket.write(NOT_FOUND) while read_request(socket)
    end
    made = client(url:, retries: 0)
    made.run(READ)
    child = fork do
      made.run(READ)
      exit!(0)
    end
    Process.wait(child)
    made.run(READ)
    assert_equal(2, connections.size)
  end

  def test_killed_thread_gives_back_no_connection_that_waits_for_a_response
    served = Queue.new
    of_another = "HTTP/1.1 200 OK\r\netag: \"a\"\r\nsession-ttl: 60\r\ncontent-length: 2\r\n\r\n{}"
    url = serve_with do |socket|
      while read_request(socket)
        served << true
        sleep(0.5) if served.size == 1
        socket.write(served.size == 1 ? of_another : NOT_FOUND)
      end
    end
    made = client(url:, retries: 0)
    thread = Thread.new { made.run(READ) }
    sleep(0.01) while served.empty?
    thread.kill.join
    assert_nil(made.run(READ))
  end

  def test_local_calls_are_unsigned
    with_environment(NONE) do
      url, requests = answers(NOT_FOUND)
      client(url:).run(READ)
      refute(requests.pop.any? { |line| line.downcase.start_with?('authorization:') })
    end
  end

  def json(fields)
    body = fields.to_json
    "HTTP/1.1 200 OK\r\ncontent-length: #{body.size}\r\n\r\n#{body}"
  end
end
