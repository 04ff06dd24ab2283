"""What only Flask has: sessions that are read on demand, contexts without a response, and its cookie."""

from datetime import timedelta

import flask
import pytest
import session_api.flask
from apps import FlaskApp
from flask.sessions import SecureCookieSessionInterface


@pytest.fixture
def app():
    app = FlaskApp(lock=0)
    app.wsgi.get("/static")(lambda: "body { color: red }")
    return app


def headers(browser):
    return {"cookie": f"session={browser.cookie}"}


def test_request_that_does_not_look_at_the_session_makes_no_calls(app):
    browser = app.browser()
    browser.visit(["set", "a", 1])
    app.seen.take()
    response = app.wsgi.test_client(use_cookies=False).get("/static", headers=headers(browser))
    assert response.data and app.seen.take() == []
    assert "Vary" not in response.headers and "Set-Cookie" not in response.headers


def test_session_is_a_mutable_mapping(app):
    browser = app.browser()
    browser.visit(["set", "a", 1])
    with app.wsgi.test_request_context(headers=headers(browser)):
        session = flask.session
        assert not session.new and session.sid == browser.cookie
        assert "a" in session and session.get("b", 2) == 2 and session == {"a": 1} == session.copy()
        assert not session.modified
        session.update(b=2)
        assert session.modified and session.pop("b") == 2 and len(session) == 1 and repr(session) == "{'a': 1}"
        session.permanent = True
        assert dict(session) == {"a": 1, "_permanent": True}
    with app.wsgi.test_request_context():
        assert flask.session.new and flask.session.sid is None


def test_session_moves_even_if_nothing_looks_at_it(app):
    app.wsgi.get("/regenerate", endpoint="regenerate")(lambda: app.sessions.regenerate(flask.session) or "")
    browser = app.browser()
    old = browser.visit(["set", "a", 1]).id
    client = app.wsgi.test_client(use_cookies=False)
    [cookie] = client.get("/regenerate", headers=headers(browser)).headers.getlist("set-cookie")
    assert cookie.startswith("session=") and old not in cookie
    assert browser.visit().session == {}


def test_lock_is_released_by_a_context_without_a_response(app):
    browser = app.browser()
    browser.visit(["set", "a", 1])
    with app.wsgi.test_request_context(headers=headers(browser)):
        assert flask.session["a"] == 1
    assert browser.visit(["set", "a", 2]).status == 200


def test_lock_is_released_if_an_after_request_function_fails(app):
    browser = app.browser()
    browser.visit(["set", "a", 1])
    functions = app.wsgi.after_request_funcs
    functions[None] = [lambda response: 1 / 0]
    assert browser.visit(["set", "a", 2]).status == 500
    functions.clear()
    assert browser.visit().session == {"a": 1}


def test_handler_of_unavailable_responds_if_the_session_cannot_be_read():
    app = FlaskApp(url="http://localhost:1", retries=0)
    app.wsgi.errorhandler(session_api.Unavailable)(lambda error: ("later", 503))
    assert app.browser(cookie="x" * 32).visit().status == 503


@pytest.mark.parametrize("lifetime", [timedelta(seconds=0.5), timedelta(seconds=90.5)])
def test_lifetimes_are_whole_seconds(app, lifetime):
    app.wsgi.permanent_session_lifetime = lifetime
    assert app.browser().visit(["set", "a", 1]).status == 200


@pytest.mark.parametrize("page", ["set", "clear"])
def test_cookie_has_the_same_attributes_as_flasks_own(app, page):
    app.wsgi.config.update(
        SECRET_KEY="x",
        SESSION_COOKIE_DOMAIN="localhost",
        SESSION_COOKIE_PATH="/a",
        SESSION_COOKIE_PARTITIONED=True,
        SESSION_COOKIE_SAMESITE="None",
        SESSION_COOKIE_SECURE=True,
    )

    def attributes(*steps, cookie=None):
        client = app.wsgi.test_client(use_cookies=False)
        headers = {"cookie": f"session={cookie}"} if cookie else {}
        [line] = client.post("/", json=steps, headers=headers).headers.getlist("set-cookie")
        value, *rest = line.split("; ")
        return value.removeprefix("session="), sorted(
            part.partition("=")[0] if "Expires" in part else part for part in rest
        )

    ours = app.wsgi.session_interface
    found = {}
    for interface in (ours, SecureCookieSessionInterface()):
        app.wsgi.session_interface = interface
        value, found[interface] = attributes(["set", "a", 1])
        if page == "clear":
            value, found[interface] = attributes(["clear"], cookie=value)
            assert value == ""
    assert len(set(map(str, found.values()))) == 1
    # Since Flask 3.1.
    assert ("Partitioned" in found[ours]) == hasattr(ours, "get_cookie_partitioned")
