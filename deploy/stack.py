"""What `make deploy` and `make destroy-stack` do besides running `sam`.

- `configure` creates the file in which `sam deploy --guided` saves your answers for a stack, and prints its name.
- `architecture` prints the processor to build for: the last deployment's, or the template's default.
- `restrict` limits the built template to the processor that the functions were built for.
- `call` creates, reads and destroys a session through the deployed API, and prints how to call it.
- `destroy` deletes the stack, and prints what is kept and how to delete it.

AWS_REGION and AWS_PROFILE say where the stack is. Without AWS_REGION, it's the region of the last deployment.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import boto3
import botocore.httpsession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoRegionError
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = Path(__file__).resolve().parent.parent
#: The settings that every stack starts from. Git tracks this file, so nobody's answers belong in it.
DEFAULTS = ROOT / "samconfig.toml"

CALL = """
The API works: it created, read and destroyed a session. It's at {ApiUrl}

Try it, with a caller's credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if
they are temporary):

  curl -i -X POST {ApiUrl}/session \\
    --aws-sigv4 aws:amz:{Region}:execute-api --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    ${{AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}} \\
    -H 'content-type: application/json' -d '{{"cart":["apple"]}}'

To let an app call it, attach the policy {UseSessionsPolicyArn}
The dashboard is at {DashboardUrl}
"""

WRONG = """The stack {stack} is deployed, but the API does not work: {problem}

If a parameter is wrong, run `make deploy STACK={stack}` again and answer with another value: DefaultTtl
must not exceed MaxTtl, and RevokedBefore must be in the past."""

FORBIDDEN = """The stack {stack} is deployed, but we couldn't check whether it works: your credentials aren't allowed to call the API.
Attach the policy {policy} to your user or role, then run `make check-stack STACK={stack}`."""

ATTACHED = """
Before the stack can be deleted, its policies must be detached from the following, which will lose access to the API:

{attachments}
"""

PROTECTED = """The stack {stack} has termination protection. To turn it off:

  aws cloudformation update-termination-protection --no-enable-termination-protection --region {region} --stack-name {stack}"""

DELETED = """
The stack {stack} is deleted. The bucket that `sam deploy` uploads to is kept, because all SAM applications in this
account and region share it.
"""

KEPT = """The table {table} with all its sessions is kept too, so that nobody is logged out by mistake.
To delete it:

  aws dynamodb update-table --region {region} --table-name {table} --no-deletion-protection-enabled
  aws dynamodb delete-table --region {region} --table-name {table}

This also ends point-in-time recovery. If it's on, DynamoDB keeps one last backup for 35 days.
"""


def config_of(stack):
    """The file in this folder that has the answers for a stack. Git ignores it."""
    return Path(f"samconfig.{stack}.toml")


def answers(config):
    return config.read_text() if config.exists() else ""


def configure(stack, config):
    if not config.exists():
        config.write_text(DEFAULTS.read_text().replace('stack_name = "session-api"', f'stack_name = "{stack}"'))
    print(config.name)


def renamed(stack, config):
    """The name under which the stack was deployed, in case the deployer changed it. Renames the file to match."""
    name = saved(config, "stack_name") or stack
    if name != stack:
        config.rename(config_of(name))
    return name


def saved(config, name):
    """A setting that the stack's last guided deployment saved."""
    found = re.findall(rf'^{name} = "(.*)"$', answers(config), re.MULTILINE)
    return found[-1] if found else None


def region(config):
    """The region in the environment, or else the last guided deployment's."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or saved(config, "region")


def architecture(config):
    """The last guided deployment's processor, or else the template's default."""
    found = re.findall(r'\bArchitecture=[\\"]*(arm64|x86_64)\b', answers(config))
    return found[-1] if found else "arm64"


def restrict(template, built, config):
    """Makes CloudFormation refuse any other processor before it creates anything, because the functions weren't built
    for it."""
    document = yaml_parse(template.read_text())
    document["Parameters"]["Architecture"] |= {
        "Default": built,
        "AllowedValues": [built],
        "ConstraintDescription": f"must be {built}, which the functions were built for. To change it, run: "
        f"make deploy ARCHITECTURE={'x86_64' if built == 'arm64' else 'arm64'}",
    }
    template.write_text(yaml_dump(document))
    # `sam deploy --guided` proposes the saved answer rather than the default.
    before = answers(config)
    answered = re.sub(r'(\bArchitecture=[\\"]*)(?:arm64|x86_64)\b', rf"\g<1>{built}", before)
    if answered != before:
        config.write_text(answered)


class Stack:
    """A stack as CloudFormation describes it, even if its creation failed."""

    def __init__(self, name, region):
        self.name = name
        self.cloudformation = boto3.client("cloudformation", region_name=region)
        self.region = self.cloudformation.meta.region_name
        self.description = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]

    def call(self, url=None):
        """Creates, reads and destroys a session, and prints how to call the API."""
        status = self.description["StackStatus"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in self.description.get("Outputs", [])}
        if not outputs or status.startswith(("DELETE_", "ROLLBACK_")):
            sys.exit(f"The stack {self.name} is not deployed: its status is {status}.")
        self.live(url or outputs["ApiUrl"], outputs)
        print(CALL.format(**outputs))

    def live(self, url, outputs):
        """Creates, reads and destroys a session, or exits with what went wrong and what to do about it."""
        started, data = int(time.time() * 1000), b'{"cart":["apple"]}'
        headers = {"content-type": "application/json", "session-ttl": "60"}
        created = self.request("POST", url, headers, data)
        self.expect(created, 201, "create", "Write", outputs, started)
        session = {"session-id": created.headers["session-id"]}
        read = self.request("GET", url, session)
        self.expect(read, 200, "read", "Read", outputs, started)
        if read.content != data:
            sys.exit(WRONG.format(stack=self.name, problem=f"it read {read.content!r} instead of {data!r}"))
        destroyed = self.request("DELETE", url, session)
        self.expect(destroyed, 204, "destroy", "Destroy", outputs, started)

    def request(self, method, url, headers, data=None):
        """Sends a request with the deployer's credentials. A new host name may take a while to resolve."""
        credentials = boto3.Session().get_credentials().get_frozen_credentials()
        request = AWSRequest(method, f"{url}/session", headers, data)
        SigV4Auth(credentials, "execute-api", self.region).add_auth(request)
        for wait in (1, 2, 4, 8, 15, None):
            try:
                return botocore.httpsession.URLLib3Session().send(request.prepare())
            except HTTPClientError as error:
                if wait is None:
                    sys.exit(WRONG.format(stack=self.name, problem=f"{url} cannot be reached: {error}"))
                time.sleep(wait)

    def expect(self, response, status, what, function, outputs, since):
        """Exits with the end of the function's log unless the response has this status."""
        if response.status_code == status:
            return
        problem = (
            f"it responded {response.status_code} instead of {status} to a request to {what} a session: {response.text}"
        )
        if response.status_code == 403:
            sys.exit(FORBIDDEN.format(stack=self.name, policy=outputs["UseSessionsPolicyArn"]))
        group = outputs[f"{function}LogGroup"]
        # Log lines take a few seconds to arrive.
        for _ in range(10):
            events = boto3.client("logs", region_name=self.region).filter_log_events(
                logGroupName=group, startTime=since
            )
            lines = [event["message"].strip() for event in events["events"] if '"level":"ERROR"' in event["message"]]
            if lines:
                break
            time.sleep(1)
        found = "\n".join(dict.fromkeys(lines[-5:])) or "  nothing yet"
        sys.exit(WRONG.format(stack=self.name, problem=f"{problem}\n\nErrors in {group}:\n\n{found}"))

    def destroy(self, prompts, detach):
        """Deletes the stack, and prints what is kept."""
        if self.description.get("EnableTerminationProtection"):
            sys.exit(PROTECTED.format(stack=self.name, region=self.region))
        resources = self.resources()
        table = self.table(resources)
        attachments = self.attachments(resources)
        account = self.description["StackId"].split(":")[4]
        print(f"\nThe stack {self.name} in account {account}, {self.region}, will be deleted.")
        if attachments:
            print(
                ATTACHED.format(
                    attachments="\n".join(
                        f"- {kind} {name}: {policy.split('/')[-1]}" for policy, kind, name in attachments
                    )
                )
            )
        if prompts:
            question = "Detach the policies and delete the stack?" if attachments else "Delete it?"
            detach = asks(f"{question} [y/N]: ")
            if not detach:
                sys.exit("Nothing was deleted.")
        elif attachments and not detach:
            sys.exit("Nothing was deleted. Detach the policies, or pass --detach.")
        self.detach(attachments)
        command = ["sam", "delete", "--stack-name", self.name, "--region", self.region, "--no-prompts"]
        deleted = subprocess.run(command, check=False)
        if deleted.returncode != 0:
            sys.exit(deleted.returncode)
        print(DELETED.format(stack=self.name))
        if table:
            print(KEPT.format(table=table, region=self.region))

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        # A resource that was never created has no physical id.
        return [
            resource
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource.get("PhysicalResourceId")
        ]

    def table(self, resources):
        """The table's name, if it exists. After a failed deployment, CloudFormation keeps the table, but may only
        mention it in the stack's events."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        events = (event for page in pages for event in page["StackEvents"])
        names = (
            one["PhysicalResourceId"]
            for one in itertools.chain(resources, events)
            if one["LogicalResourceId"] == "Sessions" and one.get("PhysicalResourceId")
        )
        if not (name := next(names, None)):
            return None
        dynamodb = boto3.client("dynamodb", region_name=self.region)
        try:
            dynamodb.describe_table(TableName=name)
        except dynamodb.exceptions.ResourceNotFoundException:
            return None
        return name

    def attachments(self, resources):
        """Who has the policies for callers, as (policy, kind, name). The kind is role, user or group."""
        own_roles = {one["PhysicalResourceId"] for one in resources if one["ResourceType"] == "AWS::IAM::Role"}
        policies = [
            one["PhysicalResourceId"]
            for one in resources
            if one["ResourceType"] == "AWS::IAM::ManagedPolicy" and one["ResourceStatus"] != "DELETE_COMPLETE"
        ]
        iam = boto3.client("iam", region_name=self.region)
        found = []
        for policy in policies:
            for page in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=policy):
                for kind in ("Role", "User", "Group"):
                    names = [entity[f"{kind}Name"] for entity in page[f"Policy{kind}s"]]
                    found += [(policy, kind.lower(), name) for name in names if name not in own_roles]
        return found

    def detach(self, attachments):
        """Detaches the policies. If any can't be detached, exits with a list of those, before anything is deleted. That
        happens if IAM Identity Center manages a role, or if a policy is a permissions boundary."""
        iam = boto3.client("iam", region_name=self.region)
        failed = []
        for policy, kind, name in attachments:
            try:
                getattr(iam, f"detach_{kind}_policy")(**{f"{kind.capitalize()}Name": name, "PolicyArn": policy})
            except ClientError as error:
                failed.append(f"- {kind} {name}: {error.response['Error']['Message']}")
        if failed:
            sys.exit("The stack was not deleted, because these policies could not be detached:\n" + "\n".join(failed))


def asks(question):
    """Whether the deployer answers yes. End of input means no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["configure", "architecture", "restrict", "call", "destroy"])
    parser.add_argument("--stack-name", required=True)
    parser.add_argument(
        "--template",
        type=Path,
        default=ROOT / ".aws-sam" / "build" / "template.yaml",
        help="restrict: the built template",
    )
    parser.add_argument("--built-for", help="restrict: the processor that the functions were built for")
    parser.add_argument("--url", help="call: the API's URL, if it isn't the one in the stack's outputs")
    parser.add_argument("--no-prompts", action="store_true", help="destroy: don't ask")
    parser.add_argument("--detach", action="store_true", help="destroy: detach the policies from whoever has them")
    arguments = parser.parse_args()
    config = config_of(arguments.stack_name)
    if arguments.what == "configure":
        configure(arguments.stack_name, config)
        return
    if arguments.what == "architecture":
        print(architecture(config))
        return
    if arguments.what == "restrict":
        restrict(arguments.template, arguments.built_for, config)
        return
    name, where = arguments.stack_name, region(config)
    if arguments.what == "call":
        # Look where `sam deploy` has just deployed: its saved answers win over the environment.
        where = saved(config, "region") or where
        name = renamed(name, config)
    try:
        stack = Stack(name, where)
        if arguments.what == "call":
            stack.call(arguments.url)
        else:
            stack.destroy(prompts=not arguments.no_prompts, detach=arguments.detach)
    except NoRegionError:
        sys.exit("No region is set. Set AWS_REGION to the stack's region.")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The stack {name}: {error}")


if __name__ == "__main__":
    main()
