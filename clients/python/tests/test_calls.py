"""How many API calls each kind of request makes."""

import secrets

import pytest
from session_api import calls
from session_api.calls import Attributes
from session_api.client import Client
from session_api.options import Options


def test_empty_new_session_makes_no_calls(start):
    page = start().browser().visit()
    assert page.calls == []
    assert page.id is None


def test_new_session_is_created_in_one_call(start):
    assert start().browser().visit(["set", "a", 1]).calls == ["PUT /session"]


def test_unchanged_session_takes_one_call(start):
    browser = start().browser()
    browser.visit(["set", "a", {"b": [1, "ü"]}])
    page = browser.visit()
    assert (page.session, page.calls) == ({"a": {"b": [1, "ü"]}}, ["GET /session"])


def test_changed_session_takes_two_calls(start):
    browser = start().browser()
    browser.visit(["set", "nested", {"b": 1}])
    for step in (["set", "a", True], ["nest", "b", 2], ["unset", "a"]):
        assert browser.visit(step).calls == ["GET /session", "PUT /session"], step
    assert browser.visit().session == {"nested": {"b": 2}}


def test_expiry_slides_once_touch_after_has_passed(start):
    if start.framework == "django":
        pytest.skip("Django slides the expiry with SESSION_SAVE_EVERY_REQUEST: see test_django")
    browser = start(touch_after=0).browser()
    browser.visit(["set", "a", 1])
    assert browser.visit().calls == ["GET /session", "POST /session/touch"]


@pytest.mark.parametrize(("used", "calls_made"), [(30, 1), (180, 2)])
def test_expiry_slides_after_a_twentieth_of_the_lifetime(start, save_every_request, used, calls_made):
    browser = start(ttl=3600).browser(cookie=secrets.token_urlsafe(24))
    Client(Options.read()).send(calls.create(browser.cookie, b'{"a":1}', Attributes(3600 - used)))
    assert browser.visit().calls == ["GET /session", "POST /session/touch"][:calls_made]


def test_locked_session_takes_two_calls(start):
    browser = start(lock=1).browser()
    browser.visit(["set", "a", 1])
    assert browser.visit(["set", "a", 2]).calls == ["POST /session/lock", "PUT /session"]
    assert browser.visit().calls == ["POST /session/lock", "DELETE /session/lock"]


def test_new_id_ends_the_old_one(start):
    app = start()
    browser = app.browser()
    old = browser.visit(["set", "a", 1]).id
    page = browser.visit(["regenerate"], ["set", "b", 2])
    # Django expects the old key to be gone immediately, so it moves the session before the request's last change.
    more = ["PUT /session"] if start.framework == "django" else []
    assert page.calls == ["GET /session", "POST /session/rotate", *more]
    assert page.id != old
    assert browser.visit().session == {"a": 1, "b": 2}
    assert app.browser(cookie=old).visit().session == {}


def test_emptied_session_is_destroyed(start):
    app = start()
    browser = app.browser()
    old = browser.visit(["set", "a", 1]).id
    page = browser.visit(["clear"])
    # Django flushes a session without reading it.
    assert page.calls[-1] == "DELETE /session" and len(page.calls) <= 2
    assert page.id is None, "the cookie is removed"
    assert app.browser(cookie=old).visit().session == {}


def test_cookie_that_is_not_a_valid_id_makes_no_calls(start):
    app = start()
    for cookie in ("short", "x" * 129, "x" * 30 + "/../"):
        assert app.browser(cookie=cookie).visit(["unset", "a"]).calls == []


def test_unknown_ids_are_replaced(start):
    unknown = "x" * 32
    page = start().browser(cookie=unknown).visit(["set", "a", 1])
    assert page.calls == ["GET /session", "PUT /session"]
    assert page.id not in (None, unknown)
