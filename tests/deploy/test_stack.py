"""What `deploy` does with a stack besides creating it. The last tests destroy the stack."""

import copy
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest

import template as tpl
from contract import FUNCTIONS
from emulator import REGION, STACK, machine

PROGRAM = tpl.BUILT / "deploy"


@pytest.fixture
def run(stack, there):
    """Runs `deploy` against the emulated account."""

    def run(*options, name=STACK, typed="", credentials=None):
        variables = stack.environment(credentials) if credentials else {}
        return there(PROGRAM, *options, "--stack", name, typed=typed, **variables)

    return run


def test_deployment_calls_each_function_and_prints_a_request_to_try(stack, app, run):
    before = {function: stack.runs(function) for function in FUNCTIONS}
    done = run("--check", "--url", stack.url)
    assert done.returncode == 0, done.stderr
    assert {function: stack.runs(function) - before[function] for function in FUNCTIONS} == dict.fromkeys(FUNCTIONS, 1)
    assert stack.outputs["ApiUrl"] in done.stdout
    command = re.search(r"^  (curl .*?)\n\n", done.stdout, re.DOTALL | re.MULTILINE)[1]
    # The API's host name doesn't resolve here, so send the call to the emulator.
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


@pytest.mark.parametrize(
    "bad",
    [{"DEFAULT_TTL": "600", "MAX_TTL": "60"}, {"REVOKED_BEFORE": "2099-01-01T00:00:00Z"}],
    ids=lambda bad: next(iter(bad)),
)
def test_deployment_with_a_bad_parameter_fails_and_says_which(stack, run, bad):
    """CloudFormation deploys these, because it can neither compare two parameters nor tell the time."""
    functions = stack.emulator.client("lambda")
    name = stack.resources["WriteFunction"]
    good = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]
    worse = {"Variables": environment["Variables"] | bad}
    functions.update_function_configuration(FunctionName=name, Environment=worse)
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    try:
        done = run("--check", "--url", stack.url)
    finally:
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=good)
        functions.update_function_configuration(FunctionName=name, Environment=environment)
    assert done.returncode == 1, done.stdout
    assert f"The stack {STACK} is deployed, but the API does not work: it responded 50" in done.stderr, done.stderr
    assert next(iter(bad)) in done.stderr, done.stderr
    assert run("--check", "--url", stack.url).returncode == 0


def test_deployment_by_somebody_who_may_not_call_the_api_says_so(stack, run):
    deployer = stack.user("deployer")
    may = {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    stack.emulator.client("iam").put_user_policy(UserName="deployer", PolicyName="deploy", PolicyDocument=document)
    done = run("--check", "--url", stack.url, credentials=deployer)
    assert done.returncode == 1, done.stdout
    assert f"attach the policy {stack.outputs['UseSessionsPolicyArn']}" in done.stderr, done.stderr


def test_missing_stack_is_reported(run):
    done = run("--check", name="no-such-stack")
    assert done.returncode == 1
    assert done.stderr == f"The stack no-such-stack in {REGION} is not deployed: its status is none.\n"
    assert f"The stack no-such-stack doesn't exist in {REGION}." in run("--update", name="no-such-stack").stderr


def stack_exists(stack, name):
    summaries = stack.emulator.client("cloudformation").list_stacks()["StackSummaries"]
    return any(one["StackName"] == name and one["StackStatus"] != "DELETE_COMPLETE" for one in summaries)


def test_deployment_for_another_processor_is_refused_before_anything_is_created(stack, run):
    other = {"arm64": "x86_64", "x86_64": "arm64"}[machine()]
    before = stack.emulator.client("s3").list_buckets()["Buckets"]
    refused = run("--parameter", f"Architecture={other}", name="another-processor")
    assert refused.returncode == 1 and f"make deploy ARCHITECTURE={other}" in refused.stderr, refused.stderr
    assert not stack_exists(stack, "another-processor")
    assert stack.emulator.client("s3").list_buckets()["Buckets"] == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], f"The stack {STACK} already exists in {REGION}. To update it, add --update."),
        (["--update", "--parameter", "MaxTTL=60"], "Unknown parameter MaxTTL. The template has Architecture, "),
        (["--update", "--parameter", "MaxTtl"], "it should be NAME=VALUE, not 'MaxTtl'"),
        (["--update", "--parameter", "MaxTtl=0"], "MaxTtl"),
        (["--update", "--region", ""], "In which region?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistake_gets_a_clear_error(stack, there, options, problem):
    variables = {"AWS_DEFAULT_REGION": ""} if "--region" in options else {}
    done = there(PROGRAM, "--stack", STACK, *options, **variables)
    assert done.returncode != 0, done.stdout
    assert problem in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: …", "Log in again"),
        ("Error when retrieving token from sso: Token has expired and refresh failed", "Log in again"),
        ("Unable to locate credentials. You can configure credentials by running …", "`aws configure`"),
        ("An error occurred (AccessDenied) when calling the CreateChangeSet operation: …", "deployer-policy.json"),
    ],
)
def test_refusal_comes_with_advice(tmp_path, said, advice):
    """The emulator's credentials never expire, so the AWS CLI is a stand-in."""
    cli = tmp_path / "aws"
    cli.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 254\n'.replace("`", ""))
    cli.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([PROGRAM, "--region", REGION], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert said in done.stderr and advice in done.stderr, done.stderr


@pytest.fixture
def program(monkeypatch):
    """`deploy` as a module, for what the emulator can't show. `answers` are what AWS says, by operation."""
    loader = importlib.machinery.SourceFileLoader("deploy", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("deploy", loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    module.answers = {"describe-stacks": {"Stacks": [{}]}}
    module.aws = lambda service, operation, *rest: module.answers[operation]
    return module


@pytest.mark.parametrize(("limit", "warned"), [(10, True), (999, True), (1000, False)])
def test_low_concurrency_of_a_new_account_is_explained(program, capsys, limit, warned):
    program.answers["get-account-settings"] = {"AccountLimit": {"ConcurrentExecutions": limit}}
    program.Stack(STACK, REGION, "123456789012", None).warn()
    said = capsys.readouterr().out
    assert (f"at most {limit} Lambda functions at once" in said) == warned


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ROLLBACK_COMPLETE", "Run this with --destroy"),
        ("ROLLBACK_FAILED", "Run this with --destroy"),
        ("CREATE_FAILED", "Run this with --destroy"),
        ("DELETE_FAILED", "Run this with --destroy"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "Try again when that's done"),
        ("REVIEW_IN_PROGRESS", None),
        ("UPDATE_ROLLBACK_COMPLETE", None),
    ],
)
def test_stack_that_cannot_be_deployed_to_comes_with_advice(program, status, advice):
    program.answers["describe-stacks"] = {"Stacks": [{"StackStatus": status}]}
    problem = program.Stack(STACK, REGION, "123456789012", None).unusable()
    assert problem is None if advice is None else advice in problem, problem


def test_retry_of_the_same_build_says_how(program):
    failed = {"EventId": "1", "ResourceStatus": "CREATE_FAILED", "LogicalResourceId": "ReadFunctionVersion"}
    reason = "A version for this Lambda function exists ( 3 )."
    failed |= {"ResourceType": "AWS::Lambda::Version", "ResourceStatusReason": reason}
    program.answers["describe-stack-events"] = {"StackEvents": [failed]}
    program.answers["describe-stacks"] = {"Stacks": [{"StackStatus": "UPDATE_ROLLBACK_COMPLETE"}]}
    with pytest.raises(SystemExit) as exit:
        program.Stack(STACK, REGION, "123456789012", None).follow("id", set(), "UPDATE_COMPLETE")
    assert reason in str(exit.value) and "--parameter Deployment=" in str(exit.value)


def test_stack_whose_names_would_get_too_long_is_refused():
    done = subprocess.run([PROGRAM, "--stack", "s" * 51], capture_output=True, text=True)
    assert done.returncode == 2 and "50 characters at most" in done.stderr, done.stderr


def test_failed_first_deployment_can_be_cleaned_up(stack, run):
    # Break any resource that is created after the table. The emulator refuses metric math.
    document = copy.deepcopy(stack.template)
    document["Resources"]["ReadErrorsAlarm"]["Properties"]["Metrics"] = [{"Id": "e", "Expression": "1"}]
    assert stack.emulator.sam_deploy("failed", document).returncode != 0
    called = run("--check", name="failed")
    assert (called.returncode, called.stderr) == (
        1,
        f"The stack failed in {REGION} is not deployed: its status is ROLLBACK_COMPLETE.\n",
    )
    assert "can only be deleted. Run this with --destroy" in run(name="failed").stderr
    destroyed = run("--destroy", "--no-prompts", name="failed")
    assert destroyed.returncode == 0, destroyed.stderr
    assert not stack_exists(stack, "failed")
    # The table is protected, so CloudFormation leaves it behind.
    (table,) = re.findall(r"^The table (\S+) with all its sessions is kept", destroyed.stdout, re.MULTILINE)
    assert table in stack.emulator.client("dynamodb").list_tables()["TableNames"]


@pytest.mark.last
def test_destroying_the_stack_first_lists_who_still_has_its_policies(stack, app, run):
    role = stack.resources["ReadRole"]
    cloudformation = stack.emulator.client("cloudformation")
    for arguments, typed in [(["--no-prompts"], ""), ([], "n\n"), ([], "")]:
        done = run("--destroy", *arguments, typed=typed)
        assert done.returncode == 1
        assert re.search(r"^- user app: .*UseSessionsPolicy", done.stdout, re.MULTILINE), done.stdout
        assert role not in done.stdout, "it lists one of the stack's own roles, which needn't be detached"
        assert done.stderr.startswith("Nothing was deleted."), done.stderr
        assert stack_exists(stack, STACK)
    still = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="UseSessionsPolicy")
    arn = still["StackResourceDetail"]["PhysicalResourceId"]
    assert stack.emulator.client("iam").list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]


@pytest.mark.last
def test_protected_stack_is_not_deleted(stack, run):
    cloudformation = stack.emulator.client("cloudformation")
    cloudformation.update_termination_protection(EnableTerminationProtection=True, StackName=STACK)
    done = run("--destroy", "--no-prompts", "--detach")
    cloudformation.update_termination_protection(EnableTerminationProtection=False, StackName=STACK)
    assert done.returncode == 1
    assert "--no-enable-termination-protection" in done.stderr, done.stderr
    assert stack_exists(stack, STACK)


@pytest.mark.last
def test_destroying_the_stack_keeps_the_table(stack, session, run):
    done = run("--destroy", "--no-prompts", "--detach")
    assert done.returncode == 0, done.stderr
    assert f"The table {stack.table} with all its sessions is kept" in done.stdout
    dynamodb = stack.emulator.client("dynamodb")
    items = dynamodb.scan(TableName=stack.table)["Items"]
    assert items, "the sessions were deleted with the stack"
    functions = stack.emulator.client("lambda").list_functions()["Functions"]
    assert not functions, f"still there: {[one['FunctionName'] for one in functions]}"
    # The printed commands delete the table.
    named = re.findall(r"^  aws dynamodb (.*)$", done.stdout, re.MULTILINE)
    assert named == [
        f"update-table --region {REGION} --table-name {stack.table} --no-deletion-protection-enabled",
        f"delete-table --region {REGION} --table-name {stack.table}",
    ]
    dynamodb.update_table(TableName=stack.table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=stack.table)
