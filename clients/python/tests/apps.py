"""The same app in each framework. Its pages do the steps in the request's body and show the session after them."""

import asyncio
import json
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import django
import flask
import httpx
import session_api.django
import session_api.flask
import session_api.starlette
from calls_seen import Seen, SeenClient
from django.conf import settings
from session_api.options import Options
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

HOLDS = {}


class Hold:
    """Holds requests at their step `hold`: they report that they're there, and wait until the test lets them go on."""

    def __init__(self):
        self.step = ["hold", str(id(self))]
        self.reached = threading.Semaphore(0)
        self.is_over = threading.Event()
        HOLDS[self.step[1]] = self

    @classmethod
    def wait(cls, name):
        assert cls.reach(name).wait(60)

    @classmethod
    async def await_(cls, name):
        # A waiting thread would take the place of one that looks up the API's address.
        is_over = cls.reach(name)
        while not is_over.is_set():
            await asyncio.sleep(0.01)

    @staticmethod
    def reach(name):
        HOLDS[name].reached.release()
        return HOLDS[name].is_over


def user_of(session):
    return session.get("user")


def change(session, step, *parameters):
    """Does a step that's the same in all frameworks."""
    # The scenes in tests/conformance send three values for each step.
    match step, *parameters:
        case "set", key, value:
            session[key] = value
        case "unset", key, *_:
            session.pop(key, None)
        case "increment", key, *_:
            session[key] = session.get(key, 0) + 1
        case "nest", key, value:
            session["nested"][key] = value
        case "clear", *_:
            session.clear()
        case "break", *_:
            session["broken"] = object()
        case "fail", *_:
            raise RuntimeError("as the test wants")
        case _:
            raise AssertionError(step)


def shown(session):
    """Returns the part of a session that a page can show, because it can be serialized."""
    return {key: value for key, value in session.items() if key != "broken"}


@dataclass
class Page:
    status: int
    session: dict
    results: list
    id: str | None
    calls: list
    # Whether the response sets or deletes the session's cookie.
    sets_cookie: bool


@dataclass
class Browser:
    """A browser that visits pages of an app and keeps its session cookie."""

    app: "App"
    cookie: str | None = None
    agent: str = "Firefox"

    def visit(self, *steps):
        self.app.seen.take()
        headers = {"user-agent": self.agent}
        if self.cookie is not None:
            headers["cookie"] = f"{self.app.cookie}={self.cookie}"
        status, body, set_cookies = self.app.request(json.dumps(steps), headers)
        sets_cookie = any(line.strip().startswith(f"{self.app.cookie}=") for line in set_cookies)
        for line in set_cookies:
            name, _, rest = line.strip().partition("=")
            if name == self.app.cookie:
                value = rest.split(";")[0]
                is_gone = value in ("", "null", '""')
                self.cookie = None if is_gone else value
        page = json.loads(body) if status == 200 else {}
        return Page(status, page.get("session"), page.get("results"), self.cookie, self.app.seen.take(), sets_cookie)


class App:
    cookie = "session"
    # Status of a request that fails because of an outage.
    outage = 500

    def __init__(self, ttl=3600, **options):
        self.seen = Seen()
        self.ttl = ttl
        self.options = {"user": user_of} | options

    def client(self):
        return SeenClient(Options.read(**self.options), self.seen)

    def browser(self, **attributes):
        return Browser(self, **attributes)

    def stop(self):
        pass


class FlaskApp(App):
    def __init__(self, **options):
        super().__init__(**options)
        app = flask.Flask("app")
        app.permanent_session_lifetime = timedelta(seconds=self.ttl)
        self.sessions = session_api.flask.SessionApi(app, **self.options)
        self.sessions._client = self.client()
        app.post("/")(self.page)
        self.wsgi = app

    def page(self):
        sessions, session, results = self.sessions, flask.session, []
        for step, *parameters in flask.request.get_json(force=True):
            match step:
                case "sleep":
                    time.sleep(parameters[0] / 1000)
                case "hold":
                    Hold.wait(*parameters)
                case "regenerate":
                    sessions.regenerate(session)
                case "devices":
                    results.append(sessions.devices(session, session["user"]))
                case "logout_device":
                    results.append(sessions.logout_device(session["user"], *parameters))
                case "logout_other_devices":
                    results.append(sessions.logout_other_devices(session, session["user"]))
                case "logout_everywhere":
                    results.append(sessions.logout_everywhere(session["user"]))
                case _:
                    change(session, step, *parameters)
        return {"session": shown(session), "results": results}

    def request(self, body, headers):
        client = self.wsgi.test_client(use_cookies=False)
        response = client.post("/", data=body, headers=headers)
        return response.status_code, response.data, response.headers.getlist("set-cookie")


class StarletteApp(App):
    outage = 503

    def __init__(self, **options):
        super().__init__(**options)
        self.asgi = session_api.starlette.SessionMiddleware(
            Starlette(routes=[Route("/", self.page, methods=["POST"])]), client=self.client(), max_age=self.ttl
        )
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def page(self, request):
        api, user, results = session_api.starlette, request.session.get("user"), []
        for step, *parameters in json.loads(await request.body()):
            match step:
                case "sleep":
                    await asyncio.sleep(parameters[0] / 1000)
                case "hold":
                    await Hold.await_(*parameters)
                case "regenerate":
                    api.regenerate(request)
                case "devices":
                    results.append(await api.devices(request, user))
                case "logout_device":
                    results.append(await api.logout_device(request, user, *parameters))
                case "logout_other_devices":
                    results.append(await api.logout_other_devices(request, user))
                case "logout_everywhere":
                    results.append(await api.logout_everywhere(request, user))
                case _:
                    change(request.session, step, *parameters)
        return JSONResponse({"session": shown(request.session), "results": results})

    def request(self, body, headers):
        async def post():
            transport = httpx.ASGITransport(self.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                return await client.post("/", content=body, headers=headers)

        try:
            response = asyncio.run_coroutine_threadsafe(post(), self.loop).result()
        except Exception:
            # A server would respond with a 500, too.
            return 500, b"", []
        return response.status_code, response.content, response.headers.get_list("set-cookie")


class DjangoApp(App):
    cookie = "sessionid"

    def __init__(self, **options):
        super().__init__(**options)
        settings.SESSION_API = self.options
        settings.SESSION_COOKIE_AGE = self.ttl
        session_api.django.client.cache_clear()
        self._client = self.client()
        session_api.django.client = cache(lambda: self._client)

    def stop(self):
        session_api.django.client.cache_clear()

    def request(self, body, headers):
        from django.core.handlers.wsgi import WSGIHandler
        from werkzeug.test import Client as WsgiClient

        client = WsgiClient(WSGIHandler(), use_cookies=False)
        response = client.post("/", data=body, headers=headers)
        return response.status_code, response.data, response.headers.getlist("set-cookie")


def django_page(request):
    from django.http import JsonResponse

    api, results = session_api.django, []
    for step, *parameters in json.loads(request.body):
        match step:
            case "sleep":
                time.sleep(parameters[0] / 1000)
            case "hold":
                Hold.wait(*parameters)
            case "devices":
                results.append(api.devices(request))
            case "logout_device":
                results.append(api.logout_device(request, *parameters))
            case "logout_other_devices":
                results.append(api.logout_other_devices(request))
            case "logout_everywhere":
                results.append(api.logout_everywhere(request))
            case "regenerate":
                request.session.cycle_key()
            case "save":
                request.session.save()
            case "nest":
                change(request.session, step, *parameters)
                request.session.modified = True
            case "clear":
                request.session.flush()
            case _:
                change(request.session, step, *parameters)
    return JsonResponse({"session": shown(request.session), "results": results})


def urlpatterns():
    from django.urls import path

    return [path("", django_page)]


# Django's own tests need their models.
sys.path.insert(0, str(Path(sys.prefix) / "upstream" / "django" / "tests"))
settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG_PROPAGATE_EXCEPTIONS=False,
    INSTALLED_APPS=["django.contrib.sessions", "sessions_tests"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["session_api.django.SessionMiddleware"],
    ROOT_URLCONF=tuple(urlpatterns()),
    SECRET_KEY="of the tests",
    SESSION_ENGINE="session_api.django",
    SESSION_API={"url": "http://localhost"},
)
django.setup()

APPS = {"django": DjangoApp, "flask": FlaskApp, "starlette": StarletteApp}
