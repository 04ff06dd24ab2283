"""The session handlers to compare, and how to start an app with each."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLIENTS = ROOT / "clients"
sys.path.insert(0, str(ROOT / "tests/conformance"))
from stage import App, session_id  # noqa: E402
from stores import STORES  # noqa: E402

__all__ = ["HANDLERS", "HERE", "ROOT", "Handler", "Stage", "choose", "session_id"]

# PHP's own server ignores the buffer that php.ini-production and php.ini-development set.
PHP = ["php", "-d", "display_errors=0", "-d", "output_buffering=4096", "-S", "ADDRESS", HERE / "apps/page.php"]
EXPRESS = ["node", HERE / "apps/express.js"]
PYTHON = [sys.executable, "-B", HERE / "apps/app.py"]
LARAVEL = [CLIENTS / "laravel/tests/conformance", "ADDRESS"]
RAILS = ["ruby", HERE / "apps/rails.rb"]
OWN_PYTHON = [CLIENTS / "python/.venv/bin/python", "-B", CLIENTS / "python/tests/conformance.py"]
LARAVEL_NAMES = {"destroy": ["invalidate"], "regenerate": ["regenerate", True]}


@dataclass
class Handler:
    """A session handler: what the table calls it, its store, and its app."""

    title: str
    store: str
    command: list
    environment: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    # Laravel's driver.
    driver: str = ""
    has_lock: bool = False


HANDLERS = {
    "php-files": Handler("PHP, files", "disk", PHP, {"HANDLER": "files"}, has_lock=True),
    "php-redis": Handler("PHP, phpredis", "Redis", PHP, {"HANDLER": "redis"}),
    "php-redis-locking": Handler(
        "PHP, phpredis with locking", "Redis", PHP, {"HANDLER": "redis-locking"}, has_lock=True
    ),
    "aws-sdk-php": Handler("PHP, AWS SDK", "DynamoDB", PHP, {"HANDLER": "aws-sdk"}),
    "aws-sdk-php-locking": Handler(
        "PHP, AWS SDK with locking", "DynamoDB", PHP, {"HANDLER": "aws-sdk-locking"}, has_lock=True
    ),
    "php": Handler("PHP, `session-api/php`", "session API", PHP, {"HANDLER": "session-api"}),
    "php-locking": Handler(
        "PHP, `session-api/php` with `lock`", "session API", PHP, {"HANDLER": "session-api-locking"}, has_lock=True
    ),
    "laravel-database": Handler("Laravel, `database`", "disk", LARAVEL, names=LARAVEL_NAMES, driver="database"),
    "laravel-redis": Handler("Laravel, `redis`", "Redis", LARAVEL, names=LARAVEL_NAMES, driver="redis"),
    "laravel-dynamodb": Handler("Laravel, `dynamodb`", "DynamoDB", LARAVEL, names=LARAVEL_NAMES, driver="dynamodb"),
    "laravel": Handler(
        "Laravel, `session-api/laravel`", "session API", LARAVEL, names=LARAVEL_NAMES, driver="session-api"
    ),
    "connect-redis": Handler("Express, connect-redis", "Redis", [*EXPRESS, "connect-redis", "ADDRESS"]),
    "connect-dynamodb": Handler("Express, connect-dynamodb", "DynamoDB", [*EXPRESS, "connect-dynamodb", "ADDRESS"]),
    "express": Handler(
        "Express, `@session-api/express`", "session API", ["node", CLIENTS / "express/tests/conformance.js", "ADDRESS"]
    ),
    "flask-session-redis": Handler("Flask-Session", "Redis", [*PYTHON, "flask-session-redis", "ADDRESS"]),
    "flask-session-dynamodb": Handler("Flask-Session", "DynamoDB", [*PYTHON, "flask-session-dynamodb", "ADDRESS"]),
    "flask": Handler(
        "Flask, `session-api`", "session API", [*OWN_PYTHON, "flask", "ADDRESS"], names={"destroy": ["clear"]}
    ),
    "django-db": Handler("Django, `db`", "disk", [*PYTHON, "django-db", "ADDRESS"]),
    "django-cache": Handler("Django, `cache`", "Redis", [*PYTHON, "django-cache", "ADDRESS"]),
    "django": Handler(
        "Django, `session-api`", "session API", [*OWN_PYTHON, "django", "ADDRESS"], names={"destroy": ["clear"]}
    ),
    "rails-redis": Handler("Rails, `redis_store`", "Redis", [*RAILS, "redis_store", "ADDRESS"]),
    "rails-cache": Handler("Rails, `cache_store`", "Redis", [*RAILS, "cache_store", "ADDRESS"]),
    "rails-dynamodb": Handler("Rails, `dynamodb_store`", "DynamoDB", [*RAILS, "dynamodb_store", "ADDRESS"]),
    "rails-dynamodb-locking": Handler(
        "Rails, `dynamodb_store` with locking",
        "DynamoDB",
        [*RAILS, "dynamodb_store-locking", "ADDRESS"],
        has_lock=True,
    ),
    "rails": Handler("Rails, `session_api`", "session API", [CLIENTS / "ruby/tests/conformance", "ADDRESS"]),
}


# These need packages that only Composer or RubyGems can install.
PROVIDED = {
    "AWS_SDK_PHP": ("aws-sdk-php", "aws-sdk-php-locking", "laravel-dynamodb"),
    "AWS_SDK_RAILS": ("rails-dynamodb", "rails-dynamodb-locking"),
}


def choose(names):
    """Returns which of these handlers can run here, and sets the environment variables that they need."""
    # The local DynamoDB accepts any credentials.
    os.environ |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    os.environ |= dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "eu-central-1")
    for variable, needing in PROVIDED.items():
        left_out = [name for name in names if name in needing and variable not in os.environ]
        if left_out:
            print(f"{variable} is not set, so these handlers are left out: {', '.join(left_out)}")
        names = [name for name in names if name not in left_out]
    return names


class Stage:
    """A handler's app, and its store."""

    def __init__(self, handler, options=None):
        """Starts both. `options` are the settings of the session API's clients."""
        self.handler = handler
        self.store = STORES[handler.store]()
        self._headers = {
            "x-options": json.dumps({"url": self.store.url, "touch_after": 60} | (options or {})),
            "x-ini": json.dumps({"driver": handler.driver} | self.store.laravel),
            "x-calls": f"{self.store.url}/calls" if self.store.proxy is None else os.devnull,
        }
        self._app = App(handler.command, handler.names, handler.environment | {"STORE_URL": self.store.url})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._app.__exit__()
        self.store.close()

    def visit(self, *steps, cookies, timeout=60):
        return self._app.visit(steps, cookies, self._headers, timeout)

    def begin(self):
        """Returns the cookies of a new session."""
        page = self.visit(["set", "a", 1], ["set", "gone", 1], cookies={})
        if not page.is_ok:
            sys.exit(f"error: a new session of {self.handler.title} failed: {page.reason}\n{self._app.log()}")
        return page.cookies

    def together(self, *visits, cookies):
        """Makes visits in parallel. Each has a delay in seconds and a list of steps."""

        def visit(delay, steps):
            time.sleep(delay)
            return self.visit(*steps, cookies=cookies)

        with ThreadPoolExecutor(len(visits)) as pool:
            return list(pool.map(visit, *zip(*visits, strict=True)))
