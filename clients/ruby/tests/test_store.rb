# frozen_string_literal: true

require_relative 'helper'

# What the store guarantees to a Rack app.
class TestStore < Minitest::Test
  # A browser that visits a page. The page passes the session and its options to a block.
  class Browser
    attr_accessor :cookie
    # What the last page did: calls, cookies, and Rack's warnings.
    attr_reader :calls, :cookies, :warnings

    def initialize(app, seen, cookie = nil)
      @app = app
      @seen = seen
      @cookie = cookie
    end

    # Returns what the block returns.
    def visit(agent: 'Firefox', &page)
      @seen.drain
      env = { 'HTTP_USER_AGENT' => agent, 'page' => page }
      env['HTTP_COOKIE'] = "rack.session=#{cookie}" if cookie
      response = Rack::MockRequest.new(@app).get('/', env)
      @calls = @seen.drain
      @warnings = response.errors
      @cookies = Array(response.headers['Set-Cookie']).join("\n").lines
      @cookies.each { |line| self.cookie = line[/\Arack\.session=([^;]*)/, 1] }
      self.cookie = nil if cookie == ''
      response.body.empty? ? nil : JSON.parse(response.body)
    end

    def session = visit { |session, _| session.to_hash }

    def twin = self.class.new(@app, @seen, cookie)
  end

  def app(**options)
    @seen = Seen.new
    page = lambda do |env|
      result = env['page'].call(env['rack.session'], env['rack.session.options'], Rack::Request.new(env))
      [200, { 'content-type' => 'application/json' }, [result.to_json]]
    end
    store = SessionApi::Store.new(page, user: ->(session) { session['user'] }, **options)
    client = SessionApi::Client.new(store.instance_variable_get(:@client).options, connections: @seen)
    store.instance_variable_set(:@client, client)
    store
  end

  def browser(**options)
    store = app(**options)
    Browser.new(store, @seen)
  end

  def set(browser, key, value)
    browser.visit { |session| session[key] = value }
  end

  def test_calls
    browser = browser()
    browser.session
    assert_equal([[], nil], [browser.calls, browser.cookie])
    browser.visit { |session| session.delete('none') }
    assert_equal([[], nil, ''], [browser.calls, browser.cookie, browser.warnings])
    set(browser, 'a', 1)
    assert_equal(['PUT /session'], browser.calls)
    browser.visit { nil }
    assert_empty(browser.calls)
    assert_equal({ 'a' => 1 }, browser.session)
    assert_equal(['GET /session'], browser.calls)
    set(browser, 'a', 2)
    assert_equal(['GET /session', 'PUT /session'], browser.calls)
    browser.visit { |_, options| options[:renew] = true }
    assert_equal(['GET /session', 'POST /session/rotate'], browser.calls)
    browser.visit { |session| session.destroy && nil }
    assert_equal([['GET /session', 'DELETE /session'], nil], [browser.calls, browser.cookie])
  end

  def test_touch_when_due
    browser = browser(touch_after: 0)
    set(browser, 'a', 1)
    browser.session
    assert_equal(['GET /session', 'POST /session/touch'], browser.calls)
  end

  def test_expire_after_sets_the_lifetime_and_the_cookies
    browser = browser(expire_after: 60)
    set(browser, 'a', 1)
    stored = SessionApi::Client.new(SessionApi::Options.new).run(SessionApi::Calls.read(browser.cookie))
    assert_includes(50..60, stored.ttl)
    assert_match(/expires=/i, browser.cookies.first)
  end

  def test_old_id_ends_with_renew
    browser = browser()
    set(browser, 'a', 1)
    old = browser.twin
    browser.visit { |session, options| (options[:renew] = true) && session['b'] = 2 }
    refute_equal(old.cookie, browser.cookie)
    assert_equal({ 'a' => 1, 'b' => 2 }, browser.session)
    assert_empty(old.session)
  end

  def test_destroyed_session_may_begin_anew_under_another_id
    browser = browser()
    set(browser, 'a', 1)
    old = browser.twin
    browser.visit { |session| session.destroy && session['user'] = 'grace' }
    assert_equal(['GET /session', 'DELETE /session', 'PUT /session'], browser.calls)
    assert_equal({ 'user' => 'grace' }, browser.session)
    assert_empty(old.session)
  end

  def test_slow_request_does_not_undo_a_logout
    [{}, { renew: true }].each do |options|
      browser = browser()
      set(browser, 'a', 1)
      slow = browser.twin
      slow.visit do |session, own|
        session['a']
        browser.visit { |same| same.destroy && nil }
        own.update(options) if own.respond_to?(:update)
        session['b'] = 1 if options.empty?
      end
      assert_empty(slow.cookies)
      assert_empty(slow.session)
    end
  end

  def test_session_that_has_ended_stays_so_if_it_is_written_twice
    store = app
    browser = Browser.new(store, @seen)
    set(browser, 'a', 1)
    id = Rack::Session::SessionId.new(browser.cookie)
    browser.twin.visit do |session, options, request|
      session['a']
      browser.visit { |same| same.destroy && nil }
      2.times { refute(store.write_session(request, id, { 'a' => 2 }, options)) }
    end
  end

  def test_destroyed_session_has_ended_even_if_the_page_fails
    browser = browser()
    set(browser, 'a', 1)
    failing = lambda do |session, options|
      options[:renew] = true
      session.destroy
      raise 'as the test wants'
    end
    assert_raises(RuntimeError) { browser.twin.visit { |session, options| failing.call(session, options) } }
    assert_empty(browser.session)
  end

  def test_login_begins_a_session_even_if_the_old_one_has_ended
    browser = browser()
    set(browser, 'a', 1)
    slow = browser.twin
    slow.visit do |session, options|
      session['a']
      browser.visit { |same| same.destroy && nil }
      options[:renew] = true
      session['user'] = 'grace'
    end
    assert_equal({ 'user' => 'grace' }, slow.session)
  end

  def test_parallel_requests_keep_all_keys
    browser = browser()
    browser.visit { |session| session.update('gone' => 1, 'flag' => 1) && nil }
    browser.twin.visit do |session|
      session.delete('gone')
      session['flag'] = 1.0
      browser.twin.visit { |same| same['b'] = 2 }
    end
    assert_equal('{"flag":1.0,"b":2}', browser.session.to_json)
  end

  def test_lost_responses_are_retried_with_the_same_effect
    browser = browser()
    { 'PUT /session' => ->(session) { session['a'] = 2 }, 'DELETE /session' => ->(session) { session.destroy } }
      .each do |call, change|
        set(browser, 'a', 1)
        @seen.lost = call
        browser.visit { |session| change.call(session) && nil }
        assert_equal(2, browser.calls.count(call))
      end
    assert_empty(browser.session)
  end

  def test_outage_is_an_error_and_not_an_empty_session
    browser = browser(retries: 0)
    set(browser, 'a', 1)
    @seen.refused = 'GET /session'
    assert_raises(SessionApi::Unavailable) { browser.session }
    @seen.refused = nil
    assert_equal({ 'a' => 1 }, browser.session)
  end

  def test_lock
    browser = browser(lock: 0)
    set(browser, 'n', 1)
    browser.visit do |session|
      session['n'] += 1
      assert_raises(SessionApi::Locked) { browser.twin.session }
    end
    assert_equal({ 'n' => 2 }, browser.session)
    assert_equal(['POST /session/lock', 'DELETE /session/lock'], browser.calls)
  end

  def test_lock_is_released_by_a_request_that_fails
    browser = browser(lock: 0)
    set(browser, 'n', 1)
    [->(_) { raise 'as the test wants' }, ->(session) { session['broken'] = Object.new }].each do |page|
      assert_raises(StandardError) { browser.visit { |session| session['n'] && page.call(session) && nil } }
      assert_equal({ 'n' => 1 }, browser.session)
    end
    catch(:away) { browser.visit { |session| session['n'] && throw(:away) } }
    assert_equal({ 'n' => 1 }, browser.session)
  end

  def test_values_that_json_lacks_are_an_error
    error = assert_raises(TypeError) { browser.visit { |session| (session['at'] = Time.now) && nil } }
    assert_match(/Sessions are JSON, which has no Time/, error.message)
  end

  def test_text_from_other_frameworks_is_utf8
    id = SecureRandom.hex(16)
    client = SessionApi::Client.new(SessionApi::Options.new)
    client.run(SessionApi::Calls.create(id, '{"name":"Zoë","none":null}', SessionApi::Attributes.new(ttl: 86_400)))
    browser = browser()
    browser.cookie = id
    assert_equal({ 'name' => 'Zoë' }, browser.session)
    assert_equal(['GET /session'], browser.calls)
  end

  def test_user_lists_and_ends_devices
    phone = browser(touch_after: 60)
    laptop = phone.twin
    desktop = phone.twin
    user = "ada ü #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)}"
    { 'Phone' => phone, 'x' * 300 => laptop, 'Firefox' => desktop }.each do |agent, one|
      one.visit(agent:) { |session| session['user'] = user }
    end
    listed = phone.visit { |_, _, request| SessionApi.devices(request) }
    assert_equal([['Firefox', 'x' * 256, 'Phone'], [false, false, true]],
                 [listed.map { |one| one['label'] }, listed.map { |one| one['current'] }])
    handle = listed[1]['handle']
    found = phone.visit { |_, _, request| Array.new(2) { SessionApi.logout_device(request, handle) } }
    assert_equal([true, false], found)
    assert_equal(1, phone.visit { |_, _, request| SessionApi.logout_other_devices(request) })
    assert_empty(desktop.session)
    assert_equal(1, phone.visit { |_, _, request| SessionApi.logout_everywhere(request) })
    assert_empty(phone.session)
    assert_raises(ArgumentError) { phone.visit { |_, _, request| SessionApi.devices(request) } }
  end

  def test_login_ends_the_oldest_sessions_above_the_limit
    first = browser(max_sessions: 1)
    user = SecureRandom.hex
    set(first, 'user', user)
    sleep(0.01)
    second = first.twin.tap { |twin| twin.cookie = nil }
    set(second, 'user', user)
    assert_equal(['PUT /session', 'DELETE /sessions'], second.calls)
    assert_empty(first.session)
    @seen.refused = 'DELETE /sessions'
    assert_output('', /could not be limited/) { set(first, 'user', user) }
    assert_equal({ 'user' => user }, first.session)
  end

  def test_lifetime_that_the_api_cuts_does_not_slide_on_each_page
    browser = browser(ttl: 10 * 365 * 86_400)
    set(browser, 'a', 1)
    browser.session
    assert_equal(['GET /session'], browser.calls)
  end

  def test_unknown_option_is_an_error
    assert_match(/Unknown option touch\./, assert_raises(ArgumentError) { app(touch: 1) }.message)
  end
end
