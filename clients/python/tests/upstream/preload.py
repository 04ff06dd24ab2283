"""Has the tests of Flask-Session find our sessions in place of their own."""

import sys
from types import ModuleType

from session_api.flask import SessionApi

sys.modules["flask_session"] = ModuleType("flask_session")
sys.modules["flask_session"].Session = SessionApi
