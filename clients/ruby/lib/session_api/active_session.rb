# frozen_string_literal: true

require 'json'
require_relative 'calls'

module SessionApi
  # The session of one request: what the API had when it was read, and how to write it back. All of its methods may
  # raise Unavailable.
  class ActiveSession
    # Seconds after which a write gives up merging with the changes of other requests.
    MERGING = 10
    # Lifetimes that the API has cut, by session id.
    @limited = {}
    @mutex = Mutex.new

    class << self
      # Returns the lifetime that a session gets if +asked+ is asked for.
      def lifetime(id, asked)
        [asked, @mutex.synchronize { @limited.fetch(id, asked) }].min
      end

      def slid(stored, asked)
        @mutex.synchronize do
          @limited.delete(stored.id)
          @limited[stored.id] = stored.ttl if stored.ttl < asked
          @limited.shift if @limited.size > 10_000
        end
      end
    end

    attr_reader :client
    # An id that has no session, as the API has said.
    attr_reader :absent_id

    def initialize(client)
      @client = client
      start(nil)
    end

    # Whether this request has ended the session.
    def over?
      @is_over && id.nil?
    end

    # Returns the session's id; nil if the API doesn't have it.
    def id
      @stored&.id
    end

    # Reads the session with this id, locking it if the options say so. Returns its data, or nil.
    def load(id)
      held = @stored&.lock if self.id == id
      start(nil)
      return unless Calls.id?(id) && id != absent_id

      start(client.options.lock.nil? || held ? read(id, held) : lock(id))
      @absent_id = id if @stored.nil?
      parse(@base) if @stored
    end

    # Creates the session with this id. Returns whether the id was free.
    def create(id, data, attributes)
      start(client.run(Calls.create(id, dump(data), attributes)))
      wrote(nil, attributes)
      !@stored.nil?
    end

    # Writes the data if it has changed, otherwise slides the expiry if it's time, and releases the lock.
    #
    # Returns whether the session was there: one that has ended doesn't come back.
    def save(data, attributes)
      id = self.id
      dumped = dump(data)
      is_same_user = attributes.user.nil? || attributes.user == @stored.user.to_s
      if is_same_user && [@base, dump(parse(@base))].include?(dumped)
        keep_alive(attributes.ttl)
      else
        write(dumped, attributes) { |stored, merged| Calls.replace(stored, merged, attributes) }
      end
      @absent_id = id if @stored.nil?
      !@stored.nil?
    end

    # Moves the session to another id, with new data. Returns whether it was there.
    def move(new_id, data, attributes)
      write(dump(data), attributes) { |stored, merged| Calls.rotate(stored, new_id, merged, attributes) }
      !@stored.nil?
    end

    # Returns what this data has added to the session as it was read, or changed.
    def changes(data)
      changed(parse(@base), data)
    end

    # Ends the session, if there is one.
    def destroy
      return if id.nil?

      @absent_id = id
      @is_over = true
      start(nil)
      client.run(Calls.destroy(@absent_id))
    end

    # Releases the lock unless a write already has. If that fails, the lock expires by itself.
    def release
      return unless @stored&.lock

      stored = @stored
      @stored = stored.with(lock: nil)
      client.run(Calls.release(stored))
    rescue Unavailable
      nil
    end

    private

    def start(stored)
      @stored = stored
      # The data the request last read or wrote. After a merge, the API has more than that.
      @base = stored&.data
    end

    def read(id, held)
      client.run(Calls.read(id))&.with(lock: held)
    end

    def lock(id)
      client.run(Calls.lock(id, client.options.lock, client.options.lease))
    end

    # Rack's sessions have no key for nil.
    def parse(json)
      JSON.parse(json).compact
    end

    def dump(data)
      check(data)
      JSON.generate(data)
    end

    # Without this, any object would be written as its `to_s`.
    def check(value)
      case value
      when Hash then value.each_value { |item| check(item) }
      when Array then value.each { |item| check(item) }
      when String, Symbol, Integer, Float, true, false, nil then value
      else raise TypeError, "Sessions are JSON, which has no #{value.class}"
      end
    end

    def keep_alive(ttl)
      lifetime = self.class.lifetime(id, ttl)
      touch_after = client.options.touch_after || (lifetime / 20.0)
      return release unless lifetime - @stored.ttl >= touch_after || @stored.ttl > lifetime

      @stored = client.run(Calls.touch(@stored, ttl))
      self.class.slid(@stored, ttl) if @stored
    rescue Locked
      # Taking the lock has already slid the expiry, whoever took it.
      @stored = @stored.with(lock: nil)
    end

    # Writes data, merged with what other requests have written since the session was read.
    def write(dumped, attributes)
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      pause = 0.025
      former = @stored.user
      begin
        @stored = client.run(yield(@stored, @stored.data == @base ? dumped : merge(dumped)))
      rescue Conflict => e
        @stored = e.current
        if Process.clock_gettime(Process::CLOCK_MONOTONIC) - started > MERGING
          raise Unavailable, 'Other requests kept changing the session'
        end

        sleep(rand(0..pause))
        pause = [2 * pause, 0.5].min
        retry
      end
      @base = dumped if @stored
      wrote(former, attributes)
    end

    # Three-way merge by top-level keys. Returns what the API has with this request's changes: the keys that differ from
    # what it read. If both changed a key, this request wins.
    def merge(dumped)
      base, mine, theirs = [@base, dumped, @stored.data].map { |json| JSON.parse(json) }
      dump(theirs.merge(changed(base, mine)).select { |key| mine.key?(key) || !base.key?(key) })
    end

    # Compares values as they're written, because 1 and 1.0 are equal in Ruby.
    def changed(base, mine)
      mine.reject { |key, value| base.key?(key) && JSON.generate(value) == JSON.generate(base[key]) }
    end

    def wrote(former, attributes)
      return if @stored.nil?

      self.class.slid(@stored, attributes.ttl)
      most = client.options.max_sessions
      user = attributes.user
      client.run(Calls.limit(user, most)) if most && !user.to_s.empty? && user != former
    rescue Unavailable => e
      # The login has succeeded, and the next one tries again.
      warn("session_api: a user's sessions could not be limited: #{e.message}")
    end
  end
end
