import os

import pytest
from apps import APPS
from django.test import override_settings


def pytest_configure():
    if "SESSION_API_URL" not in os.environ:
        raise pytest.UsageError("SESSION_API_URL is not set: run `make test-clients`")


@pytest.fixture(params=APPS)
def start(request):
    """Starts an app in each framework, with the options that the test passes."""
    apps = []

    def start(**options):
        apps.append(APPS[request.param](**options))
        return apps[-1]

    start.framework = request.param
    yield start
    for app in apps:
        app.stop()


@pytest.fixture
def save_every_request():
    """Makes Django slide the expiry of unchanged sessions, as the other frameworks do."""
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        yield
