"""Merge of the changes of parallel requests."""

from collections.abc import Callable


def changes(base: dict, mine: dict, dumps: Callable[[dict], bytes]) -> dict:
    """Returns the keys of mine that base doesn't have, or has with another value.

    Values are compared as `dumps` writes them: to Python, 1, 1.0 and True are equal.
    """
    return {
        key: value for key, value in mine.items() if key not in base or dumps({key: value}) != dumps({key: base[key]})
    }


def merge(base: dict, mine: dict, theirs: dict, dumps: Callable[[dict], bytes]) -> dict:
    """Returns theirs with the keys changed that differ between base and mine. Where both changed a key, mine wins."""
    merged = theirs | changes(base, mine, dumps)
    return {key: value for key, value in merged.items() if key in mine or key not in base}
