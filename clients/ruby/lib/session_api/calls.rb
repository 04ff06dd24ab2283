# frozen_string_literal: true

require 'erb'
require 'json'
require 'securerandom'
require 'uri'
require_relative 'errors'

module SessionApi
  # A session as the API has it. +ttl+ is in seconds, and +lock+ the token of its lock if this client holds it.
  Stored = Struct.new(:id, :data, :etag, :ttl, :user, :lock, keyword_init: true) do
    def with(**changes) = self.class.new(**to_h, **changes)
  end

  # What a write sets besides the data. nil keeps the current value, and an empty text removes it.
  Attributes = Struct.new(:ttl, :user, :label, keyword_init: true)

  # A response. Header names are in lowercase. +is_to_retry+ says that an earlier attempt may have taken effect.
  Response = Struct.new(:status, :headers, :body, :is_to_retry, keyword_init: true) do
    # Returns the JSON object in the body, or an empty one if there is none.
    def document
      document = JSON.parse(body)
      document.is_a?(Hash) ? document : {}
    rescue JSON::ParserError, EncodingError
      {}
    end

    # Returns the API's problem code, such as `session-not-found`. Session data that looks like a problem doesn't count.
    def problem
      media_type = headers.fetch('content-type', '').split(';').first.to_s.strip.downcase
      document['type'].to_s.delete_prefix('urn:session-api:') if media_type == 'application/problem+json'
    end
  end

  # A call and what its response means. +accept+ has the statuses and problem codes that aren't failures. +outcome+
  # makes the result from an accepted response; KeyError, ArgumentError, TypeError and JSON::ParserError mean that it
  # isn't the API's. +wait+ is how many extra seconds the API may take to respond.
  Call = Struct.new(:verb, :path, :headers, :accept, :body, :wait, :outcome, keyword_init: true) do
    # Returns the function whose URL can serve the call, or nil if only the API serves it.
    def function
      return if path.start_with?('/sessions')
      return 'read' if verb == 'GET'

      [verb, path] == ['DELETE', '/session'] ? 'destroy' : 'write'
    end
  end

  # The session API's calls: what each sends, which responses it accepts, and what they mean.
  #
  # A retry never takes effect twice: it carries the same `Idempotency-Key`, or the call is idempotent by nature.
  module Calls
    # Longest label, percent-encoded.
    MAX_LABEL = 256
    REFUSALS = ['session-not-found', 'session-locked', 412].freeze
    private_constant :REFUSALS

    class << self
      # Whether the API accepts this id. Any other cookie counts as no session.
      def id?(text)
        text.is_a?(String) && text.match?(/\A[A-Za-z0-9_,-]{22,128}\z/)
      end

      # Returns an owner's name as text. The app may also use integers.
      def owner(user)
        return user.to_s if user.is_a?(String) || user.is_a?(Integer)

        raise TypeError, "The owner of a session must be text or an integer, not #{user.inspect}."
      end

      # Reads a session. The outcome is nil if there is none.
      def read(id)
        call('GET', '/session', { 'session-id' => id }, [200, 'session-not-found']) { |response| stored(id, response) }
      end

      # Locks a session and reads it. This also slides its expiry. The outcome is nil if there is none.
      def lock(id, wait, lease)
        headers = {
          'session-id' => id, 'session-lease' => lease.to_s, 'session-wait' => wait.to_s, 'idempotency-key' => key
        }
        accept = [200, 'session-not-found', 'session-locked']
        call('POST', '/session/lock', headers, accept, body: '', wait:) do |response|
          raise Locked, "Another request held the session's lock for #{wait} s" if response.problem == 'session-locked'

          stored(id, response)&.with(lock: response.headers.fetch('session-lock'))
        end
      end

      # Creates a session with this id. The outcome is nil if the id is taken.
      def create(id, data, attributes)
        headers = { 'session-id' => id, 'if-none-match' => '*', 'idempotency-key' => key, **set(attributes) }
        call('PUT', '/session', headers, [201, 'session-exists'], body: data) do |response|
          written(id, data, response, attributes, attributes.user) if response.status == 201
        end
      end

      # Replaces the data of a session that was read, and releases its lock if this client holds it.
      #
      # The outcome is nil if the session has ended. Raises Conflict if another request has changed the session since it
      # was read, and Locked if another request holds the lock, or this one has lost it.
      def replace(stored, data, attributes)
        headers = {
          'session-id' => stored.id, 'if-match' => stored.etag, 'prefer' => 'return=representation',
          'idempotency-key' => key, **unlock(stored), **set(attributes).except('session-label')
        }
        call('PUT', '/session', headers, [204, *REFUSALS], body: data) do |response|
          replaced(stored, stored.id, data, attributes, response)
        end
      end

      # Like +replace+, but also moves the session to a new id. The old id stops working.
      def rotate(stored, new_id, data, attributes)
        headers = {
          'session-id' => stored.id, 'session-new-id' => new_id, 'if-match' => stored.etag,
          'prefer' => 'return=representation', **unlock(stored), **set(attributes)
        }
        call('POST', '/session/rotate', headers, [200, *REFUSALS], body: data) do |response|
          replaced(stored, new_id, data, attributes, response)
        end
      end

      # Slides a session's expiry, and releases its lock if this client holds it.
      #
      # The outcome is nil if the session has ended. Raises Locked if this client has lost the lock.
      def touch(stored, ttl)
        headers = {
          'session-id' => stored.id, 'session-ttl' => ttl.to_s, 'idempotency-key' => key, **unlock(stored)
        }
        accept = [204, 'session-not-found', 'session-locked', 'not-lock-holder']
        call('POST', '/session/touch', headers, accept, body: '') do |response|
          refuse_lock(response)
          stored.with(ttl: ttl_of(response, ttl), lock: nil) unless response.status == 404
        end
      end

      # Releases a session's lock.
      def release(stored)
        headers = { 'session-id' => stored.id, **unlock(stored) }
        call('DELETE', '/session/lock', headers, [204, 'session-not-found', 'not-lock-holder'])
      end

      # Ends a session.
      def destroy(id)
        call('DELETE', '/session', { 'session-id' => id }, [204, 'session-not-found'])
      end

      # Lists a user's sessions, newest first. The one with this id is marked as current.
      def sessions(user, id = nil)
        call('GET', '/sessions', of_user(user, id), [200]) do |response|
          JSON.parse(response.body).map { |entry| entry.merge('label' => decode(entry.fetch('label'))) }
        end
      end

      # Ends a user's oldest sessions if they have more than this many. The outcome is how many it ended.
      def limit(user, most)
        headers = { **of_user(user), 'session-limit' => most.to_s }
        call('DELETE', '/sessions', headers, [200]) { |response| JSON.parse(response.body).fetch('destroyed') }
      end

      # Ends all of a user's sessions except the one with this id. The outcome is how many it ended.
      def destroy_all(user, except_id = nil)
        call('DELETE', '/sessions', of_user(user, except_id), [200]) do |response|
          JSON.parse(response.body).fetch('destroyed')
        end
      end

      # Ends one of a user's sessions by its handle. The outcome is whether there was one.
      #
      # If a retry doesn't find it, an earlier attempt whose response was lost has ended it.
      def destroy_by_handle(user, handle)
        call('DELETE', "/sessions/#{encode(handle)}", of_user(user), [204, 'session-not-found']) do |response|
          response.status == 204 || response.is_to_retry
        end
      end

      private

      def call(verb, path, headers, accept, body: nil, wait: 0, &outcome)
        Call.new(verb:, path:, headers:, accept:, body:, wait:, outcome: outcome || proc {})
      end

      # Returns a fresh key for a request and its retries.
      def key
        SecureRandom.hex(16)
      end

      # Returns the session in a response.
      def stored(id, response)
        return if response.status == 404

        headers = response.headers
        ttl = Integer(headers.fetch('session-ttl'), 10)
        Stored.new(id:, data: response.body, etag: headers.fetch('etag'), ttl:, user: decode(headers['session-user']))
      end

      # Returns the lifetime that a write has set, which the API may have cut.
      def ttl_of(response, asked)
        Integer(response.headers.fetch('session-ttl', asked.to_s), 10)
      end

      def replaced(stored, id, data, attributes, response)
        refuse_lock(response)
        return if response.status == 404
        raise ArgumentError, response.problem if response.status == 412 && response.problem
        raise Conflict, stored(stored.id, response).with(lock: stored.lock) if response.status == 412

        written(id, data, response, attributes, attributes.user || stored.user)
      end

      def refuse_lock(response)
        case response.problem
        when 'session-locked'
          raise Locked, 'Another request holds the lock, so the session was not written'
        when 'not-lock-holder'
          raise Locked, 'The lock has expired, so the session was not written'
        end
      end

      # Returns the session as a write left it.
      def written(id, data, response, attributes, user)
        user = nil if user == ''
        Stored.new(id:, data:, etag: response.headers.fetch('etag'), ttl: ttl_of(response, attributes.ttl), user:)
      end

      def set(attributes)
        headers = { 'session-ttl' => attributes.ttl.to_s, 'content-type' => 'application/json' }
        # `""` removes an owner or a label. Not just an empty header, because gateways may drop those.
        headers['session-user'] = quoted(encode(attributes.user)) if attributes.user
        headers['session-label'] = quoted(shorten(attributes.label)) if attributes.label
        headers
      end

      def quoted(text)
        text.empty? ? '""' : text
      end

      def unlock(stored)
        stored.lock ? { 'session-unlock' => stored.lock } : {}
      end

      def of_user(user, id = nil)
        { 'session-user' => encode(owner(user)), **(id ? { 'session-id' => id } : {}) }
      end

      # Percent-encodes a name the way all clients do (RFC 3986).
      def encode(text)
        ERB::Util.url_encode(text)
      end

      # Decodes an owner or a label. If another program didn't encode it, it's returned as is.
      def decode(text)
        decoded = text&.gsub(/%\h\h/) { |byte| byte[1..].hex.chr }&.force_encoding(Encoding::UTF_8)
        decoded.nil? || decoded.valid_encoding? ? decoded : text
      end

      # Percent-encodes as much of a label as fits.
      def shorten(label)
        encoded = +''
        # Rack's headers are binary, and anything that isn't UTF-8 couldn't be listed as JSON.
        label.to_s.dup.force_encoding(Encoding::UTF_8).scrub[0, MAX_LABEL].each_char do |character|
          following = encode(character)
          break if encoded.size + following.size > MAX_LABEL

          encoded << following
        end
        encoded
      end
    end
  end
end
