"""The app of the scenes in clients/conformance. Usage: conformance.py django|flask|starlette HOST:PORT"""

import json
import sys
import threading
from datetime import timedelta
from functools import cache

import session_api.django
import uvicorn
from apps import App, FlaskApp, StarletteApp
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from session_api.starlette import SessionMiddleware
from werkzeug.serving import run_simple


@cache
def flask_app(text):
    options = json.loads(text)
    ttl = options.pop("ttl", 3600)
    app = FlaskApp(**options)
    app.wsgi.permanent_session_lifetime = timedelta(seconds=ttl)
    return app.wsgi


@cache
def starlette_app(text):
    options = json.loads(text)
    ttl = options.pop("ttl", 3600)
    app = StarletteApp(**options)
    return SessionMiddleware(app.asgi.app, client=app.client(), max_age=ttl)


@cache
def django_client(text):
    options = json.loads(text)
    options.pop("ttl", None)
    return App(**options).client()


current = threading.local()


def django(environ, start_response):
    current.text = environ["HTTP_X_OPTIONS"]
    settings.SESSION_COOKIE_AGE = json.loads(current.text).get("ttl", 3600)
    session_api.django.client = lambda: django_client(current.text)
    return WSGIHandler()(environ, start_response)


def flask(environ, start_response):
    return flask_app(environ["HTTP_X_OPTIONS"])(environ, start_response)


async def starlette(scope, receive, send):
    if scope["type"] == "http":
        await starlette_app(dict(scope["headers"])[b"x-options"].decode())(scope, receive, send)


def main():
    framework, address = sys.argv[1:]
    host, port = address.split(":")
    if framework == "starlette":
        uvicorn.run(starlette, host=host, port=int(port), lifespan="off", log_level="error")
    else:
        run_simple(host, int(port), {"django": django, "flask": flask}[framework], threaded=True)


main()
