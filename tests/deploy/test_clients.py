"""The clients call the deployed API with their own signatures and credentials."""

import json
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
    "ruby": ["ruby", CLIENTS / "ruby/tests/life.rb"],
    "rust": [tpl.ROOT / "target/debug/examples/life"],
}
# A file or folder that exists only after a client's tests have been installed.
INSTALLED = {"express": CLIENTS / "express/node_modules", "rust": tpl.ROOT / "target/debug/examples/life"}

clients = pytest.mark.parametrize("client", LIVES)


def live(client, stack, credentials, **variables):
    command = LIVES[client]
    if not shutil.which(command[0]) or not INSTALLED.get(client, CLIENTS).exists():
        pytest.skip(f"clients/{client} is missing its dependencies: `make test-clients` installs them")
    return subprocess.run(
        command,
        env=stack.environment(credentials) | {"SESSION_API_URL": stack.url} | variables,
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


@pytest.fixture(scope="module")
def over_urls(stack):
    """Credentials that may use sessions over the functions' URLs only."""
    credentials, iam = stack.user("over-urls", "UserSessionsPolicy"), stack.emulator.client("iam")
    arn = stack.outputs["UseSessionsPolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    document["Statement"] = [one for one in document["Statement"] if one["Action"].startswith("lambda:")]
    iam.put_user_policy(UserName="over-urls", PolicyName="urls", PolicyDocument=json.dumps(document))
    return credentials


@clients
def test_client_takes_a_session_through_its_life_over_urls(stack, over_urls, client):
    done = live(client, stack, over_urls, SESSION_API_FUNCTION_URLS=stack.function_urls)
    assert (done.returncode, done.stdout) == (0, "lived"), done.stdout + done.stderr


@clients
def test_client_reports_missing_permissions(stack, client):
    done = live(client, stack, stack.caller_role("ReadSessionsPolicy"))
    assert done.returncode != 0
    assert "The session API refused PUT /session with status 403" in done.stdout + done.stderr
