"""The template's promises: each is a check that reports what is broken, with the mutations that it must catch.

A module for each thing that they look at. A new promise goes into the module of its subject.
"""

from . import deployment, gateway, monitoring, parameters, permissions, table  # noqa: F401
from .design import PROMISES, Design  # noqa: F401
