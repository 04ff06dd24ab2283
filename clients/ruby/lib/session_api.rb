# frozen_string_literal: true

require_relative 'session_api/errors'
require_relative 'session_api/store'

# Keeps sessions of Rack and Rails apps in the session API.
module SessionApi
  class << self
    # Lists the logged-in user's sessions: hashes with +handle+, +label+, +created+, +used+, +expires+, +current+.
    def devices(request)
      active = Store.active(request)
      active.client.run(Calls.sessions(owner(request), active.id))
    end

    # Ends one of the user's sessions by its handle. Returns whether there was one.
    def logout_device(request, handle)
      Store.active(request).client.run(Calls.destroy_by_handle(owner(request), handle))
    end

    # Ends all of the user's sessions except this one. Returns how many it ended.
    def logout_other_devices(request)
      active = Store.active(request)
      active.client.run(Calls.destroy_all(owner(request), active.id))
    end

    # Ends all of the user's sessions, including this one. Returns how many it ended.
    def logout_everywhere(request)
      destroyed = Store.active(request).client.run(Calls.destroy_all(owner(request)))
      request.session.destroy
      destroyed
    end

    private

    def owner(request)
      owner = Store.active(request).client.options.owner(request.session.to_hash)
      raise ArgumentError, 'The session has no owner: nobody is logged in' if owner.nil? || owner.empty?

      owner
    end
  end
end

# For `config.session_store :session_api`.
ActionDispatch::Session.autoload :SessionApi, "#{__dir__}/session_api/rails" if defined?(ActionDispatch::Session)
