"""Who may call the API: signatures, and what each policy for callers allows."""

import itertools

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from contract import FUNCTIONS, OF_ONE_SESSION, POLICIES, ROUTES, URLS


@pytest.fixture(scope="module")
def callers(stack):
    """A user for each policy, and one without any."""
    users = {policy: stack.user(f"holder-of-{policy}", policy) for policy in POLICIES}
    return users | {"no policy": stack.user("holder-of-none")}


def wrong_secret(stack, callers):
    key = callers["UseSessionsPolicy"].access_key
    return Credentials(key, "not-the-secret-of-this-key"), None


def unknown_key(stack, callers):
    return Credentials("AKIAUNKNOWNUNKNOWN12", "whatever"), None


def unsigned(stack, callers):
    return None, None


def changed_after_signing(stack, callers):
    def tamper(request):
        request.headers["X-Amz-Date"] = "20200101T000000Z"

    return callers["UseSessionsPolicy"], tamper


def no_policy(stack, callers):
    return callers["no policy"], None


INTRUDERS = [unsigned, wrong_secret, unknown_key, changed_after_signing, no_policy]

entrances = pytest.mark.parametrize("over_url", [False, True], ids=["API", "URL"])


@entrances
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
@pytest.mark.parametrize("intruder", INTRUDERS, ids=lambda intruder: intruder.__name__)
def test_unauthorized_request_is_refused_before_a_function_runs(stack, callers, session, route, intruder, over_url):
    credentials, tamper = intruder(stack, callers)
    before = {function: stack.runs(function) for function in FUNCTIONS}
    headers = dict(route.headers) | {"session-id": session}
    function = route.function if over_url else None
    response = stack.call(credentials, route.method, route.path("-"), headers, route.body, tamper, function=function)
    assert response.status == 403, f"{route.key} {intruder.__name__}: not refused, {response}"
    after = {function: stack.runs(function) for function in FUNCTIONS}
    assert after == before, f"{route.key}, {intruder.__name__}: was refused, but a function ran"


@entrances
@pytest.mark.parametrize(
    ("policy", "route"),
    list(itertools.product(POLICIES, ROUTES)),
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_policy_allows_its_routes_and_no_others(stack, callers, session, app, policy, route, over_url):
    before = stack.runs(route.function)
    response = stack.request(callers[policy], route, session, over_url=over_url)
    ran = stack.runs(route.function) - before
    if over_url and route not in OF_ONE_SESSION:
        # IAM can't tell a URL's routes apart, so the function refuses these itself.
        expected = (404, 1) if route.function in URLS[policy] else (403, 0)
    else:
        expected = (route.status, 1) if route.key in POLICIES[policy] else (403, 0)
    assert (response.status, ran) == expected, f"{policy}, {route.key}: {response}, the function ran {ran} times"
    if expected[0] != route.status:
        kept = stack.call(app, "GET", "/session", {"session-id": session})
        assert kept.status == 200, f"{policy}, {route.key}: refused, but the session is gone"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_allow_no_invocation_with_a_made_up_event(stack, callers, function):
    """They allow lambda:InvokeFunction, but only through the function's URL."""
    for policy in POLICIES:
        client = stack.emulator.client("lambda", callers[policy])
        for qualifier in ("live", "$LATEST"):
            with pytest.raises(ClientError, match="AccessDenied"):
                client.invoke(FunctionName=stack.resources[f"{function.capitalize()}Function"], Qualifier=qualifier)


def test_policies_allow_this_api_only(stack, callers):
    """Another API in the account refuses the same requests, although its routes have the same names."""
    gateway = stack.emulator.client("apigatewayv2")
    other = gateway.create_api(Name="other", ProtocolType="HTTP")["ApiId"]
    try:
        gateway.create_stage(ApiId=other, StageName="$default", AutoDeploy=True)
        function = next(iter(stack.routes.values()))
        made = gateway.create_integration(
            ApiId=other, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )
        for route in ROUTES:
            gateway.create_route(
                ApiId=other,
                RouteKey=route.key,
                Target=f"integrations/{made['IntegrationId']}",
                AuthorizationType="AWS_IAM",
            )
        for policy, route in itertools.product(POLICIES, ROUTES):
            response = stack.call(callers[policy], route.method, route.path("-"), api=other)
            assert response.status == 403, f"{policy} allows {route.key} of another API: {response}"
    finally:
        gateway.delete_api(ApiId=other)
