# frozen_string_literal: true

# Usage: rails.rb STORE ADDRESS, with the store's URL in STORE_URL
ENV['RAILS_ENV'] = 'production'
# Rails 6.1 expects this of the concurrent-ruby that it was written for.
require 'logger'
require 'action_controller/railtie'
require 'rack/handler/puma'

# A Rails app with the session store to compare.
class RailsApp < Rails::Application
  config.load_defaults 6.1
  config.action_controller.default_protect_from_forgery = false
  config.eager_load = false
  config.secret_key_base = 'of the tests'
  config.logger = Logger.new($stderr)
  config.log_level = :error
  config.hosts.clear
  config.consider_all_requests_local = false

  def self.dynamodb_store(**options)
    require ENV.fetch('AWS_SDK_RAILS')
    require 'action_dispatch/session/dynamodb_store'
    client = Aws::DynamoDB::Client.new(endpoint: ENV.fetch('STORE_URL'))
    config.session_store :dynamodb_store, table_name: 'rails', dynamo_db_client: client, **options
  end

  # Each store is set up as its documentation shows.
  case ARGV.first
  when 'redis_store'
    require 'redis-actionpack'
    config.session_store :redis_store, servers: ["#{ENV.fetch('STORE_URL')}/0/session"], expire_after: 5400
  when 'cache_store'
    config.cache_store = :redis_cache_store, { url: ENV.fetch('STORE_URL') }
    config.session_store :cache_store
  when 'dynamodb_store' then dynamodb_store
  when 'dynamodb_store-locking' then dynamodb_store(enable_locking: true)
  end
end

RailsApp.initialize!

# Performs the steps in the request's body, then shows the session.
class PagesController < ActionController::Base
  def show
    JSON.parse(request.body.read).each { |step, *parameters| perform(step, *parameters) }
    render json: { session: session.to_hash.except('session_id') }
  end

  private

  def perform(step, first, second)
    case step
    when 'set' then session[first] = second
    when 'unset' then session.delete(first)
    when 'sleep' then sleep(first / 1000.0)
    when 'regenerate' then request.session_options[:renew] = true
    when 'destroy' then reset_session
    # Like a worker that runs out of memory.
    when 'die' then Process.kill(:KILL, Process.pid)
    end
  end
end

RailsApp.routes.draw { post '/', to: 'pages#show' }

host, port = ARGV.last.split(':')
# More than one worker, since a request may kill its own.
Rack::Handler::Puma.run(RailsApp, Host: host, Port: port, Silent: true, workers: 2, Threads: '4:4')
