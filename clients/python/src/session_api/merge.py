"""Merge of the changes of parallel requests."""

from collections.abc import Callable


def merge(base: dict, mine: dict, theirs: dict, dumps: Callable[[dict], bytes]) -> dict:
    """Returns theirs with the keys changed that differ between base and mine. Where both changed a key, mine wins.

    Values are compared as `dumps` writes them: to Python, 1, 1.0 and True are equal.
    """
    changed = {
        key: value for key, value in mine.items() if key not in base or dumps({key: value}) != dumps({key: base[key]})
    }
    merged = theirs | changed
    return {key: value for key, value in merged.items() if key in mine or key not in base}
