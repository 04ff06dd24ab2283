"""The clients call the deployed API with their own signatures and credentials."""

import shutil
import subprocess

import pytest

import template as tpl

CLIENTS = tpl.ROOT / "clients"
# Each client has a program that takes a session through its life.
LIVES = {
    "express": ["node", CLIENTS / "express/tests/life.js"],
    "php": ["php", "-d", "zend.assertions=1", CLIENTS / "php/tests/life.php"],
    "python": [CLIENTS / "python/.venv/bin/python", CLIENTS / "python/tests/life.py"],
    "rust": [tpl.ROOT / "target/debug/examples/life"],
}
# A file or folder that exists once a client's tests are installed.
INSTALLED = {"express": CLIENTS / "express/node_modules", "rust": tpl.ROOT / "target/debug/examples/life"}

clients = pytest.mark.parametrize("client", LIVES)


def live(client, stack, credentials):
    command = LIVES[client]
    if not shutil.which(command[0]) or not INSTALLED.get(client, CLIENTS).exists():
        pytest.skip(f"clients/{client} is missing its dependencies: `make test-clients` installs them")
    return subprocess.run(
        command,
        env=stack.environment(credentials) | {"SESSION_API_URL": stack.url},
        capture_output=True,
        text=True,
    )


@clients
@pytest.mark.parametrize("kind", ["key", "role"])
def test_client_takes_a_session_through_its_life(stack, app, client, kind):
    """With a user's access key, and with a role's temporary credentials."""
    policies = ("UseSessionsPolicy", "UserSessionsPolicy")
    credentials = app if kind == "key" else stack.caller_role(*policies)
    done = live(client, stack, credentials)
    assert (done.returncode, done.stdout) == (0, "lived"), done.stdout + done.stderr


@clients
def test_client_reports_missing_permissions(stack, client):
    done = live(client, stack, stack.caller_role("ReadSessionsPolicy"))
    assert done.returncode != 0
    assert "The session API refused PUT /session with status 403" in done.stdout + done.stderr
