"""The clients' own signatures and credentials, at the deployed API."""

import shutil
import subprocess

import pytest

import template as tpl

CLIENTS = tpl.ROOT / "clients"
# Each client has a program that does what a session goes through in its life.
LIVES = {
    "express": ["node", CLIENTS / "express/tests/life.js"],
    "php": ["php", "-d", "zend.assertions=1", CLIENTS / "php/tests/life.php"],
    "python": [CLIENTS / "python/.venv/bin/python", CLIENTS / "python/tests/life.py"],
    "rust": [tpl.ROOT / "target/debug/examples/life"],
}
# File or folder that the installation of a client's tests makes.
INSTALLED = {"express": CLIENTS / "express/node_modules", "rust": tpl.ROOT / "target/debug/examples/life"}

clients = pytest.mark.parametrize("client", LIVES)


def live(client, stack, credentials):
    command = LIVES[client]
    if not shutil.which(command[0]) or not INSTALLED.get(client, CLIENTS).exists():
        pytest.skip(f"what clients/{client} needs is not installed: `make test-clients` does it")
    return subprocess.run(
        command,
        env=stack.environment(credentials) | {"SESSION_API_URL": stack.url},
        capture_output=True,
        text=True,
    )


@clients
@pytest.mark.parametrize("kind", ["key", "role"])
def test_client_serves_the_life_of_a_session(stack, app, client, kind):
    """With the access key of a user, and with temporary credentials of a role."""
    policies = ("UseSessionsPolicy", "UserSessionsPolicy")
    credentials = app if kind == "key" else stack.caller_role(*policies)
    done = live(client, stack, credentials)
    assert (done.returncode, done.stdout) == (0, "lived"), done.stdout + done.stderr


@clients
def test_client_reports_missing_permissions(stack, client):
    done = live(client, stack, stack.caller_role("ReadSessionsPolicy"))
    assert done.returncode != 0
    assert "The session API refused PUT /session with status 403" in done.stdout + done.stderr
