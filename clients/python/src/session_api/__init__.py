"""Keeps sessions of Django, Flask and Starlette apps in the session API."""

from .errors import Locked, Unavailable

__all__ = ["Locked", "Unavailable"]
