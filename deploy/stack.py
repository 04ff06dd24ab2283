"""What `make deploy` and `make destroy-stack` do in addition to `sam`.

- `architecture` prints the processor to build for: that of the last guided deployment, or the template's default.
- `restrict` limits the built template to the processor that the functions were built for.
- `call` prints how to call the API that was just deployed.
- `destroy` deletes the stack, and prints what it kept and how to delete that.

The last two work on the stack of the last guided deployment, or of --stack-name.
"""

import argparse
import itertools
import re
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "samconfig.toml"

CALL = """
The API is at {ApiUrl}

Try it, with the credentials of a caller in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and, if they are
temporary, in AWS_SESSION_TOKEN):

  curl -i -X POST {ApiUrl}/session \\
    --aws-sigv4 aws:amz:{Region}:execute-api --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    ${{AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}} \\
    -H 'content-type: application/json' -d '{{"cart":["apple"]}}'

An app may call it with the policy {UseSessionsPolicyArn}
The dashboard is at {DashboardUrl}
"""

ATTACHED = """
These use the stack's policies to call the API, and CloudFormation cannot delete a policy that is attached:

{attachments}
"""

STILL_ATTACHED = """Nothing was deleted. Detach the policies yourself, or run the command again and answer y (--detach)."""

DELETED = """
The stack {stack} is deleted, but not the bucket that `sam deploy` uploads to, which all SAM applications of
this account and region share.
"""

KEPT = """The table {table} with all its sessions is kept too, so that nobody is logged out by mistake.
To delete it:

  aws dynamodb update-table --region {region} --table-name {table} --no-deletion-protection-enabled
  aws dynamodb delete-table --region {region} --table-name {table}

That ends its point-in-time recovery. DynamoDB keeps one last backup for 35 days.
"""


def saved(name):
    """A setting that the last guided deployment saved."""
    found = re.findall(rf'^{name} = "(.*)"$', CONFIG.read_text(), re.MULTILINE)
    return found[-1] if found else None


def architecture():
    """The processor of the last guided deployment, or else the template's default."""
    found = re.findall(r'\bArchitecture=[\\"]*(arm64|x86_64)\b', CONFIG.read_text())
    return found[-1] if found else "arm64"


def restrict(template, built):
    """Makes CloudFormation refuse any other answer to a guided deployment's question for the processor, before it
    creates anything: functions that were built for another one cannot run."""
    document = yaml_parse(template.read_text())
    document["Parameters"]["Architecture"] |= {
        "Default": built,
        "AllowedValues": [built],
        "ConstraintDescription": f"must be {built}, which the functions were built for. To change it, run: "
        f"make deploy ARCHITECTURE={'x86_64' if built == 'arm64' else 'arm64'}",
    }
    template.write_text(yaml_dump(document))


class Stack:
    """A stack as CloudFormation describes it, whether its creation succeeded or not."""

    def __init__(self, name, region):
        self.name = name
        self.cloudformation = boto3.client("cloudformation", region_name=region)
        self.region = self.cloudformation.meta.region_name
        description = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        self.status = description["StackStatus"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [resource for page in pages for resource in page["StackResourceSummaries"]]

    def call(self):
        if not self.outputs:
            sys.exit(f"The stack {self.name} is not deployed: its status is {self.status}.")
        print(CALL.format(**self.outputs))

    def destroy(self, prompts, detach):
        resources = self.resources()
        table = self.table(resources)
        self.detach_policies(resources, prompts, detach)
        command = ["sam", "delete", "--stack-name", self.name, "--region", self.region]
        deleted = subprocess.run(command + ["--no-prompts"] * (not prompts), check=False)
        if deleted.returncode != 0:
            sys.exit(deleted.returncode)
        # `sam delete` also succeeds if the answer to its question was no.
        try:
            Stack(self.name, self.region)
        except ClientError:
            print(DELETED.format(stack=self.name))
            if table:
                print(KEPT.format(table=table, region=self.region))

    def table(self, resources):
        """The name of the table, if the deployment came as far as creating it. CloudFormation keeps the table of a
        failed deployment, and may list it among the events only."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        events = (event for page in pages for event in page["StackEvents"])
        return next((
            one["PhysicalResourceId"]
            for one in itertools.chain(resources, events)
            if one["LogicalResourceId"] == "Sessions" and one.get("PhysicalResourceId")
        ), None)

    def detach_policies(self, resources, prompts, detach):
        """Finds who uses the policies for callers, and detaches them if that is wanted."""
        own_roles = {one["PhysicalResourceId"] for one in resources if one["ResourceType"] == "AWS::IAM::Role"}
        policies = [one["PhysicalResourceId"] for one in resources
                    if one["ResourceType"] == "AWS::IAM::ManagedPolicy"
                    # The policies of a failed creation are gone.
                    and one["ResourceStatus"] != "DELETE_COMPLETE"]
        iam = boto3.client("iam", region_name=self.region)
        attachments = [
            (policy, kind, name)
            for policy in policies
            for kind, name in attached_to(iam, policy)
            if (kind, name) not in {("role", role) for role in own_roles}
        ]
        if not attachments:
            return
        print(ATTACHED.format(attachments="\n".join(
            f"- {kind} {name}: {policy.split('/')[-1]}" for policy, kind, name in attachments
        )))
        if prompts and not detach:
            detach = asks("Detach them? They lose access to the API at once. [y/N]: ")
        if not detach:
            sys.exit(STILL_ATTACHED)
        for policy, kind, name in attachments:
            operation = getattr(iam, f"detach_{kind}_policy")
            operation(**{f"{kind.capitalize()}Name": name, "PolicyArn": policy})


def asks(question):
    """Whether a person answers yes; the end of the input means no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def attached_to(iam, policy):
    """Who has a managed policy: (role, user or group; name)."""
    pages = iam.get_paginator("list_entities_for_policy").paginate(
        PolicyArn=policy, PolicyUsageFilter="PermissionsPolicy"
    )
    for page in pages:
        for kind in ("Role", "User", "Group"):
            for entity in page[f"Policy{kind}s"]:
                yield kind.lower(), entity[f"{kind}Name"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["architecture", "restrict", "call", "destroy"])
    parser.add_argument("--stack-name", default=saved("stack_name"))
    parser.add_argument("--template", type=Path, default=ROOT / ".aws-sam" / "build" / "template.yaml",
                        help="restrict: the built template")
    parser.add_argument("--built-for", help="restrict: the processor that the functions were built for")
    parser.add_argument("--no-prompts", action="store_true", help="destroy: do not ask")
    parser.add_argument("--detach", action="store_true", help="destroy: detach the policies from whoever has them")
    arguments = parser.parse_args()
    if arguments.what == "architecture":
        print(architecture())
        return
    if arguments.what == "restrict":
        restrict(arguments.template, arguments.built_for)
        return
    try:
        stack = Stack(arguments.stack_name, saved("region"))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The stack {arguments.stack_name} was not found: {error}")
    if arguments.what == "call":
        stack.call()
    else:
        stack.destroy(prompts=not arguments.no_prompts, detach=arguments.detach)


if __name__ == "__main__":
    main()
