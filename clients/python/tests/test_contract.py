"""Plays tests/conformance/contract.json, which defines what all clients send and how they read responses."""

import json
import re
from pathlib import Path

import httpcore
import pytest
from botocore.credentials import Credentials
from session_api import Locked, Unavailable, calls
from session_api.calls import Attributes, Pause, Stored
from session_api.client import Client, _drive
from session_api.errors import Conflict
from session_api.options import Options

CONTRACT = json.loads((Path(__file__).parents[3] / "tests/conformance/contract.json").read_text())
BACK_OFF = CONTRACT["back_off"]
# Calls that this client doesn't have.
MISSING = {"destroy-unchanged", "rotate-locked"}
client = Client(Options.read(url="http://localhost", retries=1))


def cases(kind):
    return [pytest.param(case, id=case["name"]) for case in CONTRACT[kind] if case["call"] not in MISSING]


def call(case):
    given = case["with"]
    id, user = given.get("id"), given.get("user")
    data = given.get("data", "").encode()
    stored = Stored(id, b"{}", given.get("etag"), 60, given.get("owner"), given.get("lock"))
    attributes = Attributes(given.get("ttl", 60), user, given.get("label"))
    return {
        "read": lambda: calls.read(id),
        "exists": lambda: calls.exists(id),
        "lock": lambda: calls.lock(id, given["wait"], given["lease"]),
        "create": lambda: calls.create(id, data, attributes),
        "replace": lambda: calls.replace(stored, data, attributes),
        "rotate": lambda: calls.rotate(stored, given["new_id"], data, attributes),
        "touch": lambda: calls.touch(stored, given["ttl"]),
        "release": lambda: calls.release(stored),
        "destroy": lambda: calls.destroy(id),
        "sessions": lambda: calls.sessions(user, id),
        "destroy-all": lambda: calls.destroy_all(user, id),
        "limit": lambda: calls.limit(user, given["limit"]),
        "destroy-by-handle": lambda: calls.destroy_by_handle(user, given["handle"]),
    }[case["call"]]()


@pytest.mark.parametrize("limit", [limit for limit in CONTRACT["limits"] if limit["option"] != "grace"])
def test_limit(limit):
    name = limit["option"]
    for value in (limit["min"], limit["max"]):
        Options.read(**{"user": str, name: value})
    for value in (limit["min"] - 1, limit["max"] + 1):
        with pytest.raises(ValueError, match=f'"{name}" must be .* from {limit["min"]} to {limit["max"]};'):
            Options.read(**{"user": str, name: value})


@pytest.mark.parametrize("case", cases("requests"))
def test_request(case):
    request = client._signer.request(call(case))
    headers = request["headers"]
    assert request["method"] == case["method"]
    assert request["url"] == client.options.url + case["path"]
    assert (request["content"] or b"").decode() == case["body"]
    assert {name: headers.get(name) for name in case["headers"]} == case["headers"]
    assert not set(headers) & set(case.get("absent", []))
    assert set(headers) >= set(case.get("present", []))
    if "idempotency-key" in headers:
        assert re.fullmatch("[A-Za-z0-9_,-]{16,128}", headers["idempotency-key"])
        assert client._signer.request(call(case))["headers"]["idempotency-key"] != headers["idempotency-key"]


def signed(case, **options):
    """Returns a case's call as the client sends it with these options, signed."""
    signer = Client(Options.read(credentials=lambda: Credentials("key", "secret"), **options))._signer
    signer.fetch()
    return signer.request(call(case))


@pytest.mark.parametrize("case", cases("requests"))
@pytest.mark.parametrize("value", CONTRACT["function_urls"]["valid"])
def test_request_goes_to_its_function(case, value):
    route = f"{case['method']} {case['path']}"
    name = next((name for name, routes in CONTRACT["functions"].items() if route in routes), None)
    urls = dict(entry.split("=") for entry in value.split(","))
    api = client.options.url
    url = urls.get(name, api).rstrip("/")
    assert signed(case, url=api, function_urls=value)["url"] == url + case["path"]


@pytest.mark.parametrize("value", CONTRACT["function_urls"]["invalid"])
def test_invalid_function_urls(value):
    message = '"function_urls" or the variable SESSION_API_FUNCTION_URLS .* output FunctionUrls'
    with pytest.raises(ValueError, match=message):
        Options.read(function_urls=value)


@pytest.mark.parametrize("case", CONTRACT["signed_for"], ids=lambda case: case["url"])
def test_signed_for(case):
    of_functions = ",".join(f"{name}={case['url']}" for name in CONTRACT["functions"])
    options = {"function_urls": of_functions} if case.get("is_of_function") else {"url": case["url"]}
    read = next(each for each in CONTRACT["requests"] if each["call"] == "read")
    authorization = signed(read, region="eu-west-3", **options)["headers"]["Authorization"]
    assert f"/{case['region']}/{case['service']}/aws4_request" in authorization


@pytest.mark.parametrize("case", cases("responses"))
def test_response(case):
    expected, found = case["outcome"], play(case)
    text = found.pop("text", "")
    for name in ("status", "reason"):
        assert str(expected.get(name) or "") in text
    assert {name: found.get(name) for name in expected if name not in ("status", "reason")} == {
        name: value for name, value in expected.items() if name not in ("status", "reason")
    }


def play(case):
    """Makes a case's call with the case's response to every attempt. Returns the outcome as in the contract."""
    headers = [(name.encode(), value.encode()) for name, value in case["headers"].items()]
    response = httpcore.Response(case["status"], headers=headers, content=case["body"].encode())
    response.read()
    lost = [case.get("retry", False)]
    pauses = []

    def act(step):
        if isinstance(step, Pause):
            pauses.append(step.seconds)
        elif lost.pop() if lost else False:
            raise httpcore.ReadError
        else:
            return response

    try:
        value = _drive(client._attempts(call(case)), act)
    except Conflict as conflict:
        return {"is": "changed"} | fields(conflict.current)
    except Locked:
        return {"is": "locked"}
    except Unavailable as error:
        waited = [None if BACK_OFF["min"] <= seconds <= BACK_OFF["max"] else seconds for seconds in pauses]
        retry_after = waited[-1] if waited else None
        return {"is": "unavailable" if waited else "refused", "retry_after": retry_after, "text": str(error)}
    match value:
        case Stored():
            return {
                "is": {"read": "session", "lock": "session", "touch": "done"}.get(case["call"], "written"),
                **fields(value),
            }
        case None:
            return {"is": {"create": "taken", "release": "done", "destroy": "done"}.get(case["call"], "absent")}
        case bool():
            return {"is": "found", "value": value}
        case int():
            return {"is": "destroyed", "count": value}
    return {"is": "list", "sessions": value}


def fields(stored):
    return {name: getattr(stored, name) for name in ("etag", "ttl", "user", "lock")} | {"data": stored.data.decode()}
