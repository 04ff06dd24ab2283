# frozen_string_literal: true

require 'action_dispatch/middleware/session/abstract_store'
require_relative '../session_api'

module ActionDispatch
  module Session
    # For `config.session_store :session_api, key: '_app_session', touch_after: 300`.
    class SessionApi < ::SessionApi::Store
      include Compatibility
      include StaleSessionCheck
      include SessionObject

      def generate_sid
        Rack::Session::SessionId.new(super)
      end

      private

      def set_cookie(request, _response, cookie)
        request.cookie_jar[key] = cookie
      end

      def delete_cookie(request, _response)
        request.cookie_jar.delete(key, @default_options.slice(:path, :domain))
      end
    end
  end
end
