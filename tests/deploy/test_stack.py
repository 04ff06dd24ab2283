"""What `make deploy` and `make destroy-stack` do besides running `sam`. The last tests destroy the stack."""

import copy
import json
import os
import re
import subprocess

import pytest
import yaml

import template as tpl
from contract import FUNCTIONS
from emulator import REGION, STACK, machine


@pytest.fixture
def run(stack, tmp_path):
    """Runs deploy/stack.py as make does, against the emulated account."""
    # The SAM CLI's environment has the libraries that the script needs.
    python = tpl.ROOT / ".tools" / "sam" / "bin" / "python"

    def run(*arguments, name=STACK, typed="", credentials=None):
        environment = stack.emulator.environment()
        if credentials:
            environment |= stack.environment(credentials)
        return subprocess.run(
            [python, "-B", tpl.ROOT / "deploy" / "stack.py", *arguments, "--stack-name", name],
            env=environment,
            cwd=tmp_path,
            input=typed,
            capture_output=True,
            text=True,
        )

    return run


def test_deployment_calls_each_function_and_prints_a_request_to_try(stack, app, run):
    before = {function: stack.runs(function) for function in FUNCTIONS}
    done = run("call", "--url", stack.url)
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
        done = run("call", "--url", stack.url)
    finally:
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=good)
        functions.update_function_configuration(FunctionName=name, Environment=environment)
    assert done.returncode == 1, done.stdout
    assert f"The stack {STACK} is deployed, but the API does not work: it responded 50" in done.stderr, done.stderr
    assert next(iter(bad)) in done.stderr, done.stderr
    assert run("call", "--url", stack.url).returncode == 0


def test_deployment_by_somebody_who_may_not_call_the_api_says_so(stack, run):
    deployer = stack.user("deployer")
    may = {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    stack.emulator.client("iam").put_user_policy(UserName="deployer", PolicyName="deploy", PolicyDocument=document)
    done = run("call", "--url", stack.url, credentials=deployer)
    assert done.returncode == 1, done.stdout
    assert f"Attach the policy {stack.outputs['UseSessionsPolicyArn']}" in done.stderr, done.stderr


def test_answers_stay_with_their_stack_and_out_of_tracked_files(run, tmp_path):
    tracked = (tpl.ROOT / "samconfig.toml").read_text()
    for name in ("one", "two"):
        assert run("configure", name=name).stdout == f"samconfig.{name}.toml\n"
        assert f'stack_name = "{name}"' in (tmp_path / f"samconfig.{name}.toml").read_text()
    one = tmp_path / "samconfig.one.toml"
    # What `sam deploy --guided` does with the deployer's answers.
    one.write_text(one.read_text() + 'parameter_overrides = "Architecture=\\"x86_64\\" MaxTtl=\\"60\\""\n')
    run("configure", name="one")
    assert [run("architecture", name=name).stdout for name in ("one", "two")] == ["x86_64\n", "arm64\n"]
    assert "MaxTtl" in one.read_text() and "MaxTtl" not in (tmp_path / "samconfig.two.toml").read_text()
    # The deployer chose another name.
    one.write_text(one.read_text().replace('"one"', '"three"'))
    assert run("call", name="one").stderr.startswith("The stack three: ")
    assert sorted(path.name for path in tmp_path.glob("*.toml")) == ["samconfig.three.toml", "samconfig.two.toml"]
    assert (tpl.ROOT / "samconfig.toml").read_text() == tracked
    ignored = subprocess.run(["git", "check-ignore", "samconfig.one.toml"], cwd=tpl.ROOT, capture_output=True)
    assert ignored.returncode == 0, "git would track the answers"


def test_missing_stack_is_reported(run):
    done = run("call", name="no-such-stack")
    assert done.returncode == 1
    assert done.stderr.startswith("The stack no-such-stack: "), done.stderr


def stack_exists(stack, name):
    summaries = stack.emulator.client("cloudformation").list_stacks()["StackSummaries"]
    return any(one["StackName"] == name and one["StackStatus"] != "DELETE_COMPLETE" for one in summaries)


def test_deployment_for_another_processor_is_refused_before_anything_is_created(stack, run, tmp_path):
    assert run("architecture").stdout in ("arm64\n", "x86_64\n")
    template = tmp_path / "template.yaml"
    template.write_text(yaml.safe_dump(stack.template))
    done = run("restrict", "--built-for", machine(), "--template", template)
    assert done.returncode == 0, done.stderr
    document = tpl.load(template)
    architecture = document["Parameters"]["Architecture"]
    assert (architecture["Default"], architecture["AllowedValues"]) == (machine(), [machine()])
    other = {"arm64": "x86_64", "x86_64": "arm64"}[machine()]
    assert f"make deploy ARCHITECTURE={other}" in architecture["ConstraintDescription"]
    before = stack.emulator.client("dynamodb").list_tables()["TableNames"]
    refused = stack.emulator.sam_deploy("another-processor", document, Architecture=other)
    assert refused.returncode != 0 and "Architecture" in refused.stderr, refused.stderr
    assert stack.emulator.client("dynamodb").list_tables()["TableNames"] == before


def test_failed_first_deployment_can_be_cleaned_up(stack, run):
    # Break any resource that is created after the table. The emulator refuses metric math.
    document = copy.deepcopy(stack.template)
    document["Resources"]["ReadErrorsAlarm"]["Properties"]["Metrics"] = [{"Id": "e", "Expression": "1"}]
    assert stack.emulator.sam_deploy("failed", document).returncode != 0
    called = run("call", name="failed")
    assert (called.returncode, called.stderr) == (
        1,
        "The stack failed is not deployed: its status is ROLLBACK_COMPLETE.\n",
    )
    destroyed = run("destroy", "--no-prompts", name="failed")
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
        done = run("destroy", *arguments, typed=typed)
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
    done = run("destroy", "--no-prompts", "--detach")
    cloudformation.update_termination_protection(EnableTerminationProtection=False, StackName=STACK)
    assert done.returncode == 1
    assert "--no-enable-termination-protection" in done.stderr, done.stderr
    assert stack_exists(stack, STACK)


@pytest.mark.last
def test_destroying_the_stack_keeps_the_table(stack, session, run):
    done = run("destroy", "--no-prompts", "--detach")
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
