"""Skips requests that aren't valid tests: OpenAPI can't express why, or the local server can't forward them."""

import schemathesis

# cargo-lambda decides by the media type whether a body is text. If text isn't UTF-8, it responds itself, without calling
# a function. tests/api covers what's skipped here: it sends the functions any bytes with any media type.
MEDIA_TYPES = (None, "application/json", "application/merge-patch+json", "application/octet-stream")


@schemathesis.hook
def filter_headers(context, headers):
    """Skips headers that the local server can't forward, and unknown headers, which the API doesn't have to refuse."""
    # cargo-lambda responds to requests with non-ASCII values itself.
    is_conveyed = all(str(value).isascii() for value in (headers or {}).values())
    # HTTP allows unknown headers.
    return is_conveyed and not any(name.lower().startswith("x-schemathesis") for name in headers or {})


@schemathesis.hook
def filter_case(context, case):
    """Skips mutually exclusive headers, which OpenAPI can't express, and links from sessions without an owner."""
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
