"""The clients' own signatures and credentials, at the deployed API."""

import shutil
import subprocess

import pytest

import template as tpl


def php(script, stack, credentials):
    if not shutil.which("php"):
        pytest.skip("php is not on this machine: `make test-clients` installs it")
    return subprocess.run(
        ["php", "-d", "zend.assertions=1", tpl.ROOT / "clients" / "php" / "tests" / script],
        env=stack.environment(credentials) | {"SESSION_API_URL": stack.url},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kind", ["key", "role"])
def test_php_client_serves_the_life_of_a_session(stack, app, kind):
    """With the access key of a user, and with temporary credentials of a role."""
    policies = ("UseSessionsPolicy", "UserSessionsPolicy")
    credentials = app if kind == "key" else stack.caller_role(*policies)
    done = php("life.php", stack, credentials)
    assert (done.returncode, done.stdout) == (0, "lived"), done.stdout + done.stderr


def test_php_client_reports_missing_permissions(stack):
    done = php("life.php", stack, stack.caller_role("ReadSessionsPolicy"))
    assert done.returncode != 0
    assert "The session API refused PUT /session with status 403" in done.stdout + done.stderr
