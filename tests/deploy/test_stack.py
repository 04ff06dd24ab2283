"""What `make deploy` and `make destroy-stack` say and do. Destroying is the last of all tests."""

import os
import re
import subprocess
import sys

import pytest

import template as tpl
from emulator import REGION, STACK, machine


@pytest.fixture
def run(stack):
    """Runs deploy/stack.py as make does, against the emulated account."""
    # That of the SAM CLI's environment, which has what the script needs.
    python = tpl.ROOT / ".tools" / "sam" / "bin" / "python"

    def run(*arguments, name=STACK):
        return subprocess.run(
            [python, "-B", tpl.ROOT / "deploy" / "stack.py", *arguments, "--stack-name", name],
            env=stack.emulator.environment(),
            cwd=stack.emulator.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


def test_a_deployment_ends_with_a_signed_call_to_try(stack, app, run):
    done = run("call")
    assert done.returncode == 0, done.stderr
    assert stack.outputs["ApiUrl"] in done.stdout
    command = re.search(r"^  (curl .*?)\n\n", done.stdout, re.DOTALL | re.MULTILINE)[1]
    # The API's name is of AWS's; the call goes to the emulator, under the name that it goes by.
    host = f"{stack.api_id}.execute-api.localhost:{stack.emulator.port}"
    command = command.replace(stack.outputs["ApiUrl"], f"http://{host}")
    command += f" --connect-to {host}:localhost:{stack.emulator.port} --silent"
    done = subprocess.run(
        ["bash", "-c", command],
        env={
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": app.access_key,
            "AWS_SECRET_ACCESS_KEY": app.secret_key,
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("HTTP/1.1 201"), f"{command}: {done.stdout}{done.stderr}"


def test_a_stack_that_is_not_there_is_said_to_be_so(run):
    done = run("call", name="no-such-stack")
    assert done.returncode == 1
    assert done.stderr.startswith("The stack no-such-stack was not found"), done.stderr


def test_a_build_for_another_processor_is_noticed(run):
    assert run("architecture").stdout == "arm64\n", "the template's default"
    other = {"arm64": "x86_64", "x86_64": "arm64"}[machine()]
    done = run("call", "--built-for", other)
    assert done.returncode == 1
    assert f"make deploy ARCHITECTURE={machine()}" in done.stderr
    assert run("call", "--built-for", machine()).returncode == 0


@pytest.mark.last
def test_what_destroying_the_stack_keeps(stack, session, run):
    done = run("destroy", "--no-prompts")
    assert done.returncode == 0, done.stderr
    assert f"The table {stack.table} with all sessions" in done.stdout
    dynamodb = stack.emulator.client("dynamodb")
    items = dynamodb.scan(TableName=stack.table)["Items"]
    assert items, "the sessions went with the stack"
    functions = stack.emulator.client("lambda").list_functions()["Functions"]
    assert not functions, f"still there: {[one['FunctionName'] for one in functions]}"
    # The commands that it names do remove the table.
    named = re.findall(r"^    aws dynamodb (.*)$", done.stdout, re.MULTILINE)
    assert named == [
        f"update-table --region {REGION} --table-name {stack.table} --no-deletion-protection-enabled",
        f"delete-table --region {REGION} --table-name {stack.table}",
    ]
    dynamodb.update_table(TableName=stack.table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=stack.table)
