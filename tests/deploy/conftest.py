import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import template as tpl
from contract import ROUTE
from emulator import IGNORED, Emulator, Stack


def pytest_configure(config):
    # pytest tears down its fixtures on Ctrl-C, but not on SIGTERM. Make SIGTERM look like Ctrl-C.
    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    config.addinivalue_line("markers", "last: runs after all other tests")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def emulator():
    emulator = Emulator()
    try:
        emulator.wait_until_ready()
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="session")
def stack(emulator):
    assert (tpl.BUILT / "template.yaml").exists(), f"{tpl.BUILT} has no template: run `make test-deploy`"
    deployed = Stack(emulator, tpl.BUILT)
    LEFT_OUT.extend(deployed.left_out)
    return deployed


@pytest.fixture(scope="session")
def app(stack):
    """Credentials of an app that may use sessions, and may list and destroy a user's sessions."""
    return stack.user("app", "UseSessionsPolicy", "UserSessionsPolicy")


#: Runs a command in Debian 13, which has neither Rust nor anything else of ours.
OTHER_DEBIAN = [tpl.ROOT / "tests" / "root", "trixie"]


@pytest.fixture(scope="session")
def there(emulator):
    """Runs a command in the other Debian, with its AWS CLI and PHP, against the emulated AWS."""
    if os.geteuid() != 0:
        pytest.skip("only root can run another Debian")
    install = ["tests/install", "tests/deploy", "awscli", "php-cli", "php-curl"]
    subprocess.run([*OTHER_DEBIAN, *install], check=True)
    bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    found = subprocess.run([*OTHER_DEBIAN, "sh", "-c", "command -v cargo || command -v sam"], env=bare)
    assert found.returncode != 0, "it has Rust or the SAM CLI"

    def there(*command, typed="", **variables):
        return subprocess.run(
            [*OTHER_DEBIAN, *command],
            env=emulator.environment() | variables | bare,
            cwd=tpl.ROOT,
            input=typed,
            capture_output=True,
            text=True,
        )

    return there


@pytest.fixture
def session(stack, app):
    """The id of a live session that belongs to the user in the routes' requests."""
    response = stack.request(app, ROUTE["POST /session"])
    assert response.status == 201, f"could not create a session: {response}"
    return response.headers["session-id"]


class Matrix:
    """What the tests observed about each role: which actions it needed, was allowed, and was refused."""

    def __init__(self):
        self.needs = {}
        self.seen = {}

    def needed(self, function, action, index, route):
        self.needs[function, action, index] = route

    def tried(self, function, action, where, refused):
        self.seen.setdefault((function, action, where), set()).add("refused" if refused else "allowed")

    def lines(self):
        """A row for each action that a role needs or allows, and one per table that counts the refused ones."""
        rows = [("role", "DynamoDB action", "on", "needed by", "allowed", "refused")]
        for function in dict.fromkeys(function for function, _, _ in self.seen):
            refused = {"the table": 0, "another table": 0}
            for (name, action, where), outcomes in self.seen.items():
                if name != function:
                    continue
                place = where or "the table"
                need = self.needs.get((function, action, where), "")
                if need or "allowed" in outcomes:
                    rows.append(
                        (
                            function,
                            action,
                            place,
                            need or "-",
                            "yes" if "allowed" in outcomes else "no",
                            "yes" if "refused" in outcomes else "no",
                        )
                    )
                else:
                    refused[place] = refused.get(place, 0) + 1
            rows += [
                (function, f"{count} {'others' if place != 'another table' else 'of all'}", place, "-", "no", "yes")
                for place, count in refused.items()
            ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


MATRIX = Matrix()


@pytest.fixture(scope="session")
def matrix():
    return MATRIX


#: What was removed from the template before it was deployed.
LEFT_OUT = []


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT:
        terminalreporter.section("the emulator is not AWS")
        for heading, lines in [("left out of the template:", LEFT_OUT), ("deployed, without effect:", IGNORED)]:
            terminalreporter.write_line(heading)
            for line in lines:
                terminalreporter.write_line(f"  {line}")
    if MATRIX.seen:
        terminalreporter.section("role x action")
        for line in MATRIX.lines():
            terminalreporter.write_line(line)
