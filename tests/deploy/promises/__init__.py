"""The template's promises: each is a check that reports what's broken, with the mutations it must catch.

Each module covers one subject; a new promise goes where it fits.
"""

from . import deployment, gateway, monitoring, parameters, permissions, table  # noqa: F401
from .design import PROMISES, Design  # noqa: F401
