"""A session's life as a caller sees it, through signed HTTP requests to the deployed API."""

import json

import costs
from contract import ROUTES
from emulator import STACK, handle_of


def test_exactly_the_routes_of_the_contract_are_deployed(stack):
    assert set(stack.routes) == {route.key for route in ROUTES}, "the deployed routes differ from the contract's"


def test_session_lives_from_create_to_destroy(stack, app):
    cart, fuller = b'{"cart":["apple"]}', b'{"cart":["apple","pear"]}'
    json_type = {"content-type": "application/json"}

    created = stack.call(app, "POST", "/session", json_type | {"session-ttl": "600", "session-user": "ada"}, cart)
    assert created.status == 201, f"create: {created}"
    session = {"session-id": created.headers["session-id"]}

    read = stack.call(app, "GET", "/session", session)
    assert (read.status, read.body) == (200, cart), f"read: {read}"
    assert read.headers["content-type"] == "application/json"
    assert read.headers["etag"] == created.headers["etag"]
    assert read.headers["session-user"] == "ada"

    head = stack.call(app, "HEAD", "/session", session)
    assert (head.status, head.body) == (200, b""), f"head: {head}"
    assert head.headers["etag"] == created.headers["etag"]

    known = stack.call(app, "GET", "/session", session | {"if-none-match": read.headers["etag"]})
    assert (known.status, known.body) == (304, b""), f"read with a current ETag: {known}"

    replaced = stack.call(app, "PUT", "/session", session | json_type | {"if-match": read.headers["etag"]}, fuller)
    assert replaced.status == 204, f"replace: {replaced}"

    stale = stack.call(app, "PUT", "/session", session | json_type | {"if-match": read.headers["etag"]}, cart)
    assert stale.status == 412, f"replace with a stale ETag: {stale}"
    assert json.loads(stale.body)["type"] == "urn:session-api:etag-mismatch"

    touched = stack.call(app, "POST", "/session/touch", session | {"session-ttl": "1200"})
    assert (touched.status, touched.headers["session-ttl"]) == (204, "1200"), f"touch: {touched}"

    again = stack.call(app, "GET", "/session", session)
    assert (again.status, again.body) == (200, fuller), f"read again: {again}"
    assert again.headers["etag"] == replaced.headers["etag"], "a touch changed the ETag"

    patched = stack.call(
        app,
        "PATCH",
        "/session",
        session | {"content-type": "application/merge-patch+json", "prefer": "return=representation"},
        b'{"theme":"dark"}',
    )
    assert (patched.status, patched.body) == (200, b'{"cart":["apple","pear"],"theme":"dark"}'), f"patch: {patched}"

    locked = stack.call(app, "POST", "/session/lock", session)
    assert (locked.status, locked.body) == (200, patched.body), f"lock: {locked}"
    outside = stack.call(app, "PUT", "/session", session | json_type, cart)
    assert outside.status == 423, f"replace without the lock's token: {outside}"
    unlocked = stack.call(app, "DELETE", "/session/lock", session | {"session-unlock": locked.headers["session-lock"]})
    assert unlocked.status == 204, f"unlock: {unlocked}"

    rotated = stack.call(app, "POST", "/session/rotate", session | {"session-grace": "60"})
    assert rotated.status == 200, f"rotate: {rotated}"
    old, session = session, {"session-id": rotated.headers["session-id"]}
    for under in (session, old):
        moved = stack.call(app, "GET", "/session", under)
        assert (moved.status, moved.body) == (200, patched.body), f"read after the rotation: {moved}"
    late = stack.call(app, "PUT", "/session", old | json_type, cart)
    assert late.status == 404, f"replace under the old id: {late}"

    ada = {"session-user": "ada"}
    listed = stack.call(app, "GET", "/sessions", ada | session)
    assert listed.status == 200, f"list: {listed}"
    mine = [entry for entry in json.loads(listed.body) if entry["current"]]
    assert [entry["handle"] for entry in mine] == [handle_of(session["session-id"])], f"list: {listed}"
    other = stack.call(app, "POST", "/session", json_type | ada, cart)
    handle = handle_of(other.headers["session-id"])
    revoked = stack.call(app, "DELETE", f"/sessions/{handle}", ada)
    assert revoked.status == 204, f"revoke by handle: {revoked}"
    stack.call(app, "POST", "/session", json_type | ada, cart)
    all_but_one = stack.call(app, "DELETE", "/sessions", ada | session)
    assert all_but_one.status == 200, f"revoke all: {all_but_one}"
    assert json.loads(all_but_one.body)["destroyed"] >= 1
    kept = stack.call(app, "GET", "/session", session)
    assert kept.status == 200, f"read the session that revoke-all keeps: {kept}"

    destroyed = stack.call(app, "DELETE", "/session", session)
    assert destroyed.status == 204, f"destroy: {destroyed}"

    for method, headers, body in [("GET", {}, None), ("PUT", json_type, cart)]:
        gone = stack.call(app, method, "/session", session | headers, body)
        assert gone.status == 404, f"{method} of a destroyed session: {gone}"
        assert json.loads(gone.body)["type"] == "urn:session-api:session-not-found"


def test_binary_data_is_returned_exactly(stack, app):
    """API Gateway passes binary data on as base64, which the tests in tests/api can't cover."""
    data = bytes(range(256)) * 40
    created = stack.call(app, "POST", "/session", {"content-type": "image/png"}, data)
    assert created.status == 201, f"create: {created}"
    read = stack.call(app, "GET", "/session", {"session-id": created.headers["session-id"]})
    assert (read.status, read.headers["content-type"]) == (200, "image/png"), f"read: {read}"
    assert read.body == data


def test_table_contains_neither_session_id_nor_data(stack, app):
    created = stack.call(app, "POST", "/session", {"content-type": "text/plain"}, b"a secret of the cart")
    session = created.headers["session-id"]
    items = stack.emulator.client("dynamodb").scan(TableName=stack.table)["Items"]
    assert items, "the session is not in the stack's table"
    assert session not in repr(items), "a copy of the table would reveal the session's id"
    assert "a secret of the cart" not in repr(items), "a copy of the table would reveal its data"


def test_log_contains_no_session_id(stack, app, session):
    stack.call(app, "GET", "/session", {"session-id": session})
    logs = stack.emulator.client("logs")
    messages = []
    for function in ("Read", "Write"):
        group = stack.resources[f"{function}Logs"]
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        messages += [event["message"] for page in pages for event in page["events"]]
    assert any('"status":200' in message.replace(" ", "") for message in messages), (
        "the functions' log lines are not in their log groups"
    )
    assert not [message for message in messages if session in message], "a log line contains a session's id"


def test_log_line_of_a_function_is_as_long_as_documented(stack, app, session):
    stack.call(app, "GET", "/session", {"session-id": session})
    pages = (
        stack.emulator.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{STACK}/read")
    )
    messages = [event["message"].strip() for page in pages for event in page["events"]]
    lines = [message for message in messages if message.startswith("{") and json.loads(message).get("status") == 200]
    assert costs.is_close(len(lines[-1]), costs.LINES["function"]), f"{len(lines[-1])} bytes: {lines[-1]}"
