# frozen_string_literal: true

ENV['RAILS_ENV'] = 'production'
# Rails 6.1 expects this of the concurrent-ruby that it was written for.
require 'logger'
require 'action_controller/railtie'
require_relative '../lib/session_api'

# A Rails app whose page does the steps in the request's body and shows the session after them.
class RailsApp < Rails::Application
  # Takes the session store's options from each request.
  class Stores
    def initialize(app, _options)
      @app = app
      @stores = {}
      @mutex = Mutex.new
    end

    def call(env)
      text = env['HTTP_X_OPTIONS'] || '{}'
      options = JSON.parse(text, symbolize_names: true).merge(user: ->(session) { session['user'] })
      @mutex.synchronize { @stores[text] ||= ActionDispatch::Session::SessionApi.new(@app, **options) }.call(env)
    end
  end

  config.load_defaults 6.1
  config.action_controller.default_protect_from_forgery = false
  config.session_store Stores
  config.eager_load = false
  config.secret_key_base = 'of the tests'
  config.logger = Logger.new(nil)
  config.hosts.clear
  config.consider_all_requests_local = false
end

RailsApp.initialize!

# Does the steps.
class PagesController < ActionController::Base
  def show
    results = JSON.parse(request.body.read).map { |step, *parameters| perform(step, *parameters) }
    render json: { session: session.to_hash.except('session_id'), results: results.compact }
  end

  private

  # The scenes in tests/conformance send three values for each step.
  def perform(step, first = nil, second = nil)
    case step
    when 'set' then session[first] = second
    when 'unset' then session.delete(first)
    when 'increment' then session[first] = (session[first] || 0) + 1
    when 'nest' then session['nested'][first] = second
    when 'sleep' then sleep(first / 1000.0)
    when 'regenerate' then request.session_options[:renew] = true
    when 'destroy' then reset_session
    when 'flash' then flash[:notice] = first
    when 'flashed' then return flash[:notice]
    when 'fail' then raise 'as the test wants'
    when 'devices', 'logout_other_devices', 'logout_everywhere' then return SessionApi.public_send(step, request)
    when 'logout_device' then return SessionApi.logout_device(request, first)
    else raise ArgumentError, step
    end
    nil
  end
end

RailsApp.routes.draw { post '/', to: 'pages#show' }
