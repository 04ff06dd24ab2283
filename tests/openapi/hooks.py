"""Leaves out requests that the OpenAPI document can't rule out, or that the server on this machine can't pass on."""

import schemathesis

# cargo-lambda goes by the media type to decide what is text, and answers requests itself if the text isn't UTF-8.
# tests/api sends any bytes with any media type to the functions.
MEDIA_TYPES = (None, "application/json", "application/merge-patch+json", "application/octet-stream")


@schemathesis.hook
def filter_headers(context, headers):
    """Leaves out headers that the server can't pass on, and those that it doesn't have to refuse."""
    # cargo-lambda answers requests with non-ASCII values itself.
    is_conveyed = all(str(value).isascii() for value in (headers or {}).values())
    # HTTP allows headers that a server doesn't know.
    return is_conveyed and not any(name.lower().startswith("x-schemathesis") for name in headers or {})


@schemathesis.hook
def filter_case(context, case):
    """Leaves out headers that exclude each other, which OpenAPI can't express, and links from ownerless sessions."""
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
