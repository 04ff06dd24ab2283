"""The app that the scenes in tests/conformance visit. Usage: conformance.py django|flask|starlette HOST:PORT"""

import json
import sys
import threading
from functools import cache

import session_api.django
import uvicorn
from apps import App, FlaskApp, StarletteApp
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from werkzeug.serving import run_simple


@cache
def flask_app(text):
    return FlaskApp(**json.loads(text)).wsgi


@cache
def starlette_app(text):
    return StarletteApp(**json.loads(text)).asgi


@cache
def django_client(text):
    return App(**json.loads(text)).client()


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
