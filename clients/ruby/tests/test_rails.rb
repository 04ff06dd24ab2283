# frozen_string_literal: true

require_relative 'rails_app'
require_relative 'helper'

# A Rails app with `config.session_store :session_api`.
class TestRails < Minitest::Test
  # Visits pages and keeps the session's cookie.
  def visit(*steps, cookie: @cookie, options: {})
    env = { 'HTTP_X_OPTIONS' => options.to_json, 'CONTENT_TYPE' => 'application/json', :input => steps.to_json }
    env['HTTP_COOKIE'] = "_session_id=#{cookie}" if cookie
    response = Rack::MockRequest.new(RailsApp).post('/', env)
    @set = Array(response.headers['Set-Cookie']).join("\n")[/^_session_id=([^;]*)/, 1]
    @cookie = @set.empty? ? nil : @set if @set
    @status = response.status
    JSON.parse(response.body) if @status == 200
  end

  def test_symbol_names_the_store
    config = Rails::Application::Configuration.new(Pathname(__dir__))
    config.session_store(:session_api)
    assert_equal(ActionDispatch::Session::SessionApi, config.session_store)
  end

  def test_session_is_read_and_written
    visit(['set', 'a', 1])
    assert_equal({ 'a' => 1 }, visit['session'])
    assert_nil(@set)
    assert_equal({ 'a' => 2 }, visit(%w[increment a])['session'])
  end

  def test_login_gives_the_session_another_id
    [%w[regenerate], %w[destroy]].each do |step|
      visit(['set', 'a', 1])
      old = @cookie
      visit(step, %w[set user grace])
      refute_equal(old, @cookie)
      assert_equal('grace', visit['session']['user'])
      assert_empty(visit(cookie: old)['session'])
    end
  end

  def test_reset_session_deletes_the_cookie
    visit(['set', 'a', 1])
    old = @cookie
    visit(%w[destroy])
    assert_nil(@cookie)
    assert_empty(visit(cookie: old)['session'])
  end

  def test_flash_is_shown_once
    visit(%w[flash hello])
    assert_equal([['hello'], []], [visit(%w[flashed])['results'], visit(%w[flashed])['results']])
  end

  def test_parallel_updates_are_kept
    visit(['set', 'a', 1])
    pages = Array.new(4) do |number|
      steps = [%w[unset none], ['sleep', 200], ['set', number, 1]]
      Thread.new { Rack::MockRequest.new(RailsApp).post('/', page(steps)) }
    end
    pages.each { |thread| assert_equal(200, thread.value.status) }
    assert_equal(%w[0 1 2 3 a], visit['session'].keys.sort)
  end

  def page(steps)
    { 'HTTP_COOKIE' => "_session_id=#{@cookie}", 'CONTENT_TYPE' => 'application/json', input: steps.to_json }
  end

  def test_outage_is_an_error
    visit(['set', 'a', 1])
    visit(options: { url: 'http://127.0.0.1:1', retries: 0 })
    assert_equal(500, @status)
    assert_equal({ 'a' => 1 }, visit['session'])
  end

  def test_lock_is_released_by_a_page_that_fails
    visit(['set', 'a', 1])
    visit(%w[increment a], %w[fail], options: { lock: 0 })
    assert_equal(500, @status)
    assert_equal({ 'a' => 2 }, visit(%w[increment a], options: { lock: 0 })['session'])
  end

  def test_devices
    visit(['set', 'user', SecureRandom.hex])
    assert_equal(1, visit(%w[devices])['results'].first.size)
  end
end
