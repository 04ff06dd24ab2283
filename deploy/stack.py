"""What `make deploy` and `make destroy-stack` say and do beside `sam`.

`architecture` is the processor to build for; `call` says how to call the API that was just deployed;
`destroy` deletes the stack and says what it keeps. The last two work on the stack that the last guided deployment was of, or on that of --stack-name.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Path(__file__).resolve().parent.parent / "samconfig.toml"

CALL = """
The API is at {ApiUrl}

Try it, with credentials that may call it in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (temporary
ones have an AWS_SESSION_TOKEN too):

  curl -i -X POST {ApiUrl}/session \\
    --aws-sigv4 aws:amz:{Region}:execute-api --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    ${{AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}} \\
    -H 'content-type: application/json' -d '{{"cart":["apple"]}}'

An app may call it with the policy {UseSessionsPolicyArn}
The dashboard is at {DashboardUrl}
"""

MISBUILT = """
The functions were built for {built} and deployed for {deployed}: they cannot run. Build for what you
answered:

  make deploy ARCHITECTURE={deployed}
"""

KEPT = """
The stack {stack} is deleted. Kept, so that nobody is logged out by mistake:

- The table {TableName} with all sessions. To remove it too:

    aws dynamodb update-table --region {Region} --table-name {TableName} --no-deletion-protection-enabled
    aws dynamodb delete-table --region {Region} --table-name {TableName}

  Deleting the table ends its point-in-time recovery; DynamoDB keeps one last backup for 35 days.
- The bucket that `sam deploy` uploads to, which all SAM applications of this account and region share.
"""


def saved(name):
    """A parameter as the last guided deployment wrote it down."""
    found = re.findall(rf'^{name} = "(.*)"$', CONFIG.read_text(), re.MULTILINE)
    return found[-1] if found else None


def architecture():
    """The processor that the last guided deployment was for, or else the template's default."""
    found = re.findall(r'\bArchitecture=[\\"]*(arm64|x86_64)\b', CONFIG.read_text())
    return found[-1] if found else "arm64"


def describe(stack, region):
    """The outputs and the parameters of a stack."""
    cloudformation = boto3.client("cloudformation", region_name=region)
    description = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    return outputs, {one["ParameterKey"]: one["ParameterValue"] for one in description.get("Parameters", [])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["architecture", "call", "destroy"])
    parser.add_argument("--stack-name", default=saved("stack_name"))
    parser.add_argument("--built-for", help="the processor that the functions were built for")
    parser.add_argument("--no-prompts", action="store_true", help="do not ask before destroying")
    arguments = parser.parse_args()
    if arguments.what == "architecture":
        print(architecture())
        return
    stack, region = arguments.stack_name, saved("region")
    try:
        found, parameters = describe(stack, region)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The stack {stack} was not found: {error}")
    if arguments.what == "call":
        # The guided deployment asks for it when the functions are built already.
        deployed = parameters.get("Architecture")
        if arguments.built_for not in (None, deployed):
            sys.exit(MISBUILT.format(built=arguments.built_for, deployed=deployed))
        print(CALL.format(**found))
        return
    command = ["sam", "delete", "--stack-name", stack, "--region", found["Region"]]
    subprocess.run(command + ["--no-prompts"] * arguments.no_prompts, check=True)
    # It also ends well when the person said no.
    try:
        describe(stack, found["Region"])
    except (BotoCoreError, ClientError):
        print(KEPT.format(stack=stack, **found))


if __name__ == "__main__":
    main()
