"""What the deployment promises, as tables. A new action or policy is a row here; routes are in tests/routes.json.

Nothing here is read from the template: the template is compared with it.
"""

import json
from dataclasses import dataclass, field

import template as tpl

#: The headers of an event that a client sends for the API, in contrast to those of HTTP and of the signature.
API_HEADERS = ("session-", "content-type", "if-", "prefer")


@dataclass(frozen=True)
class Route:
    """A route of the API, with a request to it that the owner of a session would send."""

    key: str
    function: str
    #: The status of the response to that request on a live session.
    status: int
    headers: dict[str, str]
    body: bytes | None
    #: Whether the request names the session by its id.
    names_session: bool

    @property
    def method(self) -> str:
        return self.key.split(" ")[0]

    def path(self, handle: str) -> str:
        return self.key.split(" ")[1].replace("{handle}", handle)


def route(row):
    """A row of the table, with the request of its event."""
    event = json.loads((tpl.ROOT / "events" / row["event"]).read_text())
    headers = {name: value for name, value in event["headers"].items() if name.startswith(API_HEADERS)}
    headers.pop("session-id", None)
    body = event.get("body")
    names_session = "Session-Id" in row["headers"]
    return Route(row["route"], row["function"], row["success"], headers, body and body.encode(), names_session)


ROUTES = [route(row) for row in json.loads((tpl.ROOT / "tests" / "routes.json").read_text())]
ROUTE = {route.key: route for route in ROUTES}


@dataclass(frozen=True)
class Need:
    """An action that a function's role allows, and a request that fails without it."""

    action: str
    #: The key of the route whose request needs the action.
    route: str
    #: The name of an index, or None for the table itself.
    index: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: For each function, everything that its role allows in DynamoDB, each with a request that needs it.
ROLES = {
    "read": [
        Need("GetItem", "GET /session"),
        Need("Query", "GET /sessions", index="user-index"),
    ],
    "write": [
        Need("PutItem", "POST /session"),
        Need("UpdateItem", "PUT /session"),
        Need("GetItem", "PATCH /session"),
    ],
    "rotate": [
        Need("GetItem", "POST /session/rotate"),
        Need("PutItem", "POST /session/rotate"),
        Need("DeleteItem", "POST /session/rotate"),
        Need("UpdateItem", "POST /session/rotate", headers={"session-grace": "10"}),
    ],
    "destroy": [
        Need("DeleteItem", "DELETE /session"),
        Need("Query", "DELETE /sessions", index="user-index"),
        Need("GetItem", "DELETE /sessions", headers={"session-limit": "5"}),
    ],
}

FUNCTIONS = list(ROLES)

#: For each managed policy that callers attach, the routes that it allows, and no others.
POLICIES = {
    "UseSessionsPolicy": [
        "POST /session",
        "GET /session",
        "HEAD /session",
        "PUT /session",
        "DELETE /session",
        "POST /session/touch",
        "PATCH /session",
        "POST /session/rotate",
        "POST /session/lock",
        "DELETE /session/lock",
    ],
    "ReadSessionsPolicy": [
        "GET /session",
        "HEAD /session",
    ],
    "UserSessionsPolicy": [
        "GET /sessions",
        "DELETE /sessions",
        "DELETE /sessions/{handle}",
    ],
}

#: The longest of each, in milliseconds. Each must be below the next.
GATEWAY_TIMEOUT = 30_000
FUNCTION_TIMEOUTS = {"read": 5_000, "write": 15_000, "rotate": 15_000, "destroy": 5_000}
