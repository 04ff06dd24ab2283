"""What only Django has: asynchronous methods, the setting SESSION_SAVE_EVERY_REQUEST, and its own backend tests."""

import asyncio
import threading
import time

import django
import pytest
from apps import DjangoApp
from django.contrib.sessions.backends.base import UpdateError
from django.core.handlers.asgi import ASGIHandler
from django.test import SimpleTestCase, override_settings
from django.urls import path
from session_api.django import SessionStore, devices
from sessions_tests.tests import SessionTestsMixin

# Django 5.0 began to tell an app that a client has disconnected, and 5.1 added `aget` and its siblings.
since_5_1 = pytest.mark.skipif(django.VERSION < (5, 1), reason="Django 5.1 added it")


class DjangoSessionTests(SessionTestsMixin, SimpleTestCase):
    backend = SessionStore

    def setUp(self):
        self.app = DjangoApp(user=lambda session: session.get("_auth_user_id"))
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.app.stop()


@pytest.fixture
def app():
    app = DjangoApp()
    yield app
    app.stop()


@since_5_1
def test_asynchronous_methods_work(app):
    async def live():
        session = SessionStore()
        await session.aset("a", 1)
        await session.asave()
        assert app.seen.take() == ["PUT /session"]
        assert await session.aexists(session.session_key)
        again = SessionStore(session.session_key)
        assert await again.aget("a") == 1
        await again.aset("a", 2)
        await again.asave()
        await again.acycle_key()
        assert not await again.aexists(session.session_key)
        with pytest.raises(UpdateError):
            await session.aset("a", 3)
            await session.asave()
        await again.aflush()
        assert again.session_key is None
        created = SessionStore()
        await created.acreate()
        await created.adelete()
        assert not await created.aexists(created.session_key)

    asyncio.run(live())


def test_expiry_slides_if_every_request_saves(app):
    browser = app.browser()
    browser.visit(["set", "a", 1])
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        assert browser.visit().calls == ["GET /session"], "the expiry has just slid"
        app.stop()
        eager = DjangoApp(touch_after=0)
        browser = eager.browser(cookie=browser.cookie)
        assert browser.visit().calls == ["GET /session", "POST /session/touch"]


def test_session_whose_key_is_cycled_after_a_logout_begins_anew(app):
    session = SessionStore()
    session["a"] = 1
    session.save()
    slow = SessionStore(session.session_key)
    slow.load()
    session.delete()
    slow.cycle_key()
    slow["user"] = "ada"
    slow.save()
    assert dict(SessionStore(slow.session_key).items()) == {"user": "ada"}


def test_devices_need_an_owner(app):
    class Request:
        session = SessionStore()

    with pytest.raises(ValueError, match="nobody is logged in"):
        devices(Request())


def test_store_without_the_middleware_takes_no_lock():
    app = DjangoApp(lock=0)
    browser = app.browser()
    browser.visit(["set", "a", 1])
    assert SessionStore(browser.cookie)["a"] == 1
    assert browser.visit(["set", "a", 2]).calls == ["POST /session/lock", "PUT /session"]
    app.stop()


def test_reloaded_session_keeps_its_lock():
    app = DjangoApp(lock=0)
    browser = app.browser()
    browser.visit(["set", "a", 1])
    session = SessionStore(browser.cookie)
    session.locks = True
    assert session["a"] == session.load()["a"] == 1
    session["a"] = 2
    session.save()
    assert browser.visit().session == {"a": 2}
    app.stop()


def test_lifetime_of_less_than_a_second_does_not_end_the_session(app):
    session = SessionStore()
    session["a"] = 1
    session.set_expiry(0.5)
    session.save()
    assert SessionStore(session.session_key)["a"] == 1


@since_5_1
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_lock_is_released_if_the_client_disconnects(kind):
    app = DjangoApp(lock=0, lease=60)
    browser = app.browser()
    browser.visit(["set", "a", 1])
    is_locked = threading.Event()

    async def async_view(request):
        await request.session.aget("a")
        is_locked.set()
        await asyncio.Event().wait()

    def sync_view(request):
        assert request.session["a"] == 1
        is_locked.set()
        time.sleep(0.5)

    messages = [lambda: {"type": "http.request"}, lambda: is_locked.wait() and {"type": "http.disconnect"}]

    async def receive():
        return await asyncio.to_thread(messages.pop(0))

    async def send(message):
        raise AssertionError(message)

    headers = [(b"cookie", f"sessionid={browser.cookie}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    with override_settings(ROOT_URLCONF=(path("", async_view if kind == "async" else sync_view),)):
        asyncio.run(ASGIHandler()(scope, receive, send))
    assert browser.visit(["set", "a", 2]).status == 200
    app.stop()
