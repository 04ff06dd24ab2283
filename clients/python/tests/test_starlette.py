"""What only Starlette has: WebSockets, middleware in mounted apps, and paths without a session."""

import json
import secrets

import pytest
from session_api import Unavailable, calls
from session_api.client import Client
from session_api.options import Options
from session_api.starlette import SessionMiddleware, regenerate
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient


async def show(request):
    return JSONResponse({"session": str(dict(request.session))})


async def change(request):
    request.session[request.query_params["key"]] = json.loads(request.query_params["value"])
    if "regenerate" in request.query_params:
        regenerate(request)
    return JSONResponse({})


async def socket(websocket):
    await websocket.accept()
    websocket.session["socket"] = 1
    await websocket.send_json(websocket.session)
    await websocket.receive_text()


ROUTES = [Route("/", show), Route("/change", change), WebSocketRoute("/socket", socket)]


def browser(routes=ROUTES, handlers=None, **options):
    middleware = [Middleware(SessionMiddleware, **options)]
    return TestClient(Starlette(routes=routes, middleware=middleware, exception_handlers=handlers))


def shown(browser):
    return browser.get("/").json()["session"]


def test_open_websocket_holds_no_lock():
    with browser(lock=0) as tab:
        tab.get("/change?key=a&value=1")
        with tab.websocket_connect("/socket") as socket, tab.websocket_connect("/socket") as second:
            assert socket.receive_json() == second.receive_json() == {"a": 1, "socket": 1}
            assert tab.get("/change?key=a&value=2").status_code == 200
            socket.send_text("close")
            second.send_text("close")
        assert shown(tab) == "{'a': 2}"


def test_half_an_emoji_is_kept():
    tab = browser()
    assert tab.get("/change", params={"key": "a", "value": r'"\ud83d"'}).status_code == 200
    assert shown(tab) == r"{'a': '\ud83d'}"


def test_middleware_in_a_mounted_app_keeps_the_new_id():
    inner = Starlette(routes=ROUTES, middleware=[Middleware(SessionMiddleware, touch_after=0)])
    tab = browser([Mount("/app", inner), Route("/", show)], touch_after=0)
    tab.get("/app/change?key=a&value=1")
    old = tab.cookies["session"]
    tab.get("/app/change?key=user&value=1&regenerate=1")
    assert tab.cookies["session"] != old
    assert shown(tab) == "{'a': 1, 'user': 1}"


def test_middleware_in_a_mounted_app_does_not_wait_for_its_own_lock():
    inner = Starlette(routes=ROUTES, middleware=[Middleware(SessionMiddleware, lock=0)])
    tab = browser([Mount("/app", inner), Route("/", show)], lock=0)
    for value in (1, 2):
        assert tab.get(f"/app/change?key=a&value={value}").status_code == 200
    assert shown(tab) == "{'a': 2}"


def test_middleware_in_a_mounted_app_may_have_another_cookie():
    inner = Starlette(routes=ROUTES, middleware=[Middleware(SessionMiddleware, session_cookie="inner", lock=0)])
    tab = browser([Mount("/app", inner), *ROUTES], lock=0)
    tab.get("/change?key=a&value=1")
    tab.get("/app/change?key=a&value=2")
    assert (shown(tab), tab.get("/app/").json()["session"]) == ("{'a': 1}", "{'a': 2}")


@pytest.mark.parametrize("cookie", ["", "x" * 32])
def test_outage_is_status_503(cookie, caplog):
    """Whether a session can't be read or a new one can't be written."""
    response = browser(url="http://localhost:1", retries=0).get(
        "/change?key=a&value=1", headers={"cookie": f"session={cookie}"}
    )
    assert (response.status_code, response.text) == (503, "Service Unavailable")
    assert response.headers["retry-after"] == "1" and response.headers["content-type"].startswith("text/plain")
    assert "cannot be reached" in caplog.text


@pytest.mark.parametrize("cookie", ["", "x" * 32])
def test_handler_of_unavailable_responds_to_an_outage(cookie):
    handlers = {Unavailable: lambda request, error: PlainTextResponse("later", 500)}
    tab = browser(handlers=handlers, url="http://localhost:1", retries=0)
    response = tab.get("/change?key=a&value=1", headers={"cookie": f"session={cookie}"})
    assert (response.status_code, response.text) == (500, "later")


def test_excluded_paths_have_no_session_and_make_no_calls():
    tab = browser([Mount("/static", PlainTextResponse("body")), *ROUTES], url="http://localhost:1", exclude=["/static"])
    tab.cookies["session"] = "x" * 32
    assert tab.get("/static/site.css").text == "body"
    assert tab.get("/").status_code == 503


def test_lock_is_released_if_the_data_cannot_be_read():
    id = secrets.token_urlsafe(24)
    client = Client(Options.read(lock=0))
    client.send(calls.create(id, b"no json", calls.Attributes(60)))
    tab = browser(lock=0)
    tab.cookies["session"] = id
    with pytest.raises(ValueError):
        tab.get("/")
    assert client.send(calls.lock(id, 0, 1))


@pytest.mark.parametrize("max_age", [3600.5, 0.5])
def test_lifetime_is_whole_seconds(max_age):
    if max_age < 1:
        with pytest.raises(ValueError, match="max_age"):
            SessionMiddleware(None, max_age=max_age)
    else:
        assert "Max-Age=3601;" in browser(max_age=max_age).get("/change?key=a&value=1").headers["set-cookie"]
