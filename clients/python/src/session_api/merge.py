"""Merges the changes of parallel requests."""

from collections.abc import Callable
from typing import Any

# A session's data.
Data = dict[str, Any]


def changes(base: Data, mine: Data, dumps: Callable[[Data], bytes]) -> Data:
    """Returns what mine has added to base or changed.

    Values are compared as written by `dumps`, because 1, 1.0 and True are equal in Python.
    """
    return {
        key: value for key, value in mine.items() if key not in base or dumps({key: value}) != dumps({key: base[key]})
    }


def merge(base: Data, mine: Data, theirs: Data, dumps: Callable[[Data], bytes]) -> Data:
    """Three-way merge of session data by its top-level keys. Returns theirs with my changes: the keys that differ
    between base and mine. If both changed a key, mine wins.
    """
    merged = theirs | changes(base, mine, dumps)
    return {key: value for key, value in merged.items() if key in mine or key not in base}
