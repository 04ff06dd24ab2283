"""What only Django has: asynchronous methods, the setting SESSION_SAVE_EVERY_REQUEST, and its own tests of backends."""

import asyncio

import pytest
from apps import DjangoApp
from django.contrib.sessions.backends.base import UpdateError
from django.test import SimpleTestCase, override_settings
from session_api.django import SessionStore, devices
from sessions_tests.tests import SessionTestsMixin


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


def test_asynchronous_methods_do_not_block(app):
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
        assert browser.visit().calls == ["GET /session"], "it has just slid"
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
