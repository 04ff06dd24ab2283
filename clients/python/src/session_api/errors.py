"""Errors that calls to the session API raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .calls import Stored


class Unavailable(Exception):
    """The session couldn't be read or written: the API didn't respond, failed, or refused the request.

    It never means that the session doesn't exist.
    """


class Locked(Unavailable):
    """Another request holds the session's lock, or this one has lost it."""


class Conflict(Exception):
    """Another request has changed the session since it was read. `current` is the session as it is now."""

    def __init__(self, current: Stored):
        super().__init__("Another request has changed the session since it was read")
        self.current = current
