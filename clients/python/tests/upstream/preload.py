"""Replaces Flask-Session by the session API in Flask-Session's tests."""

import sys
from types import ModuleType

from session_api.flask import SessionApi

sys.modules["flask_session"] = ModuleType("flask_session")
sys.modules["flask_session"].Session = SessionApi
