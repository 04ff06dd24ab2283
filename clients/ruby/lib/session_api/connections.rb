# frozen_string_literal: true

require 'net/http'
require 'openssl'
require 'timeout'

module SessionApi
  # Sends requests over connections that stay open. A connection serves one request at a time, in any thread.
  class Connections
    # Seconds after which an idle connection is replaced: sooner than API Gateway closes it.
    KEEPALIVE = 60
    LOST = [SystemCallError, IOError, Net::HTTPBadResponse, Net::ProtocolError, OpenSSL::SSL::SSLError].freeze
    private_constant :KEEPALIVE, :LOST

    # No response arrived. +is_stale+ says that the connection may have died before the request.
    class Failed < StandardError
      attr_reader :is_stale

      def initialize(message, is_stale)
        super(message)
        @is_stale = is_stale
      end
    end

    def initialize
      @mutex = Mutex.new
      start
    end

    # Returns the response to a request. Raises Failed if it doesn't arrive within +timeout+ seconds.
    def exchange(verb, uri, headers, body, timeout)
      http = take(uri)
      is_stale = http.started?
      # Not Net::HTTP's own timeouts, which apply to each read and write.
      response = Timeout.timeout(timeout) do
        http.start unless is_stale
        http.request(message(verb, uri, headers, body))
      end
      keep(uri, http)
      http = nil
      response
    rescue Timeout::Error
      raise Failed.new('it did not respond in time', false)
    rescue *LOST, SocketError => e
      raise Failed.new(e.message, is_stale)
    ensure
      # The thread may also have been killed. If one connection is dead, so are the others, probably.
      discard(uri, http) if http
    end

    private

    def message(verb, uri, headers, body)
      # Net::HTTP would make up a type for an empty body.
      headers = { 'content-length' => '0', **headers } if body == ''
      has_body = !body.to_s.empty?
      request = Net::HTTPGenericRequest.new(verb, has_body, true, uri, headers)
      request.body = body if has_body
      request
    end

    def start
      @pid = Process.pid
      @idle = Hash.new { |idle, origin| idle[origin] = [] }
    end

    def take(uri)
      @mutex.synchronize do
        # Processes must not share connections. The parent's aren't closed, because that would end its TLS connections.
        start unless @pid == Process.pid
        @idle[uri.origin].pop
      end || connect(uri)
    end

    def connect(uri)
      http = Net::HTTP.new(uri.hostname, uri.port)
      http.use_ssl = uri.scheme == 'https'
      http.keep_alive_timeout = KEEPALIVE
      http.open_timeout = http.read_timeout = http.write_timeout = nil
      http.max_retries = 0
      http
    end

    def keep(uri, http)
      @mutex.synchronize { @idle[uri.origin].push(http) }
    end

    def discard(uri, http)
      connections = @mutex.synchronize { [http, *@idle.delete(uri.origin)] }
      connections.each do |connection|
        connection.finish if connection.started?
      rescue *LOST
        nil
      end
    end
  end
end
