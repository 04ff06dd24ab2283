"""Options of the clients. Times are in seconds."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from . import calls


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that all frameworks have. Raises `ValueError` that names an invalid option and its valid values."""

    # URL of the API, as in https://abc.execute-api.eu-central-1.amazonaws.com.
    url: str
    # AWS region that signatures are for.
    region: str
    # Time after which the use of an unchanged session slides its expiry. By default a twentieth of its lifetime.
    touch_after: float | None = None
    # Time to wait for the session's lock, or None to use no lock.
    lock: int | None = None
    # Time after which a lock ends by itself, if whoever holds it died.
    lease: int = 10
    # Number of sessions that a user may have. A login ends the oldest ones above it.
    max_sessions: int | None = None
    # Returns the owner of a session, given its data: None keeps the owner, and an empty name removes it.
    user: Callable | None = None
    # Returns what a person recognizes the session by, given the request.
    label: Callable | None = None
    # Time that one attempt of a call may take. Waits for a lock come on top of it.
    timeout: float = 5
    # Number of retries of a call that failed.
    retries: int = 2
    # Returns credentials of botocore, in place of those that botocore finds. Unless they refresh themselves, it is called
    # again every 5 minutes.
    credentials: Callable | None = None

    @classmethod
    def read(cls, **options):
        """Reads options, with the environment for those that are missing."""
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise ValueError(f'unknown option "{unknown[0]}": the options are {", ".join(names)}')
        options.setdefault("url", os.environ.get("SESSION_API_URL", ""))
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        options.setdefault("region", region)
        return cls(**options)

    def __post_init__(self):
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", self.url):
            raise ValueError(
                'set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
                f" as in https://abc.execute-api.eu-central-1.amazonaws.com; it is {self.url!r}"
            )
        limits = {
            "touch_after": (int | float, 0, None),
            "lock": (int, 0, 10),
            "lease": (int, 1, 60),
            "max_sessions": (int, 1, 100),
            "timeout": (int | float, 0.1, 60),
            "retries": (int, 0, 10),
        }
        for name, (kind, least, most) in limits.items():
            value = getattr(self, name)
            if value is None and name in ("touch_after", "lock", "max_sessions"):
                continue
            is_number = isinstance(value, kind) and not isinstance(value, bool)
            if not is_number or not value >= least or (most is not None and value > most):
                limit = f"{least} or more" if most is None else f"from {least} to {most}"
                number = "an integer" if kind is int else "a number"
                raise ValueError(f'the option "{name}" must be {number}, {limit}; it is {value!r}')
        for name in ("user", "label", "credentials"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ValueError(f'the option "{name}" must be a function; it is {value!r}')
        if self.max_sessions is not None and self.user is None:
            raise ValueError('the option "max_sessions" needs the option "user"')

    def owner(self, data) -> str | None:
        """Returns the owner of a session, given its data; None keeps the one that it has."""
        user = self.user and self.user(data)
        return None if user is None else calls.owner(user)
