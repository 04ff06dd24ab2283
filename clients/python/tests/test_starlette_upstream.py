"""Starlette's own tests of its SessionMiddleware, with ours in its place."""

import sys
from pathlib import Path

import starlette.middleware.sessions
from session_api.starlette import SessionMiddleware

# From Starlette's source distribution: see ../test.
UPSTREAM = Path(__file__).parent.parent / ".venv" / "upstream" / "starlette"
sys.path.insert(0, str(UPSTREAM))


class UnsignedSessionMiddleware(SessionMiddleware):
    """Takes the key of Starlette's signed cookies. An id needs no signature."""

    def __init__(self, app, *, secret_key, **parameters):
        super().__init__(app, **parameters)


starlette.middleware.sessions.SessionMiddleware = UnsignedSessionMiddleware

from tests.conftest import *  # noqa: E402, F403
from tests.middleware.test_session import *  # noqa: E402, F403

# The cookie expires before the response arrives, so the option is refused.
del test_session_expires, test_session_zero_max_age  # noqa: F821
