"""Sessions of Flask: `SessionApi(app)`."""

import secrets

from flask import request
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict

from . import calls
from .active import ActiveSession
from .calls import Attributes
from .client import Client
from .options import Options

_SERIALIZER = TaggedJSONSerializer()


class Session(CallbackDict, SessionMixin):
    """A session in the session API."""

    def __init__(self, active: ActiveSession, sid: str | None, data: dict | None):
        def on_update(session):
            session.modified = True

        super().__init__(data or {}, on_update)
        self.active = active
        # Id in the cookie; None for a new session.
        self.sid = sid if data is not None else None
        self.new = data is None
        self.modified = False
        # Whether the session gets another id when it is saved.
        self.moves = False


class SessionApi(SessionInterface):
    """Keeps the sessions of an app in the session API. For the options, see `Options`.

    The lifetime of sessions is `PERMANENT_SESSION_LIFETIME`.
    """

    def __init__(self, app=None, **options):
        self._client = Client(Options.read(**options))
        if app is not None:
            self.init_app(app)

    def init_app(self, app):
        app.session_interface = self

    def open_session(self, app, request):
        sid = request.cookies.get(self.get_cookie_name(app))
        active = ActiveSession(self._client.options, _dumps, _loads)
        return Session(active, sid, self._client.run(active.load(sid)))

    def save_session(self, app, session, response):
        sid = session.sid
        session.sid = self._client.run(self._finish(app, session))
        if session.accessed or session.modified:
            response.vary.add("Cookie")
        name, domain, path = self.get_cookie_name(app), self.get_cookie_domain(app), self.get_cookie_path(app)
        if session.sid is None:
            if sid is not None:
                response.delete_cookie(name, domain=domain, path=path)
        elif session.sid != sid or session.active.has_slid or self.should_set_cookie(app, session):
            response.set_cookie(
                name,
                session.sid,
                domain=domain,
                path=path,
                expires=self.get_expiration_time(app, session),
                httponly=self.get_cookie_httponly(app),
                secure=self.get_cookie_secure(app),
                samesite=self.get_cookie_samesite(app),
            )
            response.vary.add("Cookie")

    def _finish(self, app, session):
        options = self._client.options
        label = options.label or (lambda request: request.user_agent.string)
        attributes = Attributes(
            ttl=int(app.permanent_session_lifetime.total_seconds()),
            user=options.user and options.user(session),
            label=label(request),
        )
        return session.active.finish(dict(session), attributes, session.moves, _new_sid)

    def regenerate(self, session):
        """Gives a session another id when it is saved, at the end of the request. Call it at a login."""
        session.moves = True

    def devices(self, session, user: str) -> list[dict]:
        """Lists the sessions of a user: `handle`, `label`, `created`, `used`, `expires`, `current`."""
        return self._client.send(calls.sessions(user, session.sid))

    def logout_device(self, user: str, handle: str) -> bool:
        """Ends one session of a user, by its handle. Returns whether it was there."""
        return self._client.send(calls.destroy_by_handle(user, handle))

    def logout_other_devices(self, session, user: str) -> int:
        """Ends all sessions of a user except this one. Returns how many there were."""
        return self._client.send(calls.destroy_all(user, session.sid))

    def logout_everywhere(self, user: str) -> int:
        """Ends all sessions of a user. Returns how many there were."""
        return self._client.send(calls.destroy_all(user))


def _new_sid() -> str:
    return secrets.token_urlsafe(32)


def _dumps(data: dict) -> bytes:
    return _SERIALIZER.dumps(data).encode()


def _loads(data: bytes) -> dict:
    return _SERIALIZER.loads(data.decode())
