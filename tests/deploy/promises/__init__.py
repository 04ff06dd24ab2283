"""The template's promises. Each is a check that reports what's broken, together with mutations that it must catch.

Each module covers one subject.
"""

from . import deployment, gateway, monitoring, parameters, permissions, table  # noqa: F401
from .design import PROMISES, Design  # noqa: F401
