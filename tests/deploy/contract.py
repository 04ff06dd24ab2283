"""What the deployment promises, as tables. To add an action or a policy, add a row here; to add a route, edit
docs/openapi.yaml.

Nothing here comes from the template, because the tests check the template against it.
"""

import json
from dataclasses import dataclass, field

import yaml

import template as tpl


@dataclass(frozen=True)
class Route:
    """A route of the API, with a request that the owner of a session would send."""

    key: str
    function: str
    #: The response's status if the session is live.
    status: int
    headers: dict[str, str]
    body: bytes | None
    #: Whether the request must name the session.
    names_session: bool

    @property
    def method(self) -> str:
        return self.key.split(" ")[0]

    def path(self, handle: str) -> str:
        return self.key.split(" ")[1].replace("{handle}", handle)


OPENAPI = yaml.safe_load((tpl.ROOT / "docs" / "openapi.yaml").read_text())


def resolved(node):
    """A part of the document, after following references."""
    while "$ref" in node:
        kind, name = node["$ref"].removeprefix("#/components/").split("/")
        node = OPENAPI["components"][kind][name]
    return node


def example(parameter):
    return str(parameter.get("example") or resolved(parameter["schema"])["examples"][0])


def route(method, path, operation):
    """A route. Its request has the required headers, the first example of a body, and an owner for a new session."""
    parameters = [resolved(one) for one in operation.get("parameters", [])]
    required = [one for one in parameters if one["in"] == "header" and one.get("required")]
    owner = [one for one in parameters if one["name"] == "Session-User" and operation["operationId"] == "createSession"]
    headers = {one["name"].lower(): example(one) for one in required + owner}
    body = None
    if "requestBody" in operation:
        media_type, content = next(iter(resolved(operation["requestBody"])["content"].items()))
        headers["content-type"] = media_type
        body = json.dumps(next(iter(content["examples"].values()))["value"]).encode()
    return Route(
        f"{method.upper()} {path}",
        operation["x-function"],
        # Without Prefer or If-None-Match, success is the highest 2xx status.
        max(int(status) for status in operation["responses"] if status.startswith("2")),
        headers,
        body,
        headers.pop("session-id", None) is not None,
    )


ROUTES = [
    route(method, path, operation)
    for path, item in OPENAPI["paths"].items()
    for method, operation in item.items()
    if method in tpl.METHODS
]
ROUTE = {route.key: route for route in ROUTES}


@dataclass(frozen=True)
class Need:
    """An action that a function's role allows, and a request that would fail without it."""

    action: str
    #: The key of the route whose request needs the action.
    route: str
    #: The name of an index, or None for the table itself.
    index: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: Everything that each function's role allows in DynamoDB, with a request that needs it.
ROLES = {
    "read": [
        Need("GetItem", "GET /session"),
        Need("Query", "GET /sessions", index="user-index"),
    ],
    "write": [
        Need("PutItem", "POST /session"),
        Need("UpdateItem", "PUT /session"),
        Need("GetItem", "PATCH /session"),
        Need("DeleteItem", "POST /session/rotate"),
    ],
    "destroy": [
        Need("DeleteItem", "DELETE /session"),
        Need("Query", "DELETE /sessions", index="user-index"),
        Need("GetItem", "DELETE /sessions", headers={"session-limit": "5"}),
    ],
}

FUNCTIONS = list(ROLES)

OF_ONE_SESSION = [route for route in ROUTES if not route.key.split(" ")[1].startswith("/sessions")]
#: The only routes that each managed policy for callers allows.
POLICIES = {
    "UseSessionsPolicy": [route.key for route in OF_ONE_SESSION],
    "ReadSessionsPolicy": [route.key for route in OF_ONE_SESSION if route.function == "read"],
    "UserSessionsPolicy": [route.key for route in ROUTES if route not in OF_ONE_SESSION],
}

#: The functions whose URLs each of them allows. Over its URL, a function serves its routes of one session.
URLS = {
    "UseSessionsPolicy": ["read", "write", "destroy"],
    "ReadSessionsPolicy": ["read"],
    "UserSessionsPolicy": [],
}

#: Time limits in milliseconds. The functions' must be below the gateway's.
GATEWAY_TIMEOUT = 30_000
FUNCTION_TIMEOUTS = {"read": 5_000, "write": 15_000, "destroy": 5_000}
