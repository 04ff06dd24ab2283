"""Runs Starlette's own tests of its SessionMiddleware with ours instead."""

import sys
from pathlib import Path

import pytest
import starlette.middleware.sessions
from session_api.starlette import SessionMiddleware

# From Starlette's source distribution: see ../test.
UPSTREAM = Path(sys.prefix) / "upstream" / "starlette"
if not (UPSTREAM / "tests").exists():
    pytest.skip("This version of Starlette comes without its tests", allow_module_level=True)
sys.path.insert(0, str(UPSTREAM))


class UnsignedSessionMiddleware(SessionMiddleware):
    """Accepts the key that Starlette signs cookies with, and ignores it: an id needs no signature."""

    def __init__(self, app, *, secret_key, **parameters):
        super().__init__(app, **parameters)


starlette.middleware.sessions.SessionMiddleware = UnsignedSessionMiddleware

from tests.conftest import *  # noqa: E402, F403
from tests.middleware.test_session import *  # noqa: E402, F403

# Their cookies expire before the response arrives, so our middleware refuses the option.
del test_session_expires, test_session_zero_max_age  # noqa: F821
