"""Flask sessions: `SessionApi(app)`."""

import math
import secrets
from collections.abc import Iterator
from typing import Any, cast

import flask
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionInterface, SessionMixin

from . import calls
from .active import ActiveSession
from .calls import Attributes, Device, Steps
from .client import Client
from .merge import Data
from .options import Options

_SERIALIZER = TaggedJSONSerializer()


class Session(SessionMixin):
    """A session in the session API. It's read when the app first looks at it."""

    modified = False
    # Whether the app has cleared the session. That ends it, unless the app has put something into it since.
    is_cleared = False
    # Whether the session gets another id when it's saved.
    moves = False

    def __init__(self, client: Client, cookie: str | None):
        self.active = ActiveSession(client.options, _dumps, _loads)
        self._client = client
        self._cookie = cookie
        self._data: Data | None = None

    @property
    def is_loaded(self) -> bool:
        return self._data is not None

    @property
    def data(self) -> Data:
        if self._data is None:
            self._data = self._client.run(self.active.load(self._cookie)) or {}
        self.accessed = True
        return self._data

    @property
    def sid(self) -> str | None:
        """The id; None for a new session."""
        return self.data is not None and self.active.id

    @property
    def new(self) -> bool:  # type: ignore[override]
        return self.sid is None

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.data[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        del self.data[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return repr(self.data)

    def copy(self) -> Data:
        return self.data.copy()

    def clear(self) -> None:
        self.data.clear()
        self.modified = self.is_cleared = True


class SessionApi(SessionInterface):
    """Keeps an app's sessions in the session API. See `Options` for its options.

    The session lifetime is set by `PERMANENT_SESSION_LIFETIME`.
    """

    def __init__(self, app: flask.Flask | None = None, **options: Any):
        self._client = Client(Options.read(**options))
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        app.session_interface = self
        app.teardown_request(self._release)

    def open_session(self, app: flask.Flask, request: flask.Request) -> Session:
        return Session(self._client, request.cookies.get(self.get_cookie_name(app)))

    def save_session(self, app: flask.Flask, session: SessionMixin, response: flask.Response) -> None:
        session = cast(Session, session)
        if not session.is_loaded and not session.moves:
            return
        cookie = self._client.run(self._finish(app, session))
        response.vary.add("Cookie")
        name = self.get_cookie_name(app)
        attributes: dict[str, Any] = {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "httponly": self.get_cookie_httponly(app),
            "secure": self.get_cookie_secure(app),
            "samesite": self.get_cookie_samesite(app),
        }
        # Since Flask 3.1.
        if hasattr(self, "get_cookie_partitioned"):
            attributes["partitioned"] = self.get_cookie_partitioned(app)
        if cookie is None and self.should_set_cookie(app, session):
            cookie = session.sid
        if cookie:
            response.set_cookie(name, cookie, expires=self.get_expiration_time(app, session), **attributes)
        elif cookie is not None:
            response.delete_cookie(name, **attributes)

    def _finish(self, app: flask.Flask, session: Session) -> Steps[str | None]:
        options = self._client.options
        label = options.label or (lambda request: request.user_agent.string or None)

        def attributes(data: Data) -> Attributes:
            ttl = math.ceil(app.permanent_session_lifetime.total_seconds())
            return Attributes(ttl, options.owner(data), label(flask.request))

        return session.active.finish(dict(session), attributes, session.moves, session.is_cleared, _new_sid)

    def _release(self, _: BaseException | None) -> None:
        """Releases the lock if the session wasn't saved: after an error, or in a context without a response."""
        session = flask.session._get_current_object()  # type: ignore[attr-defined]
        if isinstance(session, Session):
            self._client.run(session.active.release())

    def regenerate(self, session: SessionMixin) -> None:
        """Gives a session another id when it's saved at the end of the request. Call this at a login."""
        cast(Session, session).moves = True

    def devices(self, session: SessionMixin, user: str) -> list[Device]:
        """Lists a user's sessions: `handle`, `label`, `created`, `used`, `expires`, `current`."""
        return self._client.send(calls.sessions(user, cast(Session, session).sid))

    def logout_device(self, user: str, handle: str) -> bool:
        """Ends one of a user's sessions by its handle. Returns whether there was one."""
        return self._client.send(calls.destroy_by_handle(user, handle))

    def logout_other_devices(self, session: SessionMixin, user: str) -> int:
        """Ends all of a user's sessions except this one. Returns how many it ended."""
        return self._client.send(calls.destroy_all(user, cast(Session, session).sid))

    def logout_everywhere(self, user: str) -> int:
        """Ends all of a user's sessions. Returns how many it ended."""
        return self._client.send(calls.destroy_all(user))


def _new_sid() -> str:
    return secrets.token_urlsafe(32)


def _dumps(data: Data) -> bytes:
    return _SERIALIZER.dumps(data).encode()


def _loads(data: bytes) -> Data:
    loaded: Data = _SERIALIZER.loads(data.decode())
    return loaded
