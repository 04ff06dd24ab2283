"""The session of one request: what the API had when it was read, and how to write it."""

import dataclasses
from collections.abc import Callable

from . import calls
from .calls import Attributes, Stored
from .errors import Conflict, Unavailable
from .merge import merge
from .options import Options

# Number of other requests whose changes one write merges with its own.
MAX_MERGES = 10


class ActiveSession:
    """Its methods are steps for `Client.run` or `Client.arun`. All of them may raise `Unavailable`."""

    def __init__(self, options: Options, dumps: Callable[[dict], bytes], loads: Callable[[bytes], dict]):
        self._options = options
        self._dumps = dumps
        self._loads = loads
        # The session as the API has it; None if it is not there.
        self.stored: Stored | None = None
        # What the request read or wrote last. After a merge, the API has other data.
        self._base = b""
        # Whether the session ended while the request ran. Then nothing is written.
        self.has_ended = False
        # Whether the request has slid the expiry, and a cookie that expires is to follow it.
        self.has_slid = False

    def load(self, id):
        """Reads the session with this id, and takes its lock if the options say so. Returns its data, or None."""
        self._begin(None)
        if calls.is_id(id):
            wait = self._options.lock
            self._begin((yield calls.read(id) if wait is None else calls.lock(id, wait, self._options.lease)))
            self.has_slid = wait is not None
        return None if self.stored is None else self._loads(self.stored.data)

    def create(self, id: str, data: dict, attributes: Attributes):
        """Creates the session under an id. Returns whether the id was free."""
        self._begin((yield calls.create(id, self._dumps(data), attributes)))
        self.has_slid = True
        return self.stored is not None

    def save(self, data: dict, attributes: Attributes):
        """Writes the data of a session that was read if it has changed, slides its expiry if it is time, and releases
        its lock. Writes nothing if the session has ended.
        """
        if self.stored is None:
            return
        dumped = self._dumps(data)
        is_same_user = attributes.user is None or attributes.user == (self.stored.user or "")
        if is_same_user and dumped in (self._base, self._dumps(self._loads(self._base))):
            yield from self._keep_alive(attributes.ttl)
            return
        self.stored = yield from self._merge(dumped, lambda stored, new: calls.replace(stored, new, attributes))
        self._base = dumped
        self.has_ended = self.stored is None

    def move(self, new_id: str, data: dict, attributes: Attributes):
        """Moves the session with its new data to another id. Returns whether it was there."""
        if self.stored is None:
            return False
        dumped = self._dumps(data)
        self.stored = yield from self._merge(dumped, lambda stored, new: calls.rotate(stored, new_id, new, attributes))
        self._base = dumped
        return self.stored is not None

    def finish(self, data: dict, attributes: Attributes, is_moving: bool, new_id: Callable[[], str]):
        """Brings the session to the API at the end of a request. Returns its id, or None if there is none: an empty
        session is none.

        A session that has ended does not come back, neither under its id nor under another one, unless it has a new
        owner: a login begins a new session.
        """
        if not data:
            yield from self.destroy()
            return None
        read = self.stored
        if read is not None and not is_moving:
            yield from self.save(data, attributes)
            return read.id
        id = new_id()
        if read is not None:
            if (yield from self.move(id, data, attributes)):
                return id
            if attributes.user in (None, "", read.user):
                return None
        while not (yield from self.create(id, data, attributes)):
            id = new_id()
        return id

    def destroy(self):
        """Ends the session."""
        stored = self.stored
        self._begin(None)
        if stored is not None:
            yield calls.destroy(stored.id)

    def abandon(self):
        """Ends the use of the session without a write. The lease ends the lock if it cannot be released."""
        stored = self.stored
        self._begin(None)
        if stored is not None and stored.lock is not None:
            try:
                yield calls.release(stored)
            except Unavailable:
                pass

    def _begin(self, stored: Stored | None):
        self.stored = stored
        self._base = b"" if stored is None else stored.data
        self.has_ended = False

    def _keep_alive(self, ttl: int):
        touch_after = ttl / 20 if self._options.touch_after is None else self._options.touch_after
        if ttl - self.stored.ttl >= touch_after:
            yield calls.touch(self.stored, ttl)
            self.has_slid = True
            self.stored = dataclasses.replace(self.stored, ttl=ttl, lock=None)
        elif self.stored.lock is not None:
            yield calls.release(self.stored)
            self.stored = dataclasses.replace(self.stored, lock=None)

    def _merge(self, dumped: bytes, write: Callable[[Stored, bytes], calls.Call]):
        """Writes data, merged with what other requests wrote since it was read."""
        for _ in range(MAX_MERGES):
            merged = dumped
            if self.stored.data != self._base:
                base, mine, theirs = map(self._loads, (self._base, dumped, self.stored.data))
                merged = self._dumps(merge(base, mine, theirs, self._dumps))
            try:
                written = yield write(self.stored, merged)
            except Conflict as conflict:
                self.stored = conflict.current
                continue
            self.has_slid = True
            return written
        raise Unavailable("Other requests kept changing the session")
