"""Merges the changes of parallel requests."""

from collections.abc import Callable


def changes(base: dict, mine: dict, dumps: Callable[[dict], bytes]) -> dict:
    """Returns what mine has added to base or changed.

    Values are compared as written by `dumps`, because 1, 1.0 and True are equal in Python.
    """
    return {
        key: value for key, value in mine.items() if key not in base or dumps({key: value}) != dumps({key: base[key]})
    }


def merge(base: dict, mine: dict, theirs: dict, dumps: Callable[[dict], bytes]) -> dict:
    """Three-way merge of session data by its top-level keys. Returns theirs with my changes: the keys that differ
    between base and mine. If both changed a key, mine wins.
    """
    merged = theirs | changes(base, mine, dumps)
    return {key: value for key, value in merged.items() if key in mine or key not in base}
