"""Calls of the session API: what each sends, which responses it accepts, and what they mean.

Each call that changes a session can be retried blindly: its retries carry the same `Idempotency-Key`, or have the same
effect by their nature.
"""

import dataclasses
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from .errors import Conflict, Locked

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
    """What a write sets beside the data. None keeps the current value."""

    ttl: int
    user: str | None = None
    label: str | None = None
    content_type: str = "application/json"


@dataclass
class Response:
    status: int
    # Names are in lower case.
    headers: dict[str, str]
    body: bytes
    # Whether an earlier attempt failed, which the API may have carried out.
    is_to_retry: bool = False

    @property
    def document(self) -> dict:
        """The JSON object in the body, or an empty one."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def problem(self) -> str | None:
        """The code of a problem, as in `session-not-found`. Data that looks like a problem is not one."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/problem+json":
            return None
        return str(self.document.get("type")).removeprefix("urn:session-api:")


@dataclass(frozen=True)
class Pause:
    """Seconds to wait between two calls."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """A call, and what its response means."""

    method: str
    path: str
    headers: dict[str, str]
    # Statuses and problem codes that aren't failures.
    accept: tuple[int | str, ...]
    # Returns the outcome of an accepted response. Raises `KeyError`, `TypeError` or `ValueError` if it isn't the API's.
    outcome: Callable[[Response], Any] = field(default=lambda response: None)
    body: bytes | None = None
    # Extra seconds that the API may take.
    wait: int = 0


def owner(user) -> str:
    """Returns the name of an owner, who may also be a number or a UUID."""
    if isinstance(user, bool) or not isinstance(user, str | int | UUID):
        raise TypeError(f"an owner must be a text, an integer or a UUID; it is {user!r}")
    return str(user)


def is_id(text) -> bool:
    """Whether the API accepts this id. Any other cookie counts as no session."""
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_,-]{22,128}", text) is not None


def read(id: str) -> Call:
    """Reads a session. The outcome is None if there is none."""
    return Call("GET", "/session", {"session-id": id}, (200, "session-not-found"), lambda r: _stored(id, r))


def exists(id: str) -> Call:
    """Says whether there is a session with this id."""

    def outcome(response):
        if response.status == 404 and response.problem is None:
            raise ValueError("this is not the API")
        return response.status == 200

    return Call("HEAD", "/session", {"session-id": id}, (200, 404), outcome)


def lock(id: str, wait: int, lease: int) -> Call:
    """Takes the lock of a session, and reads it. This also slides its expiry. The outcome is None if there is none."""

    def outcome(response):
        if response.problem == "session-locked":
            raise Locked(f"another request held the session's lock for {wait} s")
        stored = _stored(id, response)
        return stored and dataclasses.replace(stored, lock=response.headers["session-lock"])

    headers = {"session-id": id, "session-lease": str(lease), "session-wait": str(wait), "idempotency-key": _key()}
    return Call("POST", "/session/lock", headers, (200, "session-not-found", "session-locked"), outcome, b"", wait)


def create(id: str, data: bytes, attributes: Attributes) -> Call:
    """Creates a session under an id. The outcome is None if there is one already."""
    headers = {"session-id": id, "if-none-match": "*", "idempotency-key": _key()} | _attributes(attributes)

    def outcome(response):
        return _written(id, data, response, attributes.user, attributes) if response.status == 201 else None

    return Call("PUT", "/session", headers, (201, "session-exists"), outcome, data)


def replace(stored: Stored, data: bytes, attributes: Attributes) -> Call:
    """Replaces the data of a session that was read, and releases its lock if the client holds it.

    The outcome is None if the session has ended. Raises `Conflict` if another request changed it since, and `Locked` if
    another request has the lock.
    """
    headers = {
        "session-id": stored.id,
        "if-match": stored.etag,
        "idempotency-key": _key(),
        "prefer": "return=representation",
    }
    headers |= _unlock(stored) | _attributes(dataclasses.replace(attributes, label=None))
    return Call("PUT", "/session", headers, (*_REFUSALS, 204), _replaced(stored, stored.id, data, attributes), data)


def rotate(stored: Stored, new_id: str, data: bytes, attributes: Attributes) -> Call:
    """Moves a session that was read to a new id, with new data, and releases its lock if the client holds it.

    The outcome is None if the session has ended. Raises what `replace` raises.
    """
    headers = {
        "session-id": stored.id,
        "session-new-id": new_id,
        "if-match": stored.etag,
        "prefer": "return=representation",
    }
    headers |= _unlock(stored) | _attributes(attributes)
    outcome = _replaced(stored, new_id, data, attributes)
    return Call("POST", "/session/rotate", headers, (*_REFUSALS, 200), outcome, data)


def touch(stored: Stored, ttl: int) -> Call:
    """Slides the expiry of a session, and releases its lock if the client holds it.

    The outcome is None if the session has ended. Raises `Locked` if the client has lost the lock.
    """

    def outcome(response):
        _refuse_lock(response)
        return None if response.status == 404 else dataclasses.replace(stored, ttl=_ttl(response, ttl), lock=None)

    headers = {"session-id": stored.id, "session-ttl": str(ttl), "idempotency-key": _key()} | _unlock(stored)
    accept = (204, "session-not-found", "session-locked", "not-lock-holder")
    return Call("POST", "/session/touch", headers, accept, outcome, b"")


def release(stored: Stored) -> Call:
    """Releases the lock of a session."""
    headers = {"session-id": stored.id} | _unlock(stored)
    return Call("DELETE", "/session/lock", headers, (204, "session-not-found", "not-lock-holder"))


def destroy(id: str) -> Call:
    """Ends a session."""
    return Call("DELETE", "/session", {"session-id": id}, (204, "session-not-found"))


def sessions(user: str, id: str | None = None) -> Call:
    """Lists the sessions of a user, newest first. The one with this id is marked as the current one."""

    def outcome(response):
        entries = json.loads(response.body)
        return [entry | {"label": _decode(entry["label"])} for entry in entries]

    return Call("GET", "/sessions", _of_user(user, id), (200,), outcome)


def limit(user: str, most: int) -> Call:
    """Ends the oldest sessions of a user above this number. The outcome is how many that were."""
    headers = _of_user(user) | {"session-limit": str(most)}
    return Call("DELETE", "/sessions", headers, (200,), lambda r: json.loads(r.body)["destroyed"])


def destroy_all(user: str, except_id: str | None = None) -> Call:
    """Ends all sessions of a user except the one with this id. The outcome is how many there were."""
    return Call("DELETE", "/sessions", _of_user(user, except_id), (200,), lambda r: json.loads(r.body)["destroyed"])


def destroy_by_handle(user: str, handle: str) -> Call:
    """Ends one session of a user, by its handle in the list. The outcome says whether it was there.

    If a retry does not find it, an attempt whose response was lost has ended it.
    """
    accept = (204, "session-not-found")
    path = f"/sessions/{quote(handle, safe='')}"
    return Call("DELETE", path, _of_user(user), accept, lambda r: r.status == 204 or r.is_to_retry)


_REFUSALS = ("session-not-found", "session-locked", 412)


def _key() -> str:
    """Returns a fresh key for a request and its retries."""
    return secrets.token_hex(16)


def _stored(id: str, response: Response) -> Stored | None:
    """Returns the session of a response that has its data."""
    if response.status == 404:
        return None
    headers = response.headers
    user = _decode(headers.get("session-user"))
    return Stored(id, response.body, headers["etag"], int(headers["session-ttl"]), user)


def _ttl(response: Response, asked: int) -> int:
    """Returns the lifetime that a write set, which the API may have limited."""
    return int(response.headers.get("session-ttl", asked))


def _replaced(stored: Stored, id: str, data: bytes, attributes: Attributes):
    def outcome(response):
        _refuse_lock(response)
        if response.status == 412 and response.problem is not None:
            raise ValueError(response.problem)
        if response.status == 412:
            raise Conflict(dataclasses.replace(_stored(stored.id, response), lock=stored.lock))
        if response.status == 404:
            return None
        user = stored.user if attributes.user is None else attributes.user
        return _written(id, data, response, user, attributes)

    return outcome


def _refuse_lock(response: Response):
    match response.problem:
        case "session-locked":
            raise Locked("another request holds the lock, and the session was not written")
        case "not-lock-holder":
            raise Locked("the lock expired meanwhile, and the session was not written")


def _written(id: str, data: bytes, response: Response, user: str | None, attributes: Attributes) -> Stored:
    """Returns a session after a write."""
    return Stored(id, data, response.headers["etag"], _ttl(response, attributes.ttl), user or None)


def _attributes(attributes: Attributes) -> dict[str, str]:
    headers = {"session-ttl": str(attributes.ttl), "content-type": attributes.content_type}
    # A gateway may drop an empty header. Two quotes remove the value, too.
    if attributes.user is not None:
        headers["session-user"] = _encode(attributes.user) or '""'
    if attributes.label is not None:
        headers["session-label"] = _shorten(str(attributes.label)) or '""'
    return headers


def _unlock(stored: Stored) -> dict[str, str]:
    return {} if stored.lock is None else {"session-unlock": stored.lock}


def _of_user(user: str, id: str | None = None) -> dict[str, str]:
    return {"session-user": _encode(owner(user))} | ({} if id is None else {"session-id": id})


def _encode(text: str) -> str:
    """Percent-encodes a name as all clients of the API do (RFC 3986)."""
    return quote(text, safe="", errors="replace")


def _decode(text: str | None) -> str | None:
    """Decodes a name. What another program did not encode like this stays as it is."""
    try:
        return text and unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _shorten(label: str) -> str:
    """Percent-encodes a label, up to the last character that fits."""
    encoded = ""
    for character in label[:MAX_LABEL]:
        following = encoded + _encode(character)
        if len(following) > MAX_LABEL:
            break
        encoded = following
    return encoded
