"""A release deploys with one command where there is neither Rust nor anything else of ours: in Debian 13 with its AWS
CLI and PHP. It does so outside us-east-1, and with the deployer's policy alone."""

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import pytest
import yaml

import template as tpl
from conftest import LEFT_OUT, OTHER_DEBIAN
from emulator import deployable, machine, wait_until

REGION = "eu-central-1"
STACK = "session-api-archive"
UNPACKED = tpl.BUILT.parent / "session-api-test"


def with_routes(document, url):
    """The template with the routes that API Gateway makes from the API's body, and with a URL that resolves here."""
    resources, api = document["Resources"], {"Ref": "Api"}
    for name, function in tpl.of_type(document, "AWS::Serverless::Function").items():
        alias = {"Ref": f"{name}Aliaslive"}
        uri = {"IntegrationType": "AWS_PROXY", "IntegrationUri": alias, "PayloadFormatVersion": "2.0"}
        resources[f"{name}Integration"] = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"ApiId": api} | uri}
        target = {"Fn::Join": ["/", ["integrations", {"Ref": f"{name}Integration"}]]}
        for event, route in function["Properties"]["Events"].items():
            key = f"{route['Properties']['Method']} {route['Properties']['Path']}"
            properties = {"ApiId": api, "RouteKey": key, "Target": target, "AuthorizationType": "AWS_IAM"}
            resources[f"{event}Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}
    document["Outputs"]["ApiUrl"]["Value"] = {"Fn::Sub": f"{url}/_aws/execute-api/${{Api}}"}


@pytest.fixture(scope="module")
def archive(emulator):
    """A folder that a release was unpacked into, whose template the emulator accepts."""
    folder = UNPACKED / tpl.BUILT.name
    shutil.rmtree(UNPACKED, ignore_errors=True)
    shutil.unpack_archive(f"{tpl.BUILT}.tar.gz", UNPACKED)
    document, left_out = deployable(folder)
    for function in tpl.of_type(document, "AWS::Serverless::Function").values():
        function["Properties"]["CodeUri"] = function["Properties"]["CodeUri"].removeprefix(f"{folder}/")
    with_routes(document, emulator.url)
    (folder / "template.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    if not LEFT_OUT:
        LEFT_OUT.extend(left_out)
    yield folder
    shutil.rmtree(UNPACKED)


@pytest.fixture(scope="module")
def deployer(emulator):
    """The key of a user who has the deployer's policy and no other."""
    iam = emulator.client("iam")
    iam.create_user(UserName="archive-deployer")
    policy = (tpl.ROOT / "deploy" / "deployer-policy.json").read_text()
    iam.put_user_policy(UserName="archive-deployer", PolicyName="deploy", PolicyDocument=policy)
    key = iam.create_access_key(UserName="archive-deployer")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture(scope="module")
def deployed(there, archive, deployer):
    """What `deploy` prints."""
    options = ["--stack", STACK, "--parameter", f"Architecture={machine()}"]
    done = there(archive / "deploy", *options, AWS_REGION=REGION, **deployer)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_archive_deploys_with_one_command(emulator, deployed):
    assert re.search(r"^  add +3 AWS::Lambda::Function$", deployed, re.MULTILINE), deployed
    assert "Idle, it costs $" in deployed and "<!--" not in deployed, deployed
    assert "The API works" in deployed, deployed
    elsewhere = emulator.client("cloudformation").list_stacks()["StackSummaries"]
    assert STACK not in [one["StackName"] for one in elsewhere], "it's in us-east-1"


def test_php_page_keeps_its_session_in_the_deployed_api(emulator, there, deployed, tmp_path):
    variables = dict(re.findall(r"^  (SESSION_API_URL)=(\S+)$", deployed, re.MULTILINE))
    assert variables, deployed
    # The printed commands give a server outside AWS its credentials.
    commands = re.findall(
        r"^  (aws iam [a-z-]*(?:user|access-key|user-policy) --user-name .*)$", deployed, re.MULTILINE
    )
    assert len(commands) == 3, deployed
    done = there("sh", "-euc", "\n".join(commands), AWS_REGION=REGION)
    assert done.returncode == 0, done.stderr
    key = dict(re.findall(r'"(AccessKeyId|SecretAccessKey)": "(.*?)"', done.stdout))
    page = UNPACKED / "page.php"
    page.write_text(
        "<?php require getenv('AUTOLOAD'); SessionApi\\Handler::register(); session_start();"
        "$_SESSION['views'] = ($_SESSION['views'] ?? 0) + 1; echo $_SESSION['views'];"
    )
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    port = subprocess.check_output([tpl.ROOT / "tests" / "free-port"], text=True).strip()
    server = subprocess.Popen(
        [*OTHER_DEBIAN, "php", "-S", f"127.0.0.1:{port}", "-t", page.parent],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "AWS_REGION": REGION}
        | {"AUTOLOAD": str(tpl.ROOT / "clients" / "php" / "autoload.php")}
        | {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def view():
        try:
            with browser.open(f"http://127.0.0.1:{port}/page.php", timeout=30) as response:
                return response.read().decode()
        except urllib.error.URLError:
            return None

    try:
        assert [wait_until("PHP's start", view), view(), view()] == ["1", "2", "3"]
    finally:
        server.terminate()
        server.wait()
    dynamodb = emulator.client("dynamodb", region=REGION)
    (table,) = dynamodb.list_tables()["TableNames"]
    assert dynamodb.scan(TableName=table)["Count"] == 1


def test_update_keeps_the_other_parameters_and_makes_new_versions(emulator, there, archive, deployer, deployed):
    options = ["--stack", STACK, "--region", REGION, "--update"]
    done = there(archive / "deploy", *options, **deployer)
    assert done.returncode == 0 and "Nothing to change." in done.stdout, done.stdout + done.stderr
    done = there(archive / "deploy", *options, "--parameter", "Deployment=again", **deployer)
    assert done.returncode == 0 and "The API works" in done.stdout, done.stdout + done.stderr
    description = emulator.client("cloudformation", region=REGION).describe_stacks(StackName=STACK)["Stacks"][0]
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in description["Parameters"]}
    assert (parameters["Deployment"], parameters["Architecture"]) == ("again", machine())
    functions = emulator.client("lambda", region=REGION)
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    assert [functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in names] == ["2"] * 3


def test_deployer_may_also_destroy(emulator, there, archive, deployer, deployed):
    options = ["--stack", STACK, "--region", REGION, "--destroy", "--no-prompts"]
    # Not as the deployer, because the emulator doesn't know the condition iam:PolicyARN.
    iam = emulator.client("iam")
    for user in [one["UserName"] for one in iam.list_users()["Users"]]:
        for policy in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
            if policy["PolicyName"].startswith(STACK):
                iam.detach_user_policy(UserName=user, PolicyArn=policy["PolicyArn"])
    done = there(archive / "deploy", *options, **deployer)
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = emulator.client("dynamodb", region=REGION).list_tables()["TableNames"]
    assert f"The table {table} with all its sessions is kept" in done.stdout, done.stdout
