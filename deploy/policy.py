"""Generates deployer-policy.json, which allows what deploying the template takes: `make generate`.

CloudFormation calls AWS with the deployer's credentials. Which actions it calls for each type of resource comes from
the type's schema, in cfn-lint's copy. The rest is what AWS documents elsewhere, and what `deploy` calls itself.
"""

import json
import re
import sys
from pathlib import Path

import cfnlint

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "deploy"))

import template as tpl

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"
#: What each service's resources of this stack are called.
RESOURCES = {
    "apigateway": ["arn:aws:apigateway:*::/*"],
    "cloudwatch": ["arn:aws:cloudwatch:*:*:alarm:session-api*", "arn:aws:cloudwatch::*:dashboard/session-api*"],
    "codedeploy": [
        "arn:aws:codedeploy:*:*:application:session-api*",
        "arn:aws:codedeploy:*:*:deploymentgroup:session-api*",
        "arn:aws:codedeploy:*:*:deploymentconfig:*",
    ],
    "dynamodb": ["arn:aws:dynamodb:*:*:table/session-api*"],
    "iam": ["arn:aws:iam::*:role/session-api*", "arn:aws:iam::*:policy/session-api*"],
    "lambda": ["arn:aws:lambda:*:*:function:session-api*"],
    "logs": ["arn:aws:logs:*:*:log-group:/aws/lambda/session-api*", "arn:aws:logs:*:*:log-group:/aws/vendedlogs/session-api*"],
}  # fmt: skip
#: Actions for properties that the template doesn't have, and those that reach sessions.
LEFT_OUT = re.compile(
    "dynamodb:(.*Item|Query|Scan|.*Replica|.*Import.*|.*Kinesis.*|.*ContributorInsights|.*ResourcePolicy)"
    "|lambda:.*(CodeSigning|Recursion|Scaling|Layer|CapacityProvider|Provisioned|RuntimeManagement|RuntimeAlias).*"
    "|logs:.*(DataProtection|Index|Kms|BearerToken|DeletionProtection).*|iam:(At|De)tach(Group|User)Policy"
    "|codedeploy:RegisterOnPremisesInstance"
)
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
LOG_DELIVERY = [
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
]


def statement(actions, *resources, **condition):
    return {"Effect": "Allow", "Action": sorted(set(actions)), "Resource": list(resources)} | condition


def of_resources():
    """The actions that CloudFormation calls for the template's resources."""
    files = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())
    document = tpl.translate(tpl.load(tpl.ROOT / "template.yaml"))
    for kind in {resource["Type"] for resource in document["Resources"].values()}:
        schema = json.loads((SCHEMAS / "resources" / f"{files[kind]}.json").read_text())
        for handler in schema["handlers"].values():
            for action in handler["permissions"]:
                if action.split(":")[0] in RESOURCES and not LEFT_OUT.fullmatch(action):
                    yield action


def policy():
    actions = set(of_resources())
    # Most of these can't be limited to a resource.
    lists = {action for action in actions if re.match("[a-z]+:(Describe|List)", action)}
    yield statement(lists | set(LOG_DELIVERY) | {"lambda:GetAccountSettings"}, "*")
    for service, resources in RESOURCES.items():
        own = {action for action in actions - lists - set(LOG_DELIVERY) if action.startswith(f"{service}:")}
        own -= {"iam:CreateServiceLinkedRole"}
        # `deploy --destroy` detaches the callers' policies.
        own |= {"logs:FilterLogEvents"} if service == "logs" else set()
        yield statement(own, *resources)
    yield statement(["iam:DetachUserPolicy", "iam:DetachGroupPolicy", "iam:DetachRolePolicy"], "*",
        Condition={"ArnLike": {"iam:PolicyARN": "arn:aws:iam::*:policy/session-api*"}})  # fmt: skip
    yield statement(
        ["iam:CreateServiceLinkedRole"],
        "arn:aws:iam::*:role/aws-service-role/ops.apigateway.amazonaws.com/*",
    )
    calls = ["CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DescribeStacks"]
    calls += ["DescribeStackEvents", "ListStackResources", "DeleteStack", "ContinueUpdateRollback"]
    yield statement(
        [f"cloudformation:{call}" for call in calls],
        "arn:aws:cloudformation:*:*:stack/session-api*",
        "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31",
    )
    yield statement(["s3:CreateBucket", "s3:ListBucket", "s3:PutObject", "s3:GetObject"], "arn:aws:s3:::session-api-*")
    yield statement(
        ["execute-api:Invoke"],
        *(f"arn:aws:execute-api:*:*:*/$default/{method}/session" for method in ("POST", "GET", "DELETE")),
    )


def rendered():
    return json.dumps({"Version": "2012-10-17", "Statement": list(policy())}, indent=1) + "\n"
