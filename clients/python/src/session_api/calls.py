"""The session API's calls: what each sends, which responses it accepts, and what they mean.

A retry never takes effect twice: it carries the same `Idempotency-Key`, or the call is idempotent by nature.
"""

import dataclasses
import json
import re
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeGuard, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from .errors import Conflict, Locked

T = TypeVar("T")

# Longest label, percent-encoded.
MAX_LABEL = 256


@dataclass(frozen=True)
class Stored:
    """A session as the API has it."""

    id: str
    data: bytes
    etag: str
    # Seconds until it expires.
    ttl: int
    user: str | None = None
    # Token of its lock, if this client holds it.
    lock: str | None = None


@dataclass(frozen=True)
class Attributes:
    """What a write sets besides the data. None keeps the current value, and an empty text removes it."""

    ttl: int
    user: str | None = None
    label: str | None = None
    content_type: str = "application/json"


@dataclass
class Response:
    status: int
    # With lowercase names.
    headers: dict[str, str]
    body: bytes
    # Whether this answers a retry: an earlier attempt failed, but may have taken effect.
    is_to_retry: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body, or an empty one if there is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def problem(self) -> str | None:
        """The API's problem code, such as `session-not-found`. Session data that looks like a problem doesn't count."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/problem+json":
            return None
        return str(self.document.get("type")).removeprefix("urn:session-api:")


# An entry of a user's device list: `handle`, `label`, `created`, `used`, `expires`, `current`.
Device = dict[str, Any]


@dataclass(frozen=True)
class Pause:
    """Seconds to wait between two calls."""

    seconds: float


@dataclass(frozen=True)
class Call(Generic[T]):
    """A call and what its response means."""

    method: str
    path: str
    headers: dict[str, str]
    # Statuses and problem codes that aren't failures.
    accept: tuple[int | str, ...]
    # Returns the outcome of an accepted response. `KeyError`, `TypeError` or `ValueError` mean that it isn't the API's.
    outcome: Callable[[Response], T]
    body: bytes | None = None
    # Extra seconds that the API may take to respond.
    wait: int = 0

    @property
    def function(self) -> str | None:
        """The function whose URL can serve the call, or None if only the API serves it."""
        if self.path.startswith("/sessions"):
            return None
        if self.method in ("GET", "HEAD"):
            return "read"
        return "destroy" if (self.method, self.path) == ("DELETE", "/session") else "write"


# What `Client.run` and `Client.arun` carry out: yields calls and pauses, gets the calls' outcomes, and returns a result.
Steps = Generator[Call[Any] | Pause, Any, T]


def owner(user: object) -> str:
    """Returns an owner's name as text. The app may also use integers or UUIDs."""
    if isinstance(user, bool) or not isinstance(user, str | int | UUID):
        raise TypeError(f"The owner of a session must be text, an integer or a UUID, not {user!r}.")
    return str(user)


def is_id(text: object) -> TypeGuard[str]:
    """Whether the API accepts this id. Any other cookie counts as no session."""
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_,-]{22,128}", text) is not None


def read(id: str) -> Call[Stored | None]:
    """Reads a session. The outcome is None if there is none."""
    return Call("GET", "/session", {"session-id": id}, (200, "session-not-found"), lambda r: _stored(id, r))


def exists(id: str) -> Call[bool]:
    """Checks for a session with this id. The outcome is whether there is one."""

    def outcome(response: Response) -> bool:
        if response.status == 404 and response.problem is None:
            raise ValueError("the response is not from the session API")
        return response.status == 200

    return Call("HEAD", "/session", {"session-id": id}, (200, 404), outcome)


def lock(id: str, wait: int, lease: int) -> Call[Stored | None]:
    """Locks a session and reads it. This also slides its expiry. The outcome is None if there is none."""

    def outcome(response: Response) -> Stored | None:
        if response.problem == "session-locked":
            raise Locked(f"Another request held the session's lock for {wait} s")
        stored = _stored(id, response)
        return stored and dataclasses.replace(stored, lock=response.headers["session-lock"])

    headers = {"session-id": id, "session-lease": str(lease), "session-wait": str(wait), "idempotency-key": _key()}
    return Call("POST", "/session/lock", headers, (200, "session-not-found", "session-locked"), outcome, b"", wait)


def create(id: str, data: bytes, attributes: Attributes) -> Call[Stored | None]:
    """Creates a session with this id. The outcome is None if the id is taken."""
    headers = {"session-id": id, "if-none-match": "*", "idempotency-key": _key()} | _attributes(attributes)

    def outcome(response: Response) -> Stored | None:
        return _written(id, data, response, attributes.user, attributes) if response.status == 201 else None

    return Call("PUT", "/session", headers, (201, "session-exists"), outcome, data)


def replace(stored: Stored, data: bytes, attributes: Attributes) -> Call[Stored | None]:
    """Replaces the data of a session that was read, and releases its lock if this client holds it.

    The outcome is None if the session has ended. Raises `Conflict` if another request has changed the session since it
    was read, and `Locked` if another request holds the lock, or this one has lost it.
    """
    headers = {
        "session-id": stored.id,
        "if-match": stored.etag,
        "idempotency-key": _key(),
        "prefer": "return=representation",
    }
    headers |= _unlock(stored) | _attributes(dataclasses.replace(attributes, label=None))
    return Call("PUT", "/session", headers, (*_REFUSALS, 204), _replaced(stored, stored.id, data, attributes), data)


def rotate(stored: Stored, new_id: str, data: bytes, attributes: Attributes) -> Call[Stored | None]:
    """Like `replace`, but also moves the session to a new id. The old id stops working."""
    headers = {
        "session-id": stored.id,
        "session-new-id": new_id,
        "if-match": stored.etag,
        "prefer": "return=representation",
    }
    headers |= _unlock(stored) | _attributes(attributes)
    outcome = _replaced(stored, new_id, data, attributes)
    return Call("POST", "/session/rotate", headers, (*_REFUSALS, 200), outcome, data)


def touch(stored: Stored, ttl: int) -> Call[Stored | None]:
    """Slides a session's expiry, and releases its lock if this client holds it.

    The outcome is None if the session has ended. Raises `Locked` if this client has lost the lock.
    """

    def outcome(response: Response) -> Stored | None:
        _refuse_lock(response)
        return None if response.status == 404 else dataclasses.replace(stored, ttl=_ttl(response, ttl), lock=None)

    headers = {"session-id": stored.id, "session-ttl": str(ttl), "idempotency-key": _key()} | _unlock(stored)
    accept = (204, "session-not-found", "session-locked", "not-lock-holder")
    return Call("POST", "/session/touch", headers, accept, outcome, b"")


def release(stored: Stored) -> Call[None]:
    """Releases a session's lock."""
    headers = {"session-id": stored.id} | _unlock(stored)
    return Call("DELETE", "/session/lock", headers, (204, "session-not-found", "not-lock-holder"), lambda r: None)


def destroy(id: str) -> Call[None]:
    """Ends a session."""
    return Call("DELETE", "/session", {"session-id": id}, (204, "session-not-found"), lambda r: None)


def sessions(user: object, id: str | None = None) -> Call[list[Device]]:
    """Lists a user's sessions, newest first. The one with this id is marked as current."""

    def outcome(response: Response) -> list[Device]:
        entries = json.loads(response.body)
        return [entry | {"label": _decode(entry["label"])} for entry in entries]

    return Call("GET", "/sessions", _of_user(user, id), (200,), outcome)


def limit(user: str, most: int) -> Call[int]:
    """Ends a user's oldest sessions if they have more than this many. The outcome is how many it ended."""
    headers = _of_user(user) | {"session-limit": str(most)}
    return Call("DELETE", "/sessions", headers, (200,), _destroyed)


def destroy_all(user: object, except_id: str | None = None) -> Call[int]:
    """Ends all of a user's sessions except the one with this id. The outcome is how many it ended."""
    return Call("DELETE", "/sessions", _of_user(user, except_id), (200,), _destroyed)


def destroy_by_handle(user: object, handle: str) -> Call[bool]:
    """Ends one of a user's sessions by its handle. The outcome is whether there was one.

    If a retry doesn't find it, an earlier attempt whose response was lost has ended it.
    """
    accept = (204, "session-not-found")
    path = f"/sessions/{quote(handle, safe='')}"
    return Call("DELETE", path, _of_user(user), accept, lambda r: r.status == 204 or r.is_to_retry)


def _destroyed(response: Response) -> int:
    destroyed: int = json.loads(response.body)["destroyed"]
    return destroyed


_REFUSALS = ("session-not-found", "session-locked", 412)


def _key() -> str:
    """Returns a fresh key for a request and its retries."""
    return secrets.token_hex(16)


def _stored(id: str, response: Response) -> Stored | None:
    """Returns the session in a response, if there is one."""
    return None if response.status == 404 else _found(id, response)


def _found(id: str, response: Response) -> Stored:
    headers = response.headers
    user = _decode(headers.get("session-user"))
    return Stored(id, response.body, headers["etag"], int(headers["session-ttl"]), user)


def _ttl(response: Response, asked: int) -> int:
    """Returns the lifetime that a write has set, which the API may have cut."""
    return int(response.headers.get("session-ttl", asked))


def _replaced(stored: Stored, id: str, data: bytes, attributes: Attributes) -> Callable[[Response], Stored | None]:
    def outcome(response: Response) -> Stored | None:
        _refuse_lock(response)
        if response.status == 412 and response.problem is not None:
            raise ValueError(response.problem)
        if response.status == 412:
            raise Conflict(dataclasses.replace(_found(stored.id, response), lock=stored.lock))
        if response.status == 404:
            return None
        user = stored.user if attributes.user is None else attributes.user
        return _written(id, data, response, user, attributes)

    return outcome


def _refuse_lock(response: Response) -> None:
    match response.problem:
        case "session-locked":
            raise Locked("Another request holds the lock, so the session was not written")
        case "not-lock-holder":
            raise Locked("The lock has expired, so the session was not written")


def _written(id: str, data: bytes, response: Response, user: str | None, attributes: Attributes) -> Stored:
    """Returns the session as a write left it."""
    return Stored(id, data, response.headers["etag"], _ttl(response, attributes.ttl), user or None)


def _attributes(attributes: Attributes) -> dict[str, str]:
    headers = {"session-ttl": str(attributes.ttl), "content-type": attributes.content_type}
    # `""` removes an owner or a label. Not just an empty header, because gateways may drop those.
    if attributes.user is not None:
        headers["session-user"] = _encode(attributes.user) or '""'
    if attributes.label is not None:
        headers["session-label"] = _shorten(str(attributes.label)) or '""'
    return headers


def _unlock(stored: Stored) -> dict[str, str]:
    return {} if stored.lock is None else {"session-unlock": stored.lock}


def _of_user(user: object, id: str | None = None) -> dict[str, str]:
    return {"session-user": _encode(owner(user))} | ({} if id is None else {"session-id": id})


def _encode(text: str) -> str:
    """Percent-encodes a name the way all clients do (RFC 3986)."""
    return quote(text, safe="", errors="replace")


def _decode(text: str | None) -> str | None:
    """Decodes an owner or a label. If another program didn't encode it, it's returned as is."""
    try:
        return text and unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _shorten(label: str) -> str:
    """Percent-encodes as much of a label as fits."""
    encoded = ""
    for character in label[:MAX_LABEL]:
        following = encoded + _encode(character)
        if len(following) > MAX_LABEL:
            break
        encoded = following
    return encoded
