# frozen_string_literal: true

require 'minitest/autorun'
require 'rack'
require 'rack/mock'
require 'socket'
require_relative '../lib/session_api'

abort 'SESSION_API_URL is not set: run `make test-clients`' unless ENV['SESSION_API_URL']
Thread.report_on_exception = false

# Records calls, and loses the responses that a test tells it to lose.
class Seen < SessionApi::Connections
  # A call whose next response gets lost, such as `GET /session`, and one that can't be sent.
  attr_accessor :lost, :refused

  def drain
    calls = @calls || []
    @calls = []
    calls
  end

  def exchange(verb, uri, headers, body, timeout)
    # A function's URL may have a path, too.
    call = "#{verb} #{uri.path[%r{/sessions?(/.*|\z)}]}"
    (@calls ||= []) << call
    raise Failed.new('the test refuses this call', false) if call == refused

    response = super
    return response unless call == lost

    self.lost = nil
    raise Failed.new('the response was lost', false)
  end
end

# A server that passes each connection to a block.
def serve(&block)
  server = TCPServer.new('127.0.0.1', 0)
  accepting = Thread.new { loop { Thread.new(server.accept, &block) } }
  ["http://127.0.0.1:#{server.addr[1]}", -> { accepting.kill && server.close }]
end

def read_request(socket)
  lines = []
  while (line = socket.gets("\r\n")&.chomp)
    return lines if line.empty?

    lines << line
  end
  nil
end

NOT_FOUND = "HTTP/1.1 404 X\r\ncontent-type: application/problem+json\r\ncontent-length: 44\r\n\r\n" \
            '{"type":"urn:session-api:session-not-found"}'

# Returns the block's value, with these environment variables.
def with_environment(variables)
  before = ENV.to_h
  ENV.update(variables)
  yield
ensure
  ENV.replace(before)
end
