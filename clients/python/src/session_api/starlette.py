"""Starlette and FastAPI sessions: `app.add_middleware(SessionMiddleware)`, then use `request.session`."""

import json
import logging
import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from starlette.datastructures import MutableHeaders
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import calls
from .active import ActiveSession
from .calls import Attributes, Device, Steps
from .client import Client
from .errors import Unavailable
from .merge import Data
from .options import Options

try:
    from starlette.middleware.sessions import Session as _Session
except ImportError:
    # Before version 1, sessions are plain dictionaries, which don't know whether the app has looked at them.
    _Session = dict  # type: ignore

# Default lifetime of a session in seconds, same as in Starlette's own middleware.
DEFAULT_MAX_AGE = 14 * 24 * 60 * 60


class Session(_Session):
    """A session's data."""

    # Whether the app has cleared the session. That ends it, unless the app has put something into it since.
    is_cleared = False

    def clear(self) -> None:
        super().clear()
        self.is_cleared = True


class SessionMiddleware:
    """Keeps sessions in the session API. It accepts the same cookie attributes as Starlette's own middleware, and the
    options in `Options`. The session lifetime is `max_age`, or 14 days if that's None.

    A request with a cookie reads its session before the app runs, because `request.session` can't wait for the API.
    Paths that begin with one of `exclude`, for example static files, have no session and make no call.

    In a WebSocket, a session is read-only: changes aren't written.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        session_cookie: str = "session",
        max_age: float | None = DEFAULT_MAX_AGE,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
        exclude: str | Iterable[str] = (),
        client: Client | None = None,
        **options: Any,
    ):
        if max_age is not None and max_age < 1:
            raise ValueError("max_age must be 1 second or more, or None for a cookie that ends with the browser")
        self.app = app
        self.client = client or Client(Options.read(**options))
        self._cookie = session_cookie
        self._ttl = DEFAULT_MAX_AGE if max_age is None else math.ceil(max_age)
        self._path = path
        self._exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self._max_age = "" if max_age is None else f"Max-Age={self._ttl}; "
        flags = ["httponly", f"samesite={same_site}"]
        flags += ["secure"] * https_only + [f"domain={domain}"] * (domain is not None) + ["partitioned"] * partitioned
        self._flags = "; ".join(flags)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outer = scope.get("session_api")
        # In a mounted app, the outer middleware has already read the session if both use the same cookie.
        is_served = outer is not None and outer.cookie == self._cookie
        if is_served or scope["type"] not in ("http", "websocket") or scope["path"].startswith(self._exclude):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve(scope, receive, send)
        else:
            # The app's exception handlers only see errors inside the app, so call them from here.
            handlers = {Unavailable: _respond}
            for kind, handler in getattr(scope.get("app"), "exception_handlers", {}).items():
                if isinstance(kind, type) and issubclass(kind, Unavailable):
                    handlers[kind] = handler
            await ExceptionMiddleware(self._serve, handlers)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        active = ActiveSession(self.client.options, _dumps, _loads)
        state = scope["session_api"] = State(self.client, active, self._cookie)
        outage: Unavailable | None = None

        async def send_with_cookie(message: Message) -> None:
            nonlocal outage
            if message["type"] == "http.response.start":
                try:
                    cookie = await self.client.arun(self._finish(connection, session, state))
                except Unavailable as error:
                    outage = error
                    raise
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                if getattr(session, "accessed", True):
                    headers.add_vary_header("Cookie")
                if cookie:
                    self._set_cookie(headers, cookie, self._max_age)
                elif cookie is not None:
                    self._set_cookie(headers, "null", "expires=Thu, 01 Jan 1970 00:00:00 GMT; ")
            await send(message)

        try:
            # A WebSocket may stay open for days, so it takes no lock.
            data = await self.client.arun(active.load(connection.cookies.get(self._cookie), scope["type"] == "http"))
            session = scope["session"] = Session(data or {})
            await self.app(scope, receive, send_with_cookie)
        except Exception:
            if outage is None:
                raise
            # The app thinks that its response has started, so it may have raised an error about that instead.
            raise outage from outage.__cause__
        finally:
            # For requests that didn't write: the app failed, the values can't be serialized, or nothing was sent.
            with anyio.CancelScope(shield=True):
                await self.client.arun(active.release())

    def _finish(self, connection: HTTPConnection, session: Session, state: "State") -> Steps[str | None]:
        options = self.client.options
        label = options.label or (lambda connection: connection.headers.get("user-agent"))

        def attributes(data: Data) -> Attributes:
            return Attributes(self._ttl, options.owner(data), label(connection))

        return state.active.finish(
            dict(session), attributes, state.moves, session.is_cleared, lambda: secrets.token_urlsafe(32)
        )

    def _set_cookie(self, headers: MutableHeaders, value: str, expiry: str) -> None:
        headers.append("Set-Cookie", f"{self._cookie}={value}; path={self._path}; {expiry}{self._flags}")


@dataclass
class State:
    """What the middleware knows about a session besides its data."""

    client: Client
    active: ActiveSession
    # Name of the cookie.
    cookie: str
    # Whether the session gets another id with the response.
    moves: bool = False


def regenerate(connection: HTTPConnection) -> None:
    """Gives the session another id when the response starts. Call this at a login."""
    _state(connection).moves = True


async def devices(connection: HTTPConnection, user: str) -> list[Device]:
    """Lists a user's sessions: `handle`, `label`, `created`, `used`, `expires`, `current`."""
    state = _state(connection)
    return await state.client.asend(calls.sessions(user, state.active.id))


async def logout_device(connection: HTTPConnection, user: str, handle: str) -> bool:
    """Ends one of a user's sessions by its handle. Returns whether there was one."""
    return await _state(connection).client.asend(calls.destroy_by_handle(user, handle))


async def logout_other_devices(connection: HTTPConnection, user: str) -> int:
    """Ends all of a user's sessions except this one. Returns how many it ended."""
    state = _state(connection)
    return await state.client.asend(calls.destroy_all(user, state.active.id))


async def logout_everywhere(connection: HTTPConnection, user: str) -> int:
    """Ends all of a user's sessions. Returns how many it ended."""
    return await _state(connection).client.asend(calls.destroy_all(user))


def _state(connection: HTTPConnection) -> State:
    state: State = connection.scope["session_api"]
    return state


async def _respond(request: Request, error: Exception) -> Response:
    """Responds to a request whose session is unavailable, unless the app has its own handler for that."""
    logging.getLogger("session_api").error("A request failed because its session is unavailable", exc_info=error)
    return PlainTextResponse("Service Unavailable", 503, {"Retry-After": "1"})


def _dumps(data: Data) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _loads(data: bytes) -> Data:
    loaded: Data = json.loads(data)
    return loaded
