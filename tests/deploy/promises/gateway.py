"""What API Gateway promises: authorization, routes, limits, access log."""

import re

import template as tpl
from contract import FUNCTION_TIMEOUTS, FUNCTIONS, GATEWAY_TIMEOUT, ROUTES

from .design import promise, title

ACCESS_LOG = {
    "requestId",
    "routeKey",
    "status",
    "responseLatency",
    "identity.userArn",
    "error.responseType",
    "integrationErrorMessage",
}
#: How many milliseconds after a stalled first attempt a retry recovers the transaction.
RECOVERY = 5_500


@promise("every route requires a SigV4 signature")
def authorizer(design):
    for key, operation in tpl.operations(design.processed).items():
        if not tpl.is_iam_authorized(operation):
            yield f"{key} has no IAM authorizer"


@authorizer.mutation
def a_route_without_authorizer(raw):
    event = raw["Resources"]["ReadFunction"]["Properties"]["Events"]["ReadSession"]
    event["Properties"]["Auth"] = {"Authorizer": "NONE"}


@authorizer.mutation
def no_default_authorizer(raw):
    raw["Resources"]["Api"]["Properties"]["Auth"].pop("DefaultAuthorizer")


@promise("each route of the API exists and invokes its function")
def routes(design):
    there = tpl.operations(design.processed)
    for route in ROUTES:
        operation = there.pop(route.key, None)
        if operation is None:
            yield f"{route.key} does not exist"
            continue
        target = tpl.text(operation["x-amazon-apigateway-integration"]["uri"])
        if f"{title(route.function)}FunctionAliaslive" not in target:
            yield f"{route.key} does not go to the alias of {route.function}: {target}"
    for key in there:
        yield f"{key} is not in docs/openapi.yaml"


@routes.mutation
def a_route_of_another_function(raw):
    functions = raw["Resources"]
    events = functions["DestroyFunction"]["Properties"]["Events"]
    functions["ReadFunction"]["Properties"]["Events"]["DestroySession"] = events.pop("DestroySession")


@routes.mutation
def an_undocumented_route(raw):
    properties = {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": "/debug"}
    raw["Resources"]["ReadFunction"]["Properties"]["Events"]["Debug"] = {"Type": "HttpApi", "Properties": properties}


@promise("API Gateway throttles each route as the parameters say")
def throttling(design):
    for stage in design.resources("AWS::ApiGatewayV2::Stage").values():
        settings = stage["Properties"].get("DefaultRouteSettings", {})
        for setting, parameter in [
            ("ThrottlingRateLimit", "ThrottlingRate"),
            ("ThrottlingBurstLimit", "ThrottlingBurst"),
        ]:
            if settings.get(setting) != design.raw["Parameters"][parameter]["Default"]:
                yield f"{setting} is {settings.get(setting)} instead of {parameter}"


@throttling.mutation
def swapped_limits(raw):
    settings = raw["Resources"]["Api"]["Properties"]["DefaultRouteSettings"]
    rate, burst = settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]
    settings |= {"ThrottlingRateLimit": burst, "ThrottlingBurstLimit": rate}


#: An account's quotas in the newer regions: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
SMALLEST_QUOTAS = {"ThrottlingRate": 2_500, "ThrottlingBurst": 1_250}


@promise("the default limits are within an account's quotas in every region")
def quotas(design):
    for parameter, quota in SMALLEST_QUOTAS.items():
        if design.raw["Parameters"][parameter]["Default"] > quota:
            yield f"{parameter} exceeds the {quota} of newer regions"


@quotas.mutation
def a_burst_beyond_newer_regions(raw):
    raw["Parameters"]["ThrottlingBurst"]["Default"] = 2_000


@promise("the access log is JSON and contains nothing that a caller sends")
def access_log(design):
    for stage in design.resources("AWS::ApiGatewayV2::Stage").values():
        settings = stage["Properties"].get("AccessLogSettings", {})
        line = settings.get("Format", "")
        used = set(re.findall(r"\$context\.([A-Za-z0-9.]+)", line))
        if used != ACCESS_LOG:
            yield f"the access log has {sorted(used)} instead of {sorted(ACCESS_LOG)}"
        if not re.fullmatch(r'\{("[A-Za-z]+":"\$context\.[A-Za-z0-9.]+",?)+\}', line):
            yield f"a line of the access log is not JSON: {line}"
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["AccessLogs", "Arn"]}:
            yield "the access log does not go to AccessLogs"
    silent = design.with_parameters(AccessLog="false")
    for name, stage in tpl.of_type(silent, "AWS::ApiGatewayV2::Stage").items():
        if "AccessLogSettings" in stage["Properties"]:
            yield f"{name} logs although AccessLog is false"


@access_log.mutation
def path_in_the_access_log(raw):
    settings = raw["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Fn::If"][1]
    settings["Format"] = settings["Format"].replace("$context.routeKey", "$context.path")


@access_log.mutation
def no_access_log(raw):
    raw["Resources"]["Api"]["Properties"].pop("AccessLogSettings")


@access_log.mutation
def an_access_log_in_any_case(raw):
    properties = raw["Resources"]["Api"]["Properties"]
    properties["AccessLogSettings"] = properties["AccessLogSettings"]["Fn::If"][1]


@promise("callers reach the API over IPv4 and IPv6")
def dual_stack(design):
    for name, api in design.resources("AWS::ApiGatewayV2::Api").items():
        servers = api["Properties"]["Body"].get("servers")
        if servers != [{"x-amazon-apigateway-endpoint-configuration": {"ipAddressType": "dualstack"}}]:
            yield f"{name} has the servers {servers}"


@dual_stack.mutation
def only_ipv4(raw):
    raw["Resources"]["Api"]["Properties"]["DefinitionBody"].pop("servers")


@promise("warnings about the generated API do not fail a deployment")
def no_fail_on_warnings(design):
    for name, api in design.resources("AWS::ApiGatewayV2::Api").items():
        if api["Properties"].get("FailOnWarnings"):
            yield f"{name} fails on warnings, for example about a path parameter without a schema"


@no_fail_on_warnings.mutation
def fail_on_warnings(raw):
    raw["Resources"]["Api"]["Properties"]["FailOnWarnings"] = True


@promise("each time limit fits into the next: attempt, operation, function, gateway")
def time_limits(design):
    attempt, operation = design.constant("ATTEMPT_TIMEOUT"), design.constant("OPERATION_TIMEOUT")
    if not attempt < operation:
        yield f"an attempt of {attempt} ms does not fit into an operation of {operation} ms"
    # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html asks for attempts of at
    # least 1 s, and for a retry more than 5 s after the first attempt. A rotation reads before its first attempt.
    attempt, transaction = (
        design.constant("TRANSACTION_ATTEMPT_TIMEOUT"),
        design.constant("TRANSACTION_OPERATION_TIMEOUT"),
    )
    if not 1_000 <= attempt < transaction:
        yield f"an attempt of {attempt} ms is below 1 s, or does not fit into a transaction of {transaction} ms"
    needed = operation + RECOVERY + transaction
    if not needed < FUNCTION_TIMEOUTS["write"]:
        yield f"a rotation has {FUNCTION_TIMEOUTS['write']} ms but may need {needed}"
    for function in FUNCTIONS:
        limit = design.resource(f"{title(function)}Function").get("Timeout", 3) * 1000
        if not operation < limit < GATEWAY_TIMEOUT:
            yield f"{function}: {operation} < {limit} < {GATEWAY_TIMEOUT} ms does not hold"
        if limit != FUNCTION_TIMEOUTS[function]:
            yield f"{function} has {limit} ms instead of {FUNCTION_TIMEOUTS[function]}"
    for key, route in tpl.operations(design.processed).items():
        given = route["x-amazon-apigateway-integration"].get("timeoutInMillis", GATEWAY_TIMEOUT)
        if given != GATEWAY_TIMEOUT:
            yield f"the gateway waits {given} ms on {key} instead of {GATEWAY_TIMEOUT}"


@time_limits.mutation
def a_function_shorter_than_an_operation(raw):
    raw["Resources"]["ReadFunction"]["Properties"]["Timeout"] = 2


@time_limits.mutation
def a_function_longer_than_the_gateway(raw):
    raw["Resources"]["WriteFunction"]["Properties"]["Timeout"] = 60


@time_limits.mutation
def a_gateway_shorter_than_the_function(raw):
    event = raw["Resources"]["WriteFunction"]["Properties"]["Events"]["ReplaceSession"]
    event["Properties"]["TimeoutInMillis"] = 10_000
