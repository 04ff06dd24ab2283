"""Errors of the clients."""


class Unavailable(Exception):
    """The session API did not respond, or not as it should. What is in the session cannot be known."""


class Locked(Unavailable):
    """Another request holds the lock of the session, or has taken it."""


class Conflict(Exception):
    """Another request changed the session since it was read. `current` is what it left."""

    def __init__(self, current):
        super().__init__("another request changed the session")
        self.current = current
