"""Leaves out requests that the OpenAPI document cannot exclude, or that the server on this machine cannot convey."""

import schemathesis

# cargo-lambda decides by the media type what is text, and responds itself to text that is not UTF-8. tests/api sends any
# bytes with any media type to the functions.
MEDIA_TYPES = (None, "application/json", "application/merge-patch+json", "application/octet-stream")


@schemathesis.hook
def filter_headers(context, headers):
    """Leaves out headers that the server cannot convey, and those that it need not refuse."""
    # cargo-lambda responds itself to values outside ASCII.
    is_conveyed = all(str(value).isascii() for value in (headers or {}).values())
    # HTTP allows headers that a server does not know.
    return is_conveyed and not any(name.lower().startswith("x-schemathesis") for name in headers or {})


@schemathesis.hook
def filter_case(context, case):
    """Leaves out headers that exclude each other, which OpenAPI cannot express, and links of a session without a user."""
    if case.media_type not in MEDIA_TYPES:
        return False
    headers = {name.lower(): value for name, value in (case.headers or {}).items()}
    if case.path.startswith("/sessions"):
        return headers.get("session-user") not in ("", '""') and not {"session-id", "session-limit"} <= headers.keys()
    if {"session-lock", "session-unlock"} <= headers.keys():
        return False
    if "if-none-match" in headers and case.method == "PUT":
        return not {"if-match", "session-lock", "session-unlock"} & headers.keys()
    return headers.get("session-new-id", "") != headers.get("session-id")
