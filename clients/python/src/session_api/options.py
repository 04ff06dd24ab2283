"""The client's options. Times are in seconds."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

from . import calls

_URL = r"https?://[^\s/?#@]+(/[^\s?#]*)?"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that all frameworks share. If one is invalid, raises a `ValueError` naming it and its valid values."""

    # URL of the API, such as https://abc.execute-api.eu-central-1.amazonaws.com.
    url: str
    # URLs of the functions by their names, from the stack's output FunctionUrls: calls about one session go past API
    # Gateway. Empty if there are none.
    function_urls: dict[str, str]
    # AWS region to sign for, unless the URL names it.
    region: str
    # Time after which using an unchanged session slides its expiry. Default: 5% of the lifetime.
    touch_after: float | None = None
    # Time to wait for the session's lock, 0 to 10; None for no lock.
    lock: int | None = None
    # Time after which a lock expires by itself, 1 to 60.
    lease: int = 10
    # Maximum number of sessions per user, 1 to 100. A login beyond that ends the oldest.
    max_sessions: int | None = None
    # Returns a session's owner, given its data: None keeps the owner, an empty name removes it.
    user: Callable[[Any], object] | None = None
    # Returns the name shown in the device list, given the request.
    label: Callable[[Any], str | None] | None = None
    # Time for each attempt of a call, plus the wait for a lock.
    timeout: float = 5
    # Retries of a failed call.
    retries: int = 2
    # Returns botocore credentials, if not those that botocore finds. It's called again every 5 minutes, unless they
    # refresh themselves.
    credentials: Callable[[], Any] | None = None

    @classmethod
    def read(cls, **options: Any) -> Self:
        """Makes options from these, and from the environment for those that are missing."""
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(options) - set(names))
        if unknown:
            raise ValueError(f'Unknown option "{unknown[0]}". The options are: {", ".join(names)}.')
        # An API that the app names gets no other API's functions from the environment.
        options.setdefault("function_urls", None if "url" in options else os.environ.get("SESSION_API_FUNCTION_URLS"))
        options.setdefault("url", os.environ.get("SESSION_API_URL", ""))
        options["function_urls"] = _function_urls(options["function_urls"])
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        options.setdefault("region", region)
        return cls(**options)

    def __post_init__(self) -> None:
        if not re.fullmatch(_URL, self.url):
            raise ValueError(
                'Set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
                f" such as https://abc.execute-api.eu-central-1.amazonaws.com; it is {self.url!r}."
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
                raise ValueError(f'The option "{name}" must be {number}, {limit}; it is {value!r}.')
        for name in ("user", "label", "credentials"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ValueError(f'The option "{name}" must be a function; it is {value!r}.')
        if self.max_sessions is not None and self.user is None:
            raise ValueError('The option "max_sessions" needs the option "user".')

    def url_of(self, call: calls.Call[Any]) -> str:
        """Returns the URL that a call goes to: its function's, or the API's."""
        return self.function_urls.get(call.function or "", self.url)

    def owner(self, data: Any) -> str | None:
        """Returns a session's owner, given its data; None keeps the owner that it has."""
        user = self.user and self.user(data)
        return None if user is None else calls.owner(user)


def _function_urls(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    entries = [entry.partition("=")[::2] for entry in str(text).split(",")]
    names = sorted(name for name, _ in entries)
    if names != ["destroy", "read", "write"] or not all(re.fullmatch(_URL, url) for _, url in entries):
        raise ValueError(
            'Set the option "function_urls" or the variable SESSION_API_FUNCTION_URLS to the stack\'s output'
            f" FunctionUrls, such as read=https://...,write=https://...,destroy=https://...; it is {text!r}."
        )
    return dict(entries)
