"""Makes Flask-Session's tests use the session API instead of Flask-Session."""

import sys
from types import ModuleType

from session_api.flask import SessionApi

sys.modules["flask_session"] = ModuleType("flask_session")
sys.modules["flask_session"].Session = SessionApi
