"""Django sessions: set `SESSION_ENGINE = "session_api.django"`. Options go in the setting `SESSION_API`."""

import asyncio
import functools
import json
import math
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions import middleware
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.signals import setting_changed
from django.core.signing import JSONSerializer
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import get_random_string

from . import calls
from .active import ActiveSession
from .calls import Attributes, Device, Steps
from .client import Client
from .merge import Data
from .options import Options


@functools.cache
def client() -> Client:
    """Returns this process's client."""
    options = {"user": lambda session: session.get("_auth_user_id")} | getattr(settings, "SESSION_API", {})
    return Client(Options.read(**options))


@receiver(setting_changed)
def _read_options_again(setting: str, **_: Any) -> None:
    if setting == "SESSION_API":
        client.cache_clear()


class SessionStore(SessionBase):
    """A session in the session API. Its asynchronous methods are natively asynchronous."""

    # Name shown in the device list.
    label: str | None = None
    # Whether loading the session locks it. The middleware sets this, because it's what releases the lock.
    locks = False

    def __init__(self, session_key: str | None = None):
        super().__init__(session_key)
        serializer = self.serializer()
        # Django reads JSON as Latin-1, but other frameworks write it as UTF-8.
        loads = json.loads if type(serializer) is JSONSerializer else serializer.loads
        self._active = ActiveSession(client().options, serializer.dumps, loads)

    @classmethod
    def clear_expired(cls) -> None:
        """Does nothing: the table deletes expired sessions by itself."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """Does nothing: the table deletes expired sessions by itself."""

    def load(self) -> Data:
        return client().run(self._load())

    async def aload(self) -> Data:
        return await client().arun(self._load())

    def _load(self) -> Steps[Data]:
        data = yield from self._active.load(self.session_key, self.locks)
        if data is None:
            self._session_key = None
        return data or {}

    def exists(self, session_key: str) -> bool:
        return calls.is_id(session_key) and client().send(calls.exists(session_key))

    async def aexists(self, session_key: str) -> bool:
        return calls.is_id(session_key) and await client().asend(calls.exists(session_key))

    def create(self) -> None:
        client().run(self._create())

    async def acreate(self) -> None:
        await client().arun(self._create())

    def _create(self) -> Steps[None]:
        while True:
            # Don't look whether the key is free: nobody else will have drawn it.
            self._session_key = get_random_string(32)
            try:
                yield from self._save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        client().run(self._loaded(must_create))
        client().run(self._save(must_create))

    async def asave(self, must_create: bool = False) -> None:
        await client().arun(self._loaded(must_create))
        await client().arun(self._save(must_create))

    def _loaded(self, must_create: bool) -> Steps[None]:
        """Loads the session unless it's new or already loaded."""
        if not hasattr(self, "_session_cache"):
            is_new = self.session_key is None or must_create
            self._session_cache = {} if is_new else (yield from self._load())

    def _save(self, must_create: bool) -> Steps[None]:
        if self.session_key is None:
            yield from self._create()
            return
        data = self._get_session(no_load=True)  # type: ignore[attr-defined]
        attributes = self._attributes(data)
        if attributes.ttl <= 0:
            yield from self._delete(self.session_key)
        elif must_create:
            if not (yield from self._active.create(self.session_key, data, attributes)):
                raise CreateError
        else:
            if not (yield from self._active.save(data, attributes)):
                raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        client().run(self._delete(session_key or self.session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        await client().arun(self._delete(session_key or self.session_key))

    def _delete(self, session_key: str | None) -> Steps[None]:
        if self._active.id == session_key:
            yield from self._active.destroy()
        elif calls.is_id(session_key):
            yield calls.destroy(session_key)

    def cycle_key(self) -> None:
        client().run(self._cycle_key())

    async def acycle_key(self) -> None:
        await client().arun(self._cycle_key())

    def _cycle_key(self) -> Steps[None]:
        yield from self._loaded(must_create=False)
        data = self._get_session(no_load=True)  # type: ignore[attr-defined]
        if self._active.stored is None:
            yield from self._create()
            return
        key = get_random_string(32)
        if (yield from self._active.move(key, data, self._attributes(data))):
            self._session_key = key
        else:
            # The session has ended since it was read. It doesn't come back under another key: a new one begins.
            self._session_key = None
            self._session_cache = {}
        self.modified = True

    def release(self) -> None:
        """Releases the lock unless a write already has."""
        client().run(self._active.release())

    async def arelease(self) -> None:
        """Releases the lock unless a write already has."""
        await client().arun(self._active.release())

    def _attributes(self, data: Data) -> Attributes:
        # The data is loaded, so take the expiry from there.
        ttl = math.ceil(self.get_expiry_age(expiry=data.get("_session_expiry")))
        return Attributes(ttl, client().options.owner(data), self.label)


class SessionMiddleware(middleware.SessionMiddleware):
    """Replaces Django's middleware: labels sessions with the browser's `User-Agent`, and releases locks."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        def release() -> None:
            if hasattr(request, "session"):
                _session(request).release()

        try:
            return await super().__acall__(request)
        except asyncio.CancelledError:
            # The client has disconnected. A synchronous view is still running, in the thread that this waits for.
            await sync_to_async(release)()
            raise

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        label = client().options.label or (lambda request: request.headers.get("User-Agent"))
        session = _session(request)
        session.label = label(request)
        session.locks = True

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        try:
            return super().process_response(request, response)
        finally:
            # For requests that didn't write: nothing changed, something failed, or the values can't be serialized.
            _session(request).release()


def devices(request: HttpRequest) -> list[Device]:
    """Lists the logged-in user's sessions: `handle`, `label`, `created`, `used`, `expires`, `current`."""
    return client().send(calls.sessions(_owner(request), request.session.session_key))


def logout_device(request: HttpRequest, handle: str) -> bool:
    """Ends one of the user's sessions by its handle. Returns whether there was one."""
    return client().send(calls.destroy_by_handle(_owner(request), handle))


def logout_other_devices(request: HttpRequest) -> int:
    """Ends all of the user's sessions except this one. Returns how many it ended."""
    return client().send(calls.destroy_all(_owner(request), request.session.session_key))


def logout_everywhere(request: HttpRequest) -> int:
    """Ends all of the user's sessions, including this one. Returns how many it ended."""
    destroyed = client().send(calls.destroy_all(_owner(request)))
    request.session.flush()
    return destroyed


def _session(request: HttpRequest) -> SessionStore:
    return cast(SessionStore, request.session)


def _owner(request: HttpRequest) -> str:
    owner = client().options.owner(request.session)
    if not owner:
        raise ValueError("The session has no owner: nobody is logged in")
    return owner
