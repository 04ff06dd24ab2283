# frozen_string_literal: true

require 'rack/session/abstract/id'
require_relative 'active_session'
require_relative 'client'

module SessionApi
  # Rack middleware: `use SessionApi::Store, key: 'session', touch_after: 300`. It takes the options in Options, and
  # those of Rack's own session middleware.
  #
  # Data is JSON: unlike Marshal, it can't run code when it's loaded, and other frameworks read it, too.
  class Store < Rack::Session::Abstract::PersistedSecure
    ACTIVE = 'session_api.active'
    # Options of Rack's and Rails's cookies, besides DEFAULT_OPTIONS.
    COOKIE = %i[same_site max_age expires partitioned assume_ssl skip drop tld_length].freeze
    private_constant :ACTIVE, :COOKIE

    # Returns a request's ActiveSession.
    def self.active(request)
      # Loads the session, unless the browser has none.
      request.session.to_hash
      request.get_header(ACTIVE) or raise ArgumentError, 'The session has no owner: nobody is logged in'
    end

    def initialize(app, options = {})
      own, cookie = options.partition { |name, _| Options::NAMES.include?(name) }.map(&:to_h)
      unknown = cookie.keys - DEFAULT_OPTIONS.keys - COOKIE
      if unknown.any?
        names = Options::NAMES.join(', ')
        raise ArgumentError, "Unknown option #{unknown.first}. Besides Rack's, the options are: #{names}."
      end

      @client = Client.new(Options.new(**own))
      super(app, cookie)
    end

    def context(env, app = @app)
      super
    ensure
      # For requests that didn't write: nothing changed, something failed, or the session was never committed.
      env[ACTIVE]&.release
    end

    # Rack calls these methods, and they work as it describes them.

    def find_session(req, sid)
      data = active(req).load(sid.public_id) if sid
      data ? [sid, data] : [generate_sid, {}]
    end

    def write_session(req, sid, data, options)
      active = active(req)
      return active.save(data, attributes(req, data, options)) && sid if active.id == sid.public_id

      if active.id
        changes = active.changes(data)
        return sid if active.move(sid.public_id, data, attributes(req, data, options))

        # The session has ended, and doesn't come back. A login begins a new one, with what this request put into it.
        data = changes
      end
      return false if data.empty? || active.absent_id == sid.public_id

      sid = generate_sid until active.create(sid.public_id, data, attributes(req, data, options))
      sid
    end

    def delete_session(req, _sid, options)
      # This also loads the session.
      is_empty = req.session.empty?
      # A renewed session moves to its new id when it's written.
      return generate_sid if options[:renew] && !options[:drop] && !is_empty

      active(req).destroy
      generate_sid unless options[:drop]
    end

    def commit_session(req, res)
      super
      # Rack's `drop` leaves the cookie alone.
      delete_cookie(req, res) if active(req).over? && !req.session_options[:drop]
    end

    private

    def active(req)
      req.get_header(ACTIVE) || req.set_header(ACTIVE, ActiveSession.new(@client))
    end

    # A visitor whose session is empty needs none.
    def commit_session?(req, session, options)
      super && !(active(req).id.nil? && session.empty?)
    end

    def delete_cookie(_req, res)
      res.delete_cookie(key, @default_options.slice(:path, :domain))
    end

    def attributes(req, data, options)
      label = @client.options.label ? @client.options.label.call(req) : req.user_agent
      ttl = (options[:expire_after] || @client.options.ttl).to_i
      Attributes.new(ttl:, user: @client.options.owner(data), label:)
    end
  end
end
