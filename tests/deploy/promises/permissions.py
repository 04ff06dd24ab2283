"""What each role and each policy allows."""

import template as tpl
from contract import FUNCTIONS, POLICIES, ROLES, URLS

from .design import as_list, promise, statements, title

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/0123"


ARN_PREFIX = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/"


#: CodeDeploy looks up several alarms at once, which IAM can only allow for all alarms.
ALL_ALARMS = ":alarm:*"


def alias(function):
    return {"Ref": f"{title(function)}FunctionAliaslive"}


@promise("only this API invokes the functions, and with FunctionUrls whoever signs for a URL of their aliases")
def callers_of_functions(design):
    for name in design.resources("AWS::Lambda::Url"):
        yield f"{name} exists although FunctionUrls is false"
    urls = tpl.of_type(design.with_parameters(FunctionUrls="true"), "AWS::Lambda::Url")
    there = {name: url["Properties"] for name, url in urls.items()}
    promised = {
        f"{title(function)}Url": {"TargetFunctionArn": alias(function), "AuthType": "AWS_IAM"} for function in FUNCTIONS
    }
    if there != promised:
        yield f"the URLs are {there}"
    for name, permission in design.resources("AWS::Lambda::Permission").items():
        properties = permission["Properties"]
        if properties["Principal"] != "apigateway.amazonaws.com":
            yield f"{name} lets {properties['Principal']} invoke a function"
        if tpl.text({"Ref": "Api"}) not in tpl.text(properties.get("SourceArn")):
            yield f"{name} lets every API of every account invoke a function"


@callers_of_functions.mutation
def a_url_that_nobody_asked_for(raw):
    raw["Resources"]["ReadUrl"].pop("Condition")


@callers_of_functions.mutation
def a_url_without_signatures(raw):
    raw["Resources"]["WriteUrl"]["Properties"]["AuthType"] = "NONE"


@callers_of_functions.mutation
def a_url_of_the_latest_code(raw):
    raw["Resources"]["DestroyUrl"]["Properties"]["TargetFunctionArn"] = {"Ref": "DestroyFunction"}


@callers_of_functions.mutation
def a_function_for_every_api(raw):
    properties = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "ReadFunction"}}
    properties["Principal"] = "apigateway.amazonaws.com"
    raw["Resources"]["Open"] = {"Type": "AWS::Lambda::Permission", "Properties": properties}


@promise("no policy has '*' as an action or a resource")
def no_wildcard(design):
    for name, statement in statements(design.processed):
        if any("*" in action for action in as_list(statement["Action"])):
            yield f"{name} has the action {statement['Action']}"
        for resource in as_list(statement["Resource"]):
            where = resource if isinstance(resource, str) else resource.get("Fn::Sub", tpl.text(resource))
            # Route ARNs may contain '*'. The promise about caller policies compares them with the contract.
            if "*" in where and not where.endswith(ALL_ALARMS) and name not in POLICIES:
                yield f"{name} has the resource {where} for {statement['Action']}"
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{name} has NotAction or NotResource"
    # X-Ray is the only exception, because it has no resources.
    traced = statements(design.with_parameters(Tracing="Active"))
    for name, statement in traced:
        if "*" in as_list(statement["Resource"]) and not all(
            "xray:" in action for action in as_list(statement["Action"])
        ):
            yield f"{name} has the resource * when Tracing is Active"


def describe_alarms_statement(raw):
    policy = raw["Resources"]["DeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    return policy["Statement"][1]


@no_wildcard.mutation
def any_action(raw):
    describe_alarms_statement(raw)["Action"] = "cloudwatch:*"


@no_wildcard.mutation
def any_resource(raw):
    describe_alarms_statement(raw)["Resource"] = "*"


@no_wildcard.mutation
def any_resource_of_a_service(raw):
    arn = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:*"
    describe_alarms_statement(raw)["Resource"] = {"Fn::Sub": arn}


@promise("no role has an AWS managed policy")
def no_managed_policy(design):
    for name, role in design.resources("AWS::IAM::Role").items():
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            if ":aws:policy/" in tpl.text(arn):
                yield f"{name} has {tpl.text(arn)}"


@no_managed_policy.mutation
def a_managed_policy(raw):
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    raw["Resources"]["ReadRole"]["Properties"]["ManagedPolicyArns"].append(arn)


@no_managed_policy.mutation
def a_deployment_role_generated_by_sam(raw):
    raw["Globals"]["Function"]["DeploymentPreference"].pop("Role")


@promise("each function's role allows exactly the actions that the function calls")
def roles(design):
    for function in FUNCTIONS:
        name = f"{title(function)}Role"
        if design.resource(f"{title(function)}Function").get("Role") != {"Fn::GetAtt": [name, "Arn"]}:
            yield f"{function} does not run under {name}"
        there = set()
        for owner, statement in statements(design.processed):
            if owner == name:
                for action in as_list(statement["Action"]):
                    if not action.startswith("logs:"):
                        there |= {(action, tpl.text(where)) for where in as_list(statement["Resource"])}
        promised = {
            (
                f"dynamodb:{need.action}",
                tpl.text(
                    {"Fn::Sub": f"${{Sessions.Arn}}/index/{need.index}"}
                    if need.index
                    else {"Fn::GetAtt": ["Sessions", "Arn"]}
                ),
            )
            for need in ROLES[function]
        }
        for action, where in there - promised:
            yield f"{name} allows {action} on {where}, which the function does not call"
        for action, where in promised - there:
            yield f"{name} does not allow {action} on {where}"


@roles.mutation
def a_scan(raw):
    policy = raw["Resources"]["ReadRole"]["Properties"]["Policies"][0]
    policy["PolicyDocument"]["Statement"][0]["Action"] = ["dynamodb:GetItem", "dynamodb:Scan"]


@roles.mutation
def a_missing_action(raw):
    policy = raw["Resources"]["WriteRole"]["Properties"]["Policies"][0]
    policy["PolicyDocument"]["Statement"][0]["Action"] = ["dynamodb:PutItem"]


@roles.mutation
def a_role_of_another_function(raw):
    function = raw["Resources"]["ReadFunction"]["Properties"]
    function["Role"] = {"Fn::GetAtt": ["WriteRole", "Arn"]}
    function["VersionDescription"]["Fn::Sub"] = function["VersionDescription"]["Fn::Sub"].replace(
        "ReadRole", "WriteRole"
    )


@promise("only its own service may assume a role")
def trust(design):
    # The promise about managed policies covers roles that SAM adds.
    for name, role in design.resources("AWS::IAM::Role").items():
        if name not in design.raw["Resources"]:
            continue
        service = "codedeploy" if name == "DeploymentRole" else "lambda"
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": f"{service}.amazonaws.com"}:
                yield f"{name} may be assumed by {statement['Principal']}"


@trust.mutation
def a_role_that_the_account_may_assume(raw):
    policy = raw["Resources"]["ReadRole"]["Properties"]["AssumeRolePolicyDocument"]
    policy["Statement"][0]["Principal"] = {"AWS": {"Ref": "AWS::AccountId"}}


def over_urls(functions):
    """The statements that let a caller use these functions' URLs, and nothing else."""
    conditions = {
        "lambda:InvokeFunctionUrl": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        "lambda:InvokeFunction": {"Bool": {"lambda:InvokedViaFunctionUrl": True}},
    }
    resources = [alias(function) for function in functions]
    return [
        {"Effect": "Allow", "Action": action, "Resource": resources, "Condition": condition}
        for action, condition in conditions.items()
        if functions
    ]


@promise("each policy for callers allows exactly its routes of this API, and its functions' URLs")
def caller_policies(design):
    for name, keys in POLICIES.items():
        routes, *others = design.resource(name)["PolicyDocument"]["Statement"]
        with_urls = design.resource(name, FunctionUrls="true")["PolicyDocument"]["Statement"]
        if (others, with_urls) != ([], [routes, *over_urls(URLS[name])]):
            yield f"{name} allows {others}, and with FunctionUrls {with_urls[1:]}"
        if routes["Action"] != "execute-api:Invoke":
            yield f"{name} allows {routes['Action']}"
        there = {
            where.get("Fn::Sub", tpl.text(where)) if isinstance(where, dict) else where
            for where in as_list(routes["Resource"])
        }
        promised = {ARN_PREFIX + tpl.arn_tail(key) for key in keys}
        for arn in there - promised:
            yield f"{name} allows {arn}"
        for arn in promised - there:
            yield f"{name} does not allow {arn}"


@caller_policies.mutation
def a_reader_that_may_destroy(raw):
    policy = raw["Resources"]["ReadSessionsPolicy"]["Properties"]["PolicyDocument"]
    policy["Statement"][0]["Resource"].append({"Fn::Sub": ARN_PREFIX + "$default/DELETE/session"})


@caller_policies.mutation
def a_policy_for_the_whole_api(raw):
    policy = raw["Resources"]["UseSessionsPolicy"]["Properties"]["PolicyDocument"]
    policy["Statement"][0]["Resource"] = {"Fn::Sub": ARN_PREFIX + "*"}


def over_urls_in(raw, policy):
    """The two statements about function URLs."""
    statements = raw["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]
    return [statement["Fn::If"] for statement in statements[1:]]


@caller_policies.mutation
def a_policy_for_urls_in_any_case(raw):
    statements = raw["Resources"]["UseSessionsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    statements[1] = statements[1]["Fn::If"][1]


@caller_policies.mutation
def a_policy_without_one_of_the_two_permissions(raw):
    raw["Resources"]["ReadSessionsPolicy"]["Properties"]["PolicyDocument"]["Statement"].pop()


@caller_policies.mutation
def a_policy_for_direct_invocations(raw):
    over_urls_in(raw, "UseSessionsPolicy")[1][1].pop("Condition")


@caller_policies.mutation
def a_reader_over_the_url_of_writes(raw):
    over_urls_in(raw, "ReadSessionsPolicy")[0][1]["Resource"].append({"Ref": "WriteFunction.Alias"})


@promise("the functions may decrypt with the customer managed key, if there is one, but only through DynamoDB")
def kms(design):
    for name, statement in statements(design.processed):
        if "kms:" in tpl.text(statement["Action"]):
            yield f"{name} has {statement['Action']} although there is no key"
    via = {"StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}}}
    expected = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY_ARN, "Condition": via}
    found = [
        (name, statement)
        for name, statement in statements(design.with_parameters(KmsKeyArn=KEY_ARN))
        if "kms:" in tpl.text(statement["Action"])
    ]
    for name, statement in found:
        if statement != expected:
            yield f"{name}: {statement}"
    users = sorted(name for name, _ in found)
    if users != sorted(f"{title(function)}Role" for function in FUNCTIONS):
        yield f"the key may be used by {users}"


@kms.mutation
def a_key_for_any_service(raw):
    raw["Resources"]["KeyPolicy"]["Properties"]["PolicyDocument"]["Statement"][0].pop("Condition")


@kms.mutation
def a_function_without_the_key(raw):
    raw["Resources"]["DestroyRole"]["Properties"]["ManagedPolicyArns"].pop(0)


@promise("every role has the permissions boundary, if there is one")
def boundary(design):
    arn = "arn:aws:iam::123456789012:policy/boundary"
    for given, expected in [({}, None), ({"PermissionsBoundary": arn}, arn)]:
        for name, role in tpl.of_type(design.with_parameters(**given), "AWS::IAM::Role").items():
            # Those that SAM would generate break another promise.
            found = role["Properties"].get("PermissionsBoundary")
            if name in design.raw["Resources"] and found != expected:
                yield f"{name} has the boundary {found} instead of {expected}"


@boundary.mutation
def a_role_without_a_boundary(raw):
    raw["Resources"]["DeploymentRole"]["Properties"].pop("PermissionsBoundary")
