"""Django and Flask apps. Usage: app.py HANDLER ADDRESS, with the store's URL in STORE_URL"""

import json
import os
import sys
import time

from werkzeug.serving import run_simple

STORE = os.environ["STORE_URL"]


def do(session, steps, regenerate, destroy):
    for step, first, second in steps:
        match step:
            case "set":
                session[first] = second
            case "unset":
                session.pop(first, None)
            case "sleep":
                time.sleep(first / 1000)
            case "regenerate":
                regenerate()
            case "destroy":
                destroy()


def flask_session(kind):
    import flask
    from flask_session import Session

    app = flask.Flask("app")
    app.config["SESSION_TYPE"] = kind
    if kind == "redis":
        from redis import Redis

        app.config["SESSION_REDIS"] = Redis.from_url(STORE)
    else:
        import boto3

        app.config["SESSION_DYNAMODB"] = boto3.resource("dynamodb", endpoint_url=STORE)
        app.config["SESSION_DYNAMODB_TABLE"] = "flask"
    Session(app)

    @app.post("/")
    def page():
        session = flask.session
        steps = flask.request.get_json(force=True)
        do(session, steps, lambda: app.session_interface.regenerate(session), session.clear)
        return {"session": dict(session)}

    return app


def django(engine):
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path

    def page(request):
        session = request.session
        do(session, json.loads(request.body), session.cycle_key, session.flush)
        return JsonResponse({"session": dict(session.items())})

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{STORE}/django.sqlite"}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": STORE}},
        DATABASES={"default": database} if engine == "db" else {},
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=(path("", page),),
        SECRET_KEY="of the tests",
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
    )
    app = get_wsgi_application()
    if engine == "db":
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
    return app


HANDLERS = {
    "flask-session-redis": lambda: flask_session("redis"),
    "flask-session-dynamodb": lambda: flask_session("dynamodb"),
    "django-cache": lambda: django("cache"),
    "django-db": lambda: django("db"),
}


def main():
    handler, address = sys.argv[1:]
    host, port = address.split(":")
    run_simple(host, int(port), HANDLERS[handler](), threaded=True)


main()
