"""The template's promises: each a check that says what is broken, and the mutations that it must catch.

A check looks at the template as it takes effect: translated by SAM, with the conditions decided.
"""

import re
from dataclasses import dataclass, field

import template as tpl
from contract import FUNCTION_TIMEOUTS, FUNCTIONS, GATEWAY_TIMEOUT, POLICIES, ROLES, ROUTES

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/0123"
TOPIC_ARN = "arn:aws:sns:eu-central-1:111122223333:on-call"
ARN_PREFIX = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/"
CLIENT = tpl.ROOT / "src" / "store" / "client.rs"
ACCESS_LOG = {
    "requestId", "routeKey", "status", "responseLatency", "identity.userArn", "error.responseType",
    "integrationErrorMessage",
}
#: Milliseconds after which the retry of a transaction recovers one whose first attempt stalled.
RECOVERY = 5_500
#: IAM takes no alarm's name where alarms are asked for.
ALL_ALARMS = ":alarm:*"
PROMISES = []


@dataclass
class Promise:
    name: str
    #: Gives what is broken, or nothing.
    check: object
    #: Changes to the template, each of which must break this promise and no other.
    mutations: list = field(default_factory=list)


def promise(name):
    def register(check):
        made = Promise(name, lambda design: list(check(design)))
        PROMISES.append(made)
        # What follows the check with `@x.mutation` is what it has to catch.
        made.mutation = lambda mutate: made.mutations.append(mutate) or mutate
        return made

    return register


class Design:
    """The template with what stands beside it: all that a promise may be about."""

    def __init__(self, raw, client=None):
        self.raw = raw
        self.client = client or CLIENT.read_text()
        self.translated = tpl.translate(raw)
        self.processed = self.with_parameters()

    def with_parameters(self, **given):
        """The translated template with its conditions decided by these parameters or the defaults."""
        defaults = {name: parameter.get("Default") for name, parameter in self.raw["Parameters"].items()}
        return tpl.decide(self.translated, defaults | {"AWS::Partition": "aws"} | given)

    def resource(self, name, **given):
        """The properties of a resource; of none if it is not there."""
        processed = self.with_parameters(**given) if given else self.processed
        return processed["Resources"].get(name, {}).get("Properties", {})

    def resources(self, kind):
        return tpl.of_type(self.processed, kind)

    def constant(self, name):
        """A time of the DynamoDB client in milliseconds."""
        found = re.search(rf"const {name}: Duration = Duration::from_millis\(([0-9_]+)\)", self.client)
        return int(found[1].replace("_", ""))


def title(function):
    return function.capitalize()


def many(value):
    return value if isinstance(value, list) else [value]


def statements(processed):
    """Every statement of every policy for a principal: (resource's name, statement)."""
    for name, role in tpl.of_type(processed, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
        for name, policy in tpl.of_type(processed, kind).items():
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                yield name, statement


# The gateway


@promise("every route is called by signature only")
def authorizer(design):
    for key, operation in tpl.operations(design.processed).items():
        if not tpl.is_iam_authorized(operation):
            yield f"{key} has no IAM authorizer"


@authorizer.mutation
def a_route_without_authorizer(raw):
    event = raw["Resources"]["ReadFunction"]["Properties"]["Events"]["Read"]
    event["Properties"]["Auth"] = {"Authorizer": "NONE"}


@authorizer.mutation
def no_default_authorizer(raw):
    raw["Resources"]["Api"]["Properties"]["Auth"].pop("DefaultAuthorizer")


@promise("each route is there and goes to its function")
def routes(design):
    there = tpl.operations(design.processed)
    for route in ROUTES:
        operation = there.pop(route.key, None)
        if operation is None:
            yield f"{route.key} is not there"
            continue
        target = tpl.text(operation["x-amazon-apigateway-integration"]["uri"])
        if f"{title(route.function)}FunctionAliaslive" not in target:
            yield f"{route.key} does not go to the alias of {route.function}: {target}"
    for key in there:
        yield f"{key} is in no table of the contract"


@routes.mutation
def a_route_of_another_function(raw):
    functions = raw["Resources"]
    events = functions["DestroyFunction"]["Properties"]["Events"]
    functions["ReadFunction"]["Properties"]["Events"]["Destroy"] = events.pop("Destroy")


@routes.mutation
def a_route_that_nobody_asked_for(raw):
    properties = {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": "/debug"}
    raw["Resources"]["ReadFunction"]["Properties"]["Events"]["Debug"] = {"Type": "HttpApi", "Properties": properties}


@promise("the gateway throttles each route, by parameter")
def throttling(design):
    for stage in design.resources("AWS::ApiGatewayV2::Stage").values():
        settings = stage["Properties"].get("DefaultRouteSettings", {})
        for setting, parameter in [
            ("ThrottlingRateLimit", "ThrottlingRate"),
            ("ThrottlingBurstLimit", "ThrottlingBurst"),
        ]:
            if settings.get(setting) != design.raw["Parameters"][parameter]["Default"]:
                yield f"{setting} is {settings.get(setting)} and not {parameter}"


@throttling.mutation
def limits_of_each_other(raw):
    settings = raw["Resources"]["Api"]["Properties"]["DefaultRouteSettings"]
    rate, burst = settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]
    settings |= {"ThrottlingRateLimit": burst, "ThrottlingBurstLimit": rate}


@promise("the access log is JSON, with neither path nor query nor anything of a caller")
def access_log(design):
    for stage in design.resources("AWS::ApiGatewayV2::Stage").values():
        settings = stage["Properties"].get("AccessLogSettings", {})
        line = settings.get("Format", "")
        used = set(re.findall(r"\$context\.([A-Za-z0-9.]+)", line))
        if used != ACCESS_LOG:
            yield f"the access log has {sorted(used)} and not {sorted(ACCESS_LOG)}"
        if not re.fullmatch(r'\{("[A-Za-z]+":"\$context\.[A-Za-z0-9.]+",?)+\}', line):
            yield f"a line of the access log is not JSON: {line}"
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["AccessLogs", "Arn"]}:
            yield "the access log does not go to AccessLogs"


@access_log.mutation
def path_in_the_access_log(raw):
    settings = raw["Resources"]["Api"]["Properties"]["AccessLogSettings"]
    settings["Format"] = settings["Format"].replace("$context.routeKey", "$context.path")


@access_log.mutation
def no_access_log(raw):
    raw["Resources"]["Api"]["Properties"].pop("AccessLogSettings")


@promise("a warning about the API that SAM generates does not fail the deployment")
def no_fail_on_warnings(design):
    for name, api in design.resources("AWS::ApiGatewayV2::Api").items():
        if api["Properties"].get("FailOnWarnings"):
            yield f"{name} fails on warnings, such as one about a path parameter without a schema"


@no_fail_on_warnings.mutation
def fail_on_warnings(raw):
    raw["Resources"]["Api"]["Properties"]["FailOnWarnings"] = True


@promise("each time limit is inside the next: attempt, operation, function, gateway")
def time_limits(design):
    attempt, operation = design.constant("ATTEMPT_TIMEOUT"), design.constant("OPERATION_TIMEOUT")
    if not attempt < operation:
        yield f"an attempt of {attempt} ms is not inside an operation of {operation} ms"
    # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html: attempts of 1 s or
    # more, and a retry more than 5 s after the first attempt, here after the read of a rotation.
    attempt, transaction = design.constant("TRANSACTION_ATTEMPT_TIMEOUT"), design.constant("TRANSACTION_OPERATION_TIMEOUT")
    if not 1_000 <= attempt < transaction:
        yield f"an attempt of {attempt} ms is below 1 s, or not inside a transaction of {transaction} ms"
    needed = operation + RECOVERY + transaction
    if not needed < FUNCTION_TIMEOUTS["rotate"]:
        yield f"a rotation has {FUNCTION_TIMEOUTS['rotate']} ms, and may need {needed}"
    for function in FUNCTIONS:
        limit = design.resource(f"{title(function)}Function").get("Timeout", 3) * 1000
        if not operation < limit < GATEWAY_TIMEOUT:
            yield f"{function}: {operation} < {limit} < {GATEWAY_TIMEOUT} ms does not hold"
        if limit != FUNCTION_TIMEOUTS[function]:
            yield f"{function} has {limit} ms and not {FUNCTION_TIMEOUTS[function]}"
    for key, route in tpl.operations(design.processed).items():
        given = route["x-amazon-apigateway-integration"].get("timeoutInMillis", GATEWAY_TIMEOUT)
        if given != GATEWAY_TIMEOUT:
            yield f"the gateway waits {given} ms on {key} and not {GATEWAY_TIMEOUT}"


@time_limits.mutation
def a_function_shorter_than_an_operation(raw):
    raw["Resources"]["ReadFunction"]["Properties"]["Timeout"] = 2


@time_limits.mutation
def a_function_longer_than_the_gateway(raw):
    raw["Resources"]["WriteFunction"]["Properties"]["Timeout"] = 60


@time_limits.mutation
def a_gateway_shorter_than_the_function(raw):
    event = raw["Resources"]["WriteFunction"]["Properties"]["Events"]["Replace"]
    event["Properties"]["TimeoutInMillis"] = 10_000


# Permissions


@promise("nothing but this API runs the functions")
def callers_of_functions(design):
    for name in design.resources("AWS::Lambda::Url"):
        yield f"{name} opens a function to the internet, past the API"
    for name, permission in design.resources("AWS::Lambda::Permission").items():
        properties = permission["Properties"]
        if properties["Principal"] != "apigateway.amazonaws.com":
            yield f"{name} lets {properties['Principal']} run a function"
        if tpl.text({"Ref": "Api"}) not in tpl.text(properties.get("SourceArn")):
            yield f"{name} lets every API of every account run a function"


@callers_of_functions.mutation
def a_function_with_a_url(raw):
    raw["Resources"]["ReadFunction"]["Properties"]["FunctionUrlConfig"] = {"AuthType": "AWS_IAM"}


@callers_of_functions.mutation
def a_function_for_every_api(raw):
    properties = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "ReadFunction"}}
    properties["Principal"] = "apigateway.amazonaws.com"
    raw["Resources"]["Open"] = {"Type": "AWS::Lambda::Permission", "Properties": properties}


@promise("no policy has '*' for an action or a resource")
def no_wildcard(design):
    for name, statement in statements(design.processed):
        if any("*" in action for action in many(statement["Action"])):
            yield f"{name} has the action {statement['Action']}"
        for resource in many(statement["Resource"]):
            where = resource if isinstance(resource, str) else resource.get("Fn::Sub", tpl.text(resource))
            # The ARNs of routes are held against the contract below, each as a whole.
            if "*" in where and not where.endswith(ALL_ALARMS) and name not in POLICIES:
                yield f"{name} has the resource {where} for {statement['Action']}"
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{name} says what it is not about"
    # The one exception, of which the template tells the reason.
    traced = statements(design.with_parameters(Tracing="Active"))
    for name, statement in traced:
        if "*" in many(statement["Resource"]) and name != "TracingPolicy":
            yield f"{name} has the resource * where Tracing is Active"


def asking_for_alarms(raw):
    policy = raw["Resources"]["DeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    return policy["Statement"][1]


@no_wildcard.mutation
def any_action(raw):
    asking_for_alarms(raw)["Action"] = "cloudwatch:*"


@no_wildcard.mutation
def any_resource(raw):
    asking_for_alarms(raw)["Resource"] = "*"


@no_wildcard.mutation
def any_resource_of_a_service(raw):
    arn = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:*"
    asking_for_alarms(raw)["Resource"] = {"Fn::Sub": arn}


@promise("no role has a policy that AWS manages")
def no_managed_policy(design):
    for name, role in design.resources("AWS::IAM::Role").items():
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            if ":aws:policy/" in tpl.text(arn):
                yield f"{name} has {tpl.text(arn)}"


@no_managed_policy.mutation
def a_managed_policy(raw):
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    raw["Resources"]["ReadRole"]["Properties"]["ManagedPolicyArns"] = [arn]


@no_managed_policy.mutation
def a_deployment_with_the_role_that_sam_makes(raw):
    raw["Globals"]["Function"]["DeploymentPreference"].pop("Role")


@promise("each function's role has its actions on the table, and no other")
def roles(design):
    for function in FUNCTIONS:
        name = f"{title(function)}Role"
        if design.resource(f"{title(function)}Function").get("Role") != {"Fn::GetAtt": [name, "Arn"]}:
            yield f"{function} does not run under {name}"
        there = set()
        for owner, statement in statements(design.processed):
            if owner == name:
                for action in many(statement["Action"]):
                    if not action.startswith("logs:"):
                        there |= {(action, tpl.text(where)) for where in many(statement["Resource"])}
        promised = {
            (
                f"dynamodb:{need.action}",
                tpl.text({"Fn::Sub": f"${{Sessions.Arn}}/index/{need.index}"} if need.index
                         else {"Fn::GetAtt": ["Sessions", "Arn"]}),
            )
            for need in ROLES[function]
        }
        for action, where in there - promised:
            yield f"{name} has {action} on {where}, which nothing needs"
        for action, where in promised - there:
            yield f"{name} does not have {action} on {where}"


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
    function["VersionDescription"]["Fn::Sub"] = function["VersionDescription"]["Fn::Sub"].replace("ReadRole", "WriteRole")


@promise("each role is its service's alone to assume")
def trust(design):
    # Of a role that SAM adds by itself another promise tells.
    for name, role in design.resources("AWS::IAM::Role").items():
        if name not in design.raw["Resources"]:
            continue
        service = "codedeploy" if name == "DeploymentRole" else "lambda"
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": f"{service}.amazonaws.com"}:
                yield f"{name} may be assumed by {statement['Principal']}"


@trust.mutation
def a_role_for_the_whole_account(raw):
    policy = raw["Resources"]["ReadRole"]["Properties"]["AssumeRolePolicyDocument"]
    policy["Statement"][0]["Principal"] = {"AWS": {"Ref": "AWS::AccountId"}}


@promise("each function writes to a log group of its own, in JSON, and its role to that alone")
def own_logs(design):
    for function in FUNCTIONS:
        group = f"{title(function)}Logs"
        # By its name, which a version keeps: the version of a reference would point to a group that was replaced.
        where = {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}/{function}"}
        expected = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": where}
        if design.resource(f"{title(function)}Function").get("LoggingConfig") != expected:
            yield f"{function} does not log to {where['Fn::Sub']} in JSON, without Lambda's lines about each invocation"
        if design.resource(group).get("LogGroupName") != where:
            yield f"{group} is not {where['Fn::Sub']}"
        there = {
            (action, tpl.text(where))
            for owner, statement in statements(design.processed)
            if owner == f"{title(function)}Role"
            for action in many(statement["Action"])
            for where in many(statement["Resource"])
            if action.startswith("logs:")
        }
        arn = tpl.text({"Fn::GetAtt": [group, "Arn"]})
        if there != {("logs:CreateLogStream", arn), ("logs:PutLogEvents", arn)}:
            yield f"the role of {function} has for logs: {sorted(there)}"


@own_logs.mutation
def the_log_group_of_another(raw):
    policy = raw["Resources"]["ReadRole"]["Properties"]["Policies"][1]
    policy["PolicyDocument"]["Statement"][0]["Resource"] = {"Fn::GetAtt": ["WriteLogs", "Arn"]}


@own_logs.mutation
def a_function_that_logs_text(raw):
    raw["Globals"]["Function"]["LoggingConfig"]["LogFormat"] = "Text"


@own_logs.mutation
def lines_of_lambda_itself(raw):
    raw["Globals"]["Function"]["LoggingConfig"].pop("SystemLogLevel")


@own_logs.mutation
def a_log_group_of_another_name(raw):
    raw["Resources"]["ReadLogs"]["Properties"].pop("LogGroupName")


@promise("each policy for callers names exactly its routes of this API")
def caller_policies(design):
    for name, keys in POLICIES.items():
        there = set()
        for statement in design.resource(name).get("PolicyDocument", {}).get("Statement", []):
            if statement["Action"] != "execute-api:Invoke":
                yield f"{name} allows {statement['Action']}"
            there |= {
                where.get("Fn::Sub", tpl.text(where)) if isinstance(where, dict) else where
                for where in many(statement["Resource"])
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


@promise("with a KMS key of one's own the functions may decrypt with it by way of DynamoDB, else nothing")
def kms(design):
    for name, statement in statements(design.processed):
        if "kms:" in tpl.text(statement["Action"]):
            yield f"{name} has {statement['Action']} though no key is given"
    processed = design.with_parameters(KmsKeyArn=KEY_ARN)
    found = [(name, one) for name, one in statements(processed) if "kms:" in tpl.text(one["Action"])]
    via = {"StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}}}
    for name, statement in found:
        if (statement["Action"], statement["Resource"], statement.get("Condition")) != ("kms:Decrypt", KEY_ARN, via):
            yield f"{name}: {statement}"
        allowed = {tpl.text(role) for role in processed["Resources"][name]["Properties"].get("Roles", [])}
        if allowed != {tpl.text({"Ref": f"{title(function)}Role"}) for function in FUNCTIONS}:
            yield f"{name} is of {sorted(allowed)}"
    if not found:
        yield "nobody may use the key"


@kms.mutation
def a_key_that_nobody_may_use(raw):
    raw["Resources"].pop("KmsPolicy")


@kms.mutation
def a_key_for_every_use(raw):
    raw["Resources"]["KmsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0].pop("Condition")


@kms.mutation
def a_function_without_the_key(raw):
    raw["Resources"]["KmsPolicy"]["Properties"]["Roles"].pop()


# The table


@promise("the table is on demand, and its index holds keys only")
def table(design):
    there = design.resource("Sessions")
    expected = {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "user-index",
            "KeySchema": [
                {"AttributeName": "user", "KeyType": "HASH"},
                {"AttributeName": "created", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    }
    for name, value in expected.items():
        if there.get(name) != value:
            yield f"{name} is {there.get(name)}"


@table.mutation
def a_table_of_fixed_capacity(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("BillingMode")


@table.mutation
def an_index_with_the_data(raw):
    index, = raw["Resources"]["Sessions"]["Properties"]["GlobalSecondaryIndexes"]
    index["Projection"] = {"ProjectionType": "ALL"}


@promise("DynamoDB deletes expired sessions")
def ttl(design):
    if design.resource("Sessions").get("TimeToLiveSpecification") != {"AttributeName": "expires", "Enabled": True}:
        yield "the table has no TTL on expires"


@ttl.mutation
def ttl_of_another_attribute(raw):
    raw["Resources"]["Sessions"]["Properties"]["TimeToLiveSpecification"]["AttributeName"] = "ttl"


@ttl.mutation
def no_ttl(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("TimeToLiveSpecification")


@promise("the table is encrypted with a key of one's own if one is given, else with the free one of DynamoDB")
def encryption(design):
    if "SSESpecification" in design.resource("Sessions"):
        yield f"without a key: {design.resource('Sessions')['SSESpecification']}"
    there = design.resource("Sessions", KmsKeyArn=KEY_ARN).get("SSESpecification")
    if there != {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY_ARN}:
        yield f"with a key: {there}"


@encryption.mutation
def the_key_that_aws_manages(raw):
    raw["Resources"]["Sessions"]["Properties"]["SSESpecification"] = {"SSEEnabled": True, "SSEType": "KMS"}


@encryption.mutation
def a_key_that_is_not_used(raw):
    raw["Resources"]["Sessions"]["Properties"].pop("SSESpecification")


@promise("the table is protected from deletion")
def deletion_protection(design):
    if design.resource("Sessions").get("DeletionProtectionEnabled") is not True:
        yield "the table can be deleted by one call"


@deletion_protection.mutation
def no_protection(raw):
    raw["Resources"]["Sessions"]["Properties"]["DeletionProtectionEnabled"] = False


@promise("the table stays when the stack goes or replaces it")
def retention(design):
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if design.processed["Resources"]["Sessions"].get(policy) != "Retain":
            yield f"the table has no {policy}: Retain"


@retention.mutation
def deleted_with_the_stack(raw):
    raw["Resources"]["Sessions"].pop("DeletionPolicy")


@retention.mutation
def deleted_when_replaced(raw):
    raw["Resources"]["Sessions"]["UpdateReplacePolicy"] = "Delete"


@promise("the table can be restored to any second, unless a parameter says no")
def recovery(design):
    for given, expected in [({}, "true"), ({"PointInTimeRecovery": "false"}, "false")]:
        there = design.resource("Sessions", **given).get("PointInTimeRecoverySpecification", {})
        if there.get("PointInTimeRecoveryEnabled") != expected:
            yield f"with {given or 'the defaults'}: {there}"


@recovery.mutation
def no_recovery(raw):
    raw["Parameters"]["PointInTimeRecovery"]["Default"] = "false"


# Running it


@promise("logs are kept for as long as the parameter says")
def log_retention(design):
    for days in (30, 7):
        processed = design.with_parameters(LogRetention=days)
        for name, group in tpl.of_type(processed, "AWS::Logs::LogGroup").items():
            if group["Properties"].get("RetentionInDays") != days:
                yield f"{name} keeps its logs {group['Properties'].get('RetentionInDays', 'for ever')}"


@log_retention.mutation
def logs_for_ever(raw):
    raw["Resources"]["ReadLogs"]["Properties"].pop("RetentionInDays")


@promise("CloudFormation can create everything in some order: nothing depends on itself")
def no_cycle(design):
    if found := tpl.cycle(tpl.dependencies(design.translated)):
        yield " -> ".join(found)


@no_cycle.mutation
def a_deployment_that_waits_for_the_api(raw):
    # The deployment group of an alias depends on the alarm, the alarm on the API, the API on the alias.
    alarm = raw["Resources"]["ReadFailuresAlarm"]["Properties"]
    alarm["AlarmDescription"] = {"Fn::Sub": alarm["AlarmDescription"] + " ${Api}"}


@no_cycle.mutation
def a_log_group_that_waits_for_its_function(raw):
    raw["Resources"]["ReadLogs"]["DependsOn"] = "ReadFunction"


def failures(function, version):
    """The metrics of what a version of a function failed: what it responded, by its log, and its crashes."""
    name = f"{title(function)}Function"
    return [
        {
            "Namespace": {"Fn::Sub": "SessionApi/${AWS::StackName}"},
            "MetricName": f"{title(function)}Failures",
            "Dimensions": [{"Name": "Version", "Value": {"Fn::GetAtt": [version, "Version"]}}],
        },
        {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [
                {"Name": "FunctionName", "Value": {"Ref": name}},
                {"Name": "Resource", "Value": {"Fn::Sub": f"${{{name}}}:live"}},
                {"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [version, "Version"]}},
            ],
        },
    ]


@promise("traffic shifts gradually to a new version, and back if that version fails requests")
def gradual_deployment(design):
    groups = design.resources("AWS::CodeDeploy::DeploymentGroup")
    versions = {
        resource["Properties"]["FunctionName"]["Ref"]: name
        for name, resource in design.resources("AWS::Lambda::Version").items()
    }
    for function in FUNCTIONS:
        properties = groups.get(f"{title(function)}FunctionDeploymentGroup", {}).get("Properties", {})
        watched = [alarm["Name"] for alarm in properties.get("AlarmConfiguration", {}).get("Alarms", [])]
        name = f"{title(function)}FailuresAlarm"
        if watched != [{"Ref": name}]:
            yield f"{function} is rolled back by {watched} and not by {name}"
        if "AllAtOnce" in tpl.text(properties.get("DeploymentConfigName", "AllAtOnce")):
            yield f"{function} is replaced all at once"
        # The errors of another version must not roll back this one, which may be its fix.
        alarm, version = design.resource(name), versions[f"{title(function)}Function"]
        metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        if metrics != failures(function, version):
            yield f"{name} does not watch the new version alone: {metrics}"
        if f"${{{version}.Version}}" not in tpl.text(alarm.get("AlarmName", "")):
            yield f"{name} is not made anew for a new version, and keeps the state that it had for the old one"
        counted = design.resource(f"{title(function)}Failures")
        (transformation,) = counted.get("MetricTransformations", [{}])
        if (
            counted.get("LogGroupName") != {"Ref": f"{title(function)}Logs"}
            # A dimension must be a field of the pattern.
            or counted.get("FilterPattern") != '{ ($.status >= 500) && ($.version = "*") }'
            or transformation.get("MetricName") != f"{title(function)}Failures"
            or transformation.get("Dimensions") != [{"Key": "Version", "Value": "$.version"}]
        ):
            yield f"the log of {function} is not counted for {name}: {counted}"
    # The emulator has no CodeDeploy, so nothing else notices when it may not move an alias.
    there = {
        tpl.text(where)
        for owner, statement in statements(design.processed)
        if owner == "DeploymentRole" and "lambda:UpdateAlias" in many(statement["Action"])
        for where in many(statement["Resource"])
    }
    promised = set()
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        promised |= {tpl.text({"Fn::GetAtt": [name, "Arn"]}), tpl.text({"Fn::Sub": f"${{{name}.Arn}}:live"})}
    if there != promised:
        yield f"CodeDeploy may move other aliases than the functions': {sorted(there ^ promised)}"


@gradual_deployment.mutation
def an_alias_that_codedeploy_may_not_move(raw):
    policy = raw["Resources"]["DeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"][0]["Resource"].pop()


@gradual_deployment.mutation
def a_deployment_without_alarms(raw):
    raw["Resources"]["WriteFunction"]["Properties"]["DeploymentPreference"].pop("Alarms")


@gradual_deployment.mutation
def a_deployment_that_errors_of_all_versions_roll_back(raw):
    preference = raw["Resources"]["WriteFunction"]["Properties"]["DeploymentPreference"]
    preference["Alarms"].append({"Ref": "WriteErrorsAlarm"})


@gradual_deployment.mutation
def an_alarm_that_keeps_the_state_of_the_version_before(raw):
    raw["Resources"]["ReadFailuresAlarm"]["Properties"].pop("AlarmName")


@gradual_deployment.mutation
def error_responses_that_nobody_counts(raw):
    raw["Resources"]["ReadFailures"]["Properties"]["FilterPattern"] = "{ $.status >= 600 }"


@gradual_deployment.mutation
def all_at_once(raw):
    raw["Parameters"]["DeploymentType"]["Default"] = "AllAtOnce"


#: The longest that CloudFormation's names of the table are, for a stack's name of 100 characters: it appends
#: the logical name and 13 characters. And the id of a role.
LONGEST = {"Sessions": 100 + len("-Sessions-") + 13, "Role": 21}


@promise("a change of a function, and of anything that it refers to, is a new version")
def new_versions(design):
    translated = design.translated["Resources"]
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        raw = design.raw["Resources"][name]["Properties"]
        if not (design.raw["Globals"]["Function"] | raw).get("AutoPublishAliasAllProperties"):
            yield f"with the same code but other properties the alias of {function} would keep the old version"
        version, = (
            one for one in translated.values()
            if one["Type"] == "AWS::Lambda::Version" and one["Properties"]["FunctionName"] == {"Ref": name}
        )
        description = version["Properties"].get("Description", {}).get("Fn::Sub", "")
        # This one is of the function and not of its versions.
        versioned = {
            key: value for key, value in translated[name]["Properties"].items()
            if key != "ReservedConcurrentExecutions"
        }
        named = [one.split(".") for one in tpl.SUB.findall(description)]
        referred = tpl.references(versioned, design.translated["Conditions"])
        for missing in sorted(referred - {first for first, *_ in named}):
            yield f"with another {missing} the alias of {function} would keep the old version"
        longest = len(tpl.SUB.sub("", description)) + sum(
            longest_value(design.raw["Parameters"].get(first), first) for first, *_ in named
        )
        if longest > 256:
            yield f"the description of a version of {function} may have {longest} characters"


def longest_value(parameter, name):
    if parameter is None:
        return LONGEST["Role" if name.endswith("Role") else name]
    values = parameter.get("AllowedValues") or [parameter["MinValue"], parameter["MaxValue"]]
    return max(len(str(value)) for value in values)


@new_versions.mutation
def versions_of_code_alone(raw):
    raw["Globals"]["Function"].pop("AutoPublishAliasAllProperties")


@new_versions.mutation
def versions_that_do_not_know_the_parameters(raw):
    raw["Resources"]["WriteFunction"]["Properties"].pop("VersionDescription")


def without(reference):
    def mutate(raw):
        description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
        description["Fn::Sub"] = description["Fn::Sub"].replace(reference, "unknown")

    return mutate


@new_versions.mutation
def a_parameter_that_takes_no_effect(raw):
    without("${LogLevel}")(raw)


@new_versions.mutation
def a_table_that_takes_no_effect(raw):
    without("${Sessions}")(raw)


@new_versions.mutation
def a_role_that_takes_no_effect(raw):
    without("${ReadRole.RoleId}")(raw)


@new_versions.mutation
def a_description_that_is_too_long(raw):
    description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
    description["Fn::Sub"] += " and so forth" * 5


def watched(design):
    """What the alarms watch: (metric, of which resource, of which operation or version of it, statistic)."""
    for alarm in design.resources("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        stats = [one["MetricStat"] for one in properties.get("Metrics", []) if "MetricStat" in one]
        for metric, stat in [(one["Metric"], one["Stat"]) for one in stats] or [(properties, None)]:
            stat = stat or properties.get("Statistic") or properties.get("ExtendedStatistic")
            of, *parts = (dimension["Value"] for dimension in metric["Dimensions"])
            if "Ref" in of and all(isinstance(part, str) for part in parts):
                yield metric["MetricName"], of["Ref"], *parts, stat


ALARMS = [
    *((metric, f"{title(function)}Function", stat) for function in FUNCTIONS
      for metric, stat in [("Errors", "Sum"), ("Throttles", "Sum"), ("Duration", "p99")]),
    ("5xx", "Api", "Sum"),
    ("Latency", "Api", "p99"),
    # The table's metric does not include its indexes.
    *((f"{kind}ThrottleEvents", "Sessions", *index, "Sum") for kind in ("Read", "Write")
      for index in ([], ["user-index"])),
    # DynamoDB counts these by operation only.
    *(("SystemErrors", "Sessions", operation, "Sum")
      for operation in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")),
]


@promise("alarms watch functions, API and table, and notify the topic if there is one")
def alarms(design):
    there = set(watched(design))
    for alarm in ALARMS:
        if alarm not in there:
            yield f"no alarm on {alarm}"
    for name, alarm in design.resources("AWS::CloudWatch::Alarm").items():
        if alarm["Properties"].get("TreatMissingData") != "notBreaching":
            yield f"{name} goes off while nobody calls"
    for given, told in [({}, []), ({"AlarmTopicArn": TOPIC_ARN}, [TOPIC_ARN])]:
        processed = design.with_parameters(**given)
        for name, alarm in tpl.of_type(processed, "AWS::CloudWatch::Alarm").items():
            for event in ("AlarmActions", "OKActions"):
                if alarm["Properties"].get(event) != told:
                    yield f"{name}: {event} is {alarm['Properties'].get(event)} and not {told}"


@alarms.mutation
def no_alarm_on_throttling(raw):
    raw["Resources"].pop("ReadThrottlesAlarm")
    dashboard = raw["Resources"]["Dashboard"]["Properties"]
    body = dashboard["DashboardBody"]["Fn::Sub"]
    dashboard["DashboardBody"]["Fn::Sub"] = re.sub(r' *"\$\{ReadThrottlesAlarm\.Arn\}",\n', "", body)


@alarms.mutation
def an_alarm_that_nobody_hears(raw):
    raw["Resources"]["ApiErrorsAlarm"]["Properties"].pop("AlarmActions")


@alarms.mutation
def an_index_that_nobody_watches(raw):
    raw["Resources"]["TableThrottlesAlarm"]["Properties"]["Metrics"].pop()


@alarms.mutation
def an_operation_that_nobody_watches(raw):
    raw["Resources"]["TableErrorsAlarm"]["Properties"]["Metrics"].pop()


@alarms.mutation
def an_alarm_of_silence(raw):
    raw["Resources"]["ReadErrorsAlarm"]["Properties"]["TreatMissingData"] = "breaching"


@promise("the dashboard shows traffic, latency, errors, capacity, expiry, and every alarm")
def dashboard(design):
    body = tpl.dashboard(design.resource("Dashboard"))
    shown = {
        (line[1], line[3])
        for widget in body["widgets"]
        for line in widget["properties"].get("metrics", [])
    }
    wanted = [
        *(("Count", "Api"), ("Latency", "Api"), ("5xx", "Api"), ("4xx", "Api")),
        *((metric, f"{title(function)}Function") for function in FUNCTIONS
          for metric in ("Invocations", "Duration", "Errors", "Throttles")),
        *(("ConsumedReadCapacityUnits", "Sessions"), ("ConsumedWriteCapacityUnits", "Sessions")),
        ("TimeToLiveDeletedItemCount", "Sessions"),
    ]
    for metric, of in wanted:
        if (metric, f"<{of}>") not in shown:
            yield f"{metric} of {of} is not shown"
    alarms = {arn for widget in body["widgets"] for arn in widget["properties"].get("alarms", [])}
    if alarms != {f"<{name}.Arn>" for name in design.resources("AWS::CloudWatch::Alarm")}:
        yield f"the alarms shown are {sorted(alarms)}"


@dashboard.mutation
def expiry_not_shown(raw):
    body = raw["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace("TimeToLiveDeletedItemCount", "ReturnedItemCount")


@promise("concurrency and tracing are parameters, and off unless asked for")
def by_parameter(design):
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        if "ReservedConcurrentExecutions" in design.resource(name):
            yield f"{function} reserves concurrency unasked"
        if design.resource(name, ReservedConcurrency=5).get("ReservedConcurrentExecutions") != 5:
            yield f"{function} does not reserve concurrency"
        if design.resource(name).get("TracingConfig", {}).get("Mode", "PassThrough") != "PassThrough":
            yield f"{function} traces unasked"
        if design.resource(name, Tracing="Active").get("TracingConfig", {}).get("Mode") != "Active":
            yield f"{function} does not trace"
    tracers = design.resource("TracingPolicy", Tracing="Active").get("Roles", [])
    if tracers != [{"Ref": f"{title(function)}Role"} for function in FUNCTIONS]:
        yield f"traces may be sent by {tracers}"


@by_parameter.mutation
def tracing_unasked(raw):
    raw["Globals"]["Function"]["Tracing"] = "Active"


@by_parameter.mutation
def no_reserved_concurrency(raw):
    raw["Globals"]["Function"].pop("ReservedConcurrentExecutions")


@promise("the functions get their configuration from the parameters")
def configuration(design):
    parameters = {name: one.get("Default") for name, one in design.raw["Parameters"].items()}
    expected = {
        "TABLE_NAME": {"Ref": "Sessions"},
        "DEFAULT_TTL": parameters["DefaultTtl"],
        "MAX_TTL": parameters["MaxTtl"],
        "MAX_LIFETIME": parameters["MaxLifetime"],
        "RUST_LOG": parameters["LogLevel"],
    }
    for function in FUNCTIONS:
        there = design.resource(f"{title(function)}Function").get("Environment", {}).get("Variables")
        if there != expected:
            yield f"{function} has {there}"


@configuration.mutation
def a_fixed_limit(raw):
    raw["Globals"]["Function"]["Environment"]["Variables"]["MAX_TTL"] = 60


@promise("every parameter tells what it is, has a default, and refuses nonsense")
def parameters(design):
    for name, parameter in design.raw["Parameters"].items():
        if len(parameter.get("Description", "")) < 20:
            yield f"{name} has no description"
        if "Default" not in parameter:
            yield f"{name} has no default"
        if not {"AllowedValues", "AllowedPattern"} & parameter.keys() and not {"MinValue", "MaxValue"} <= parameter.keys():
            yield f"{name} takes anything"
        parts = [design.raw[part] for part in ("Globals", "Conditions", "Resources")]
        if name not in tpl.references(parts, design.raw["Conditions"]):
            yield f"{name} is used nowhere"
    levels = design.raw["Parameters"]["LogLevel"]["AllowedValues"]
    # Lambda filters a function's lines itself, at info. With "off" nothing would count failed requests.
    if levels != ["error", "warn", "info"]:
        yield f"LogLevel may be {levels}, some of which do nothing or leave the roll-back blind"


@parameters.mutation
def a_parameter_that_takes_anything(raw):
    raw["Parameters"]["KmsKeyArn"].pop("AllowedPattern")


@parameters.mutation
def a_parameter_that_nothing_uses(raw):
    raw["Globals"]["Function"]["MemorySize"] = 256
    for function in FUNCTIONS:
        description = raw["Resources"][f"{title(function)}Function"]["Properties"]["VersionDescription"]
        description["Fn::Sub"] = description["Fn::Sub"].replace("${MemorySize}", "256")


@parameters.mutation
def a_log_level_that_does_nothing(raw):
    raw["Parameters"]["LogLevel"]["AllowedValues"].append("debug")


@promise("the dashboard's URL is that of the partition's console")
def console(design):
    for partition, host in [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ]:
        outputs = design.with_parameters(**{"AWS::Partition": partition})["Outputs"]
        text, given = outputs["DashboardUrl"]["Value"]["Fn::Sub"]
        if not text.startswith("https://${Console}/cloudwatch/") or given["Console"] != host:
            yield f"in {partition}: {text} with {given}"


@console.mutation
def one_console_for_all(raw):
    raw["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"][1]["Console"] = "console.aws.amazon.com"


@promise("the outputs are what a script needs to call the API and to find what was made")
def outputs(design):
    wanted = {"ApiUrl", "ApiId", "Region", "TableName", "TableArn", "DashboardUrl", "AccessLogGroup"}
    wanted |= {f"{policy}Arn" for policy in POLICIES} | {f"{title(function)}LogGroup" for function in FUNCTIONS}
    for name in wanted - design.raw["Outputs"].keys():
        yield f"{name} is missing"
    for name, output in design.raw["Outputs"].items():
        if not output.get("Description"):
            yield f"{name} has no description"


@outputs.mutation
def no_url(raw):
    raw["Outputs"].pop("ApiUrl")
