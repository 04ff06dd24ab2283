"""AWS on this machine: the emulator's process, the stack deployed into it, and callers.

The emulator (ministack) checks signatures and enforces IAM policies, down to the ARN. We add some of what it lacks
here, remove the rest from the template, and list what we removed in the tests' output.
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import template as tpl
from contract import Route

REGION = "us-east-1"
STACK = "session-api"
BUCKET = "session-api-artifacts"
#: What the emulator accepts in the template but ignores.
IGNORED = [
    "Api.Body: the tests create the routes from it, with the authorizer it specifies",
    "Api.DefaultRouteSettings: nothing is throttled",
    "Sessions.TimeToLiveSpecification: expired items stay",
    "Sessions.SSESpecification, PointInTimeRecoverySpecification: stored, without effect",
    "LoggingConfig.SystemLogLevel: Lambda's own lines are logged anyway",
    "MetricFilters: log lines aren't counted, so no alarm ever goes off by itself",
    "UseSessionsPolicy, ReadSessionsPolicy: over a URL, lambda:InvokeFunctionUrl is enough, without lambda:InvokeFunction",
    "deployer-policy.json: the deployer can't detach policies, for lack of the condition iam:PolicyARN. Nor does the"
    " emulator check what CloudFormation calls for the deployer",
    "UpdatePolicy of the aliases: an update moves an alias at once, and what it refers to isn't a dependency",
]
#: The account's root user. The emulator lets it do everything and doesn't check its signature.
ROOT = Credentials("test", "test")


def wait_until(what, condition, seconds=60):
    """Polls until the condition returns something, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Emulator:
    """The emulator's process, everything that it starts, and a folder that is deleted when it stops."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # `localhost` rather than 127.0.0.1, because the emulator tells its endpoints apart by host name.
        self.url = f"http://localhost:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="session-api-deploy-"))
        self.log = self.folder / "emulator.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "AUTH": "true",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "AWS_ENDPOINT_URL": self.url,
        }
        with self.log.open("wb") as log:
            # Its own session, so that we can stop it together with the functions it runs.
            self.process = subprocess.Popen(
                [Path(sys.executable).with_name("ministack")],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the emulator exited:\n{self.log.read_text()[-4000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5) as response:
                    return response.status == 200
            except OSError:
                return False

        wait_until("the emulator's start", ready)

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """The environment of a program that calls the emulator instead of AWS."""
        # Leave out the machine's own AWS settings, so that no test can reach a real account.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ROOT.access_key,
            "AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def sam_deploy(self, stack, document, **parameters):
        """Runs `sam deploy` with a template, as a person would."""
        template = self.folder / f"{stack}.yaml"
        template.write_text(yaml.safe_dump(document))
        # Log every request, because some tests look for a particular one's line.
        overrides = {"Architecture": machine(), "LogSample": 1} | parameters
        return subprocess.run(
            [
                "sam",
                "deploy",
                "--template-file",
                template,
                "--stack-name",
                stack,
                "--s3-bucket",
                BUCKET,
                "--region",
                REGION,
                "--capabilities",
                "CAPABILITY_IAM",
                "--no-confirm-changeset",
                "--no-progressbar",
                "--parameter-overrides",
                *(f"{name}={value}" for name, value in overrides.items()),
            ],
            env=self.environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def client(self, service, credentials=ROOT, region=REGION):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            # No retries, because the tests expect refusals.
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, inject_host_prefix=False),
        )


def deployable(built):
    """The package's template without the parts that the emulator refuses, and a list of those parts."""
    document, left_out = tpl.load(built / "template.yaml"), []
    for function in tpl.of_type(document, "AWS::Serverless::Function").values():
        zip_file = Path(function["Properties"]["CodeUri"]).name
        function["Properties"]["CodeUri"] = str(built / "functions" / machine() / zip_file)
    preferences = {"Globals": document["Globals"]["Function"]} | {
        name: function["Properties"] for name, function in tpl.of_type(document, "AWS::Serverless::Function").items()
    }
    for name, properties in preferences.items():
        if properties.pop("DeploymentPreference", None):
            left_out.append(f"{name}.DeploymentPreference: the emulator has no CodeDeploy")
    for name, alarm in tpl.of_type(document, "AWS::CloudWatch::Alarm").items():
        if metrics := alarm["Properties"].pop("Metrics", None):
            first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
            alarm["Properties"] |= first["Metric"] | {"Period": 60, "Statistic": "Sum"}
            left_out.append(f"{name}.Metrics except the first: the emulator has no metric math")
    return document, left_out


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def __str__(self):
        return f"{self.status} {self.body[:300]!r}"


class Stack:
    """The deployed stack, as its callers see it."""

    def __init__(self, emulator: Emulator, built: Path):
        self.emulator = emulator
        self._deploy(built)
        cloudformation = emulator.client("cloudformation")
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        self.resources = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }
        self.table = self.resources["Sessions"]
        self.api_id = self.resources["Api"]
        self.urls = dict(url.split("=", 1) for url in self.outputs["FunctionUrls"].split(","))
        processed = cloudformation.get_template(StackName=STACK, TemplateStage="Processed")
        body = processed["TemplateBody"]
        self.processed = json.loads(body) if isinstance(body, str) else body
        self.routes = self._make_routes()

    def _deploy(self, built):
        """Deploys a copy of the package's template, as a person would: with `sam deploy`."""
        self.template, self.left_out = deployable(built)
        self.emulator.client("s3").create_bucket(Bucket=BUCKET)
        done = self.emulator.sam_deploy(STACK, self.template, FunctionUrls="true")
        if done.returncode != 0:
            raise RuntimeError(f"sam deploy failed:\n{self._why_failed()}\n{done.stderr[-3000:]}")

    def _why_failed(self):
        try:
            events = self.emulator.client("cloudformation").describe_stack_events(StackName=STACK)
        except ClientError:
            return "there is no stack"
        return "\n".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events["StackEvents"]
            if event["ResourceStatus"].endswith("_FAILED")
        )

    def _make_routes(self):
        """Creates the processed template's routes, and returns each one's function."""
        gateway = self.emulator.client("apigatewayv2")
        routes = {}
        for key, operation in tpl.operations(self.processed).items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]
            arn = self.resolve(uri)
            integration = gateway.create_integration(
                ApiId=self.api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=arn,
                PayloadFormatVersion="2.0",
            )
            gateway.create_route(
                ApiId=self.api_id,
                RouteKey=key,
                Target=f"integrations/{integration['IntegrationId']}",
                # As in the template, so that a route without an authorizer is open here too.
                AuthorizationType="AWS_IAM" if tpl.is_iam_authorized(operation) else "NONE",
            )
            routes[key] = arn
        return routes

    def resolve(self, value):
        """Resolves a `Ref` or `Fn::Sub` that refers to the stack's resources."""
        if isinstance(value, str):
            return value
        ((function, argument),) = value.items()
        if function == "Ref":
            return self._reference(argument)
        if function == "Fn::Sub":
            text = argument if isinstance(argument, str) else argument[0]
            return tpl.SUB.sub(lambda match: self._reference(match[1]), text)
        raise ValueError(f"cannot resolve {value}")

    def _reference(self, name):
        pseudo = {
            "AWS::Region": REGION,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::AccountId": "000000000000",
            "AWS::StackName": STACK,
        }
        if name in pseudo:
            return pseudo[name]
        logical, _, attribute = name.partition(".")
        if attribute == "Arn":
            return self.emulator.client("lambda").get_function(FunctionName=self.resources[logical])["Configuration"][
                "FunctionArn"
            ]
        return self.resources[logical]

    # Callers

    def user(self, name, *policies):
        """Credentials of a new user who has these policies from the stack."""
        iam = self.emulator.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=self.outputs[f"{policy}Arn"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    @property
    def url(self):
        """The API's URL, with a host name that resolves here."""
        return f"{self.emulator.url}/_aws/execute-api/{self.api_id}"

    @property
    def function_urls(self):
        """The output FunctionUrls, with a host name that resolves here."""
        ids = {function: urlsplit(url).hostname.split(".")[0] for function, url in self.urls.items()}
        return ",".join(f"{name}={self.emulator.url}/_aws/lambda-url/{url_id}" for name, url_id in ids.items())

    @staticmethod
    def environment(credentials):
        """The environment of a program that calls the API with these credentials."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        } | ({"AWS_SESSION_TOKEN": credentials.token} if credentials.token else {})

    def caller_role(self, *policies):
        """Temporary credentials of a role that has these policies from the stack."""
        iam, name = self.emulator.client("iam"), f"role-with-{'-'.join(policies)}"
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        for policy in policies:
            iam.attach_role_policy(RoleName=name, PolicyArn=self.outputs[f"{policy}Arn"])
        return self.assume(name)

    def as_role(self, logical):
        """Credentials of one of the stack's roles."""
        return self.assume(self.resources[logical])

    def assume(self, name):
        arn = self.emulator.client("iam").get_role(RoleName=name)["Role"]["Arn"]
        response = self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        got = response["Credentials"]
        return Credentials(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])

    def call(
        self, credentials, method, path, headers=None, body=None, tamper=None, api=None, function=None
    ) -> Response:
        """Sends a request to the API, or to a function's URL, signed if there are credentials."""
        # These host names don't resolve here, but the emulator goes by the Host header.
        if function:
            service, host = "lambda", urlsplit(self.urls[function]).hostname
        else:
            service, host = "execute-api", f"{api or self.api_id}.execute-api.localhost:{self.emulator.port}"
        request = AWSRequest(method, f"http://{host}{path}", headers=dict(headers or {}), data=body or b"")
        if credentials:
            SigV4Auth(credentials, service, REGION).add_auth(request)
        if tamper:
            tamper(request)
        prepared = request.prepare()
        sent = urllib.request.Request(
            f"{self.emulator.url}{path}", method=method, data=body, headers=dict(prepared.headers) | {"host": host}
        )
        try:
            with urllib.request.urlopen(sent, timeout=60) as response:
                return Response(response.status, lower(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, lower(error.headers), error.read())

    def request(self, credentials, route: Route, session=None, headers=None, over_url=False) -> Response:
        """Sends the route's request for this session, to the API or to the URL of the route's function."""
        handle = handle_of(session) if session else "-"
        all_headers = dict(route.headers) | (headers or {})
        if session and route.names_session:
            all_headers["session-id"] = session
        function = route.function if over_url else None
        return self.call(credentials, route.method, route.path(handle), all_headers, route.body, function=function)

    def runs(self, function: str) -> int:
        """How many times a function has run, according to its log group."""
        logs = self.emulator.client("logs")
        group = self.resources[f"{function.capitalize()}Logs"]
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return sum(event["message"].startswith("START ") for page in pages for event in page["events"])


def handle_of(session):
    """The handle of a session id."""
    digest = hashlib.sha256(session.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def machine():
    """This machine's processor, as Lambda calls it."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(os.uname().machine, "x86_64")
