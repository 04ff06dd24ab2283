"""The session of one request: what the API had when it was read, and how to write it back."""

import dataclasses
import logging
import random
import time
from collections.abc import Callable

from . import calls
from .calls import Attributes, Call, Pause, Steps, Stored
from .errors import Conflict, Locked, Unavailable
from .merge import Data, changes, merge
from .options import Options

# Seconds after which a write gives up merging with the changes of other requests.
MERGING = 10
# Lifetimes that the API has cut, by session id.
_LIMITED: dict[str, int] = {}


class ActiveSession:
    """Its methods return steps for `Client.run` or `Client.arun`. All of them may raise `Unavailable`."""

    def __init__(self, options: Options, dumps: Callable[[Data], bytes], loads: Callable[[bytes], Data]):
        self._options = options
        self._dumps = dumps
        self._loads = loads
        # The session as the API has it; None if it doesn't have it.
        self.stored: Stored | None = None
        # The data the request last read or wrote. After a merge, the API has more than that.
        self._base = b""
        # Whether the request has slid the expiry, so a cookie that expires has to slide, too.
        self.has_slid = False

    @property
    def id(self) -> str | None:
        """The session's id; None if the API doesn't have it."""
        return None if self.stored is None else self.stored.id

    def load(self, id: str | None, locks: bool = True) -> Steps[Data | None]:
        """Reads the session with this id, locking it if the options say so. Returns its data, or None."""
        held = self.stored.lock if self.id == id and self.stored else None
        self._begin(None)
        if not calls.is_id(id):
            return None
        if self._options.lock is None or not locks or held:
            stored = yield calls.read(id)
            self._begin(stored and dataclasses.replace(stored, lock=held))
        else:
            self._begin((yield calls.lock(id, self._options.lock, self._options.lease)))
            self.has_slid = True
        return None if self.stored is None else self._loads(self.stored.data)

    def create(self, id: str, data: Data, attributes: Attributes) -> Steps[bool]:
        """Creates the session with this id. Returns whether the id was free."""
        self._begin((yield calls.create(id, self._dumps(data), attributes)))
        if self.stored is None:
            return False
        yield from self._wrote(None, attributes)
        return True

    def save(self, data: Data, attributes: Attributes) -> Steps[bool]:
        """Writes the data if it has changed, otherwise slides the expiry if it's time, and releases the lock.

        Returns whether the session was there: one that has ended doesn't come back.
        """
        if self.stored is None:
            return False
        dumped = self._dumps(data)
        is_same_user = attributes.user is None or attributes.user == (self.stored.user or "")
        if is_same_user and dumped in (self._base, self._dumps(self._loads(self._base))):
            yield from self._keep_alive(self.stored, attributes.ttl)
        else:
            write = lambda stored, new: calls.replace(stored, new, attributes)  # noqa: E731
            yield from self._write(self.stored, dumped, attributes, write)
        return self.stored is not None

    def move(self, new_id: str, data: Data, attributes: Attributes) -> Steps[bool]:
        """Moves the session to another id, with new data. Returns whether it was there."""
        if self.stored is not None:
            write = lambda stored, new: calls.rotate(stored, new_id, new, attributes)  # noqa: E731
            yield from self._write(self.stored, self._dumps(data), attributes, write)
        return self.stored is not None

    def finish(
        self,
        data: Data,
        attributes: Callable[[Data], Attributes],
        is_moving: bool,
        is_cleared: bool,
        new_id: Callable[[], str],
    ) -> Steps[str | None]:
        """Writes the session at the end of a request. Returns the cookie's new value: an id, "" to delete the cookie,
        or None to leave it alone.

        A session that has ended doesn't come back, under its own id or another one. A login begins a new session, which
        contains what this request put into it.
        """
        if not data and (self.stored is None or is_cleared):
            return "" if (yield from self.destroy()) else None
        if self.stored is not None and not is_moving:
            yield from self.save(data, attributes(data))
            return self.id if self.has_slid else None
        id = new_id()
        if self.stored is not None:
            changed = changes(self._loads(self._base), data, self._dumps)
            if (yield from self.move(id, data, attributes(data))):
                return id
            data = changed
            if not data:
                return None
        while not (yield from self.create(id, data, attributes(data))):
            id = new_id()
        return id

    def destroy(self) -> Steps[bool]:
        """Ends the session. Returns whether there was one."""
        id = self.id
        self._begin(None)
        if id is not None:
            yield calls.destroy(id)
        return id is not None

    def release(self) -> Steps[None]:
        """Releases the lock unless a write already has. If that fails, the lock expires by itself."""
        if self.stored is not None and self.stored.lock is not None:
            stored, self.stored = self.stored, dataclasses.replace(self.stored, lock=None)
            try:
                yield calls.release(stored)
            except Unavailable:
                pass

    def _begin(self, stored: Stored | None) -> None:
        self.stored = stored
        self._base = b"" if stored is None else stored.data

    def _keep_alive(self, stored: Stored, ttl: int) -> Steps[None]:
        lifetime = min(ttl, _LIMITED.get(stored.id, ttl))
        touch_after = lifetime / 20 if self._options.touch_after is None else self._options.touch_after
        if lifetime - stored.ttl >= touch_after or stored.ttl > lifetime:
            try:
                self.stored = yield calls.touch(stored, ttl)
            except Locked:
                # Taking the lock has already slid the expiry, whoever took it.
                self.stored = dataclasses.replace(stored, lock=None)
            else:
                self._slid(ttl)
        else:
            yield from self.release()

    def _write(
        self,
        stored: Stored,
        dumped: bytes,
        attributes: Attributes,
        write: Callable[[Stored, bytes], Call[Stored | None]],
    ) -> Steps[None]:
        """Writes data, merged with what other requests have written since the session was read."""
        started, pause, former = time.monotonic(), 0.025, stored.user
        while True:
            merged = dumped
            if stored.data != self._base:
                base, mine, theirs = map(self._loads, (self._base, dumped, stored.data))
                merged = self._dumps(merge(base, mine, theirs, self._dumps))
            try:
                self.stored = yield write(stored, merged)
                break
            except Conflict as conflict:
                self.stored = stored = conflict.current
            if time.monotonic() - started > MERGING:
                raise Unavailable("Other requests kept changing the session")
            yield Pause(random.uniform(0, pause))
            pause = min(2 * pause, 0.5)
        self._base = dumped
        yield from self._wrote(former, attributes)

    def _wrote(self, former: str | None, attributes: Attributes) -> Steps[None]:
        self._slid(attributes.ttl)
        most, user = self._options.max_sessions, attributes.user
        if most is not None and self.stored is not None and user and user != former:
            try:
                yield calls.limit(user, most)
            except Unavailable:
                # The login has succeeded, and the next one tries again.
                logging.getLogger("session_api").exception("A user's sessions could not be limited")

    def _slid(self, asked: int) -> None:
        if self.stored is None:
            return
        self.has_slid = True
        if self.stored.ttl < asked:
            _LIMITED[self.stored.id] = self.stored.ttl
            if len(_LIMITED) > 10_000:
                _LIMITED.pop(next(iter(_LIMITED)), None)
        else:
            _LIMITED.pop(self.stored.id, None)
