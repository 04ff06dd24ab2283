"""What the deployment promises, as tables. A new route, function or action is a row here.

Nothing here is read from the template: it is what the template is held against.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Route:
    """A route of the API, and a request to it that a session's owner would make."""

    key: str
    function: str
    #: The status that the request gets on a live session.
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    #: Does the request name the session by its id?
    names_session: bool = True

    @property
    def method(self) -> str:
        return self.key.split(" ")[0]

    def path(self, handle: str) -> str:
        return self.key.split(" ")[1].replace("{handle}", handle)


JSON = {"content-type": "application/json"}
USER = {"session-user": "ada"}

ROUTES = [
    Route("POST /session", "write", 201, JSON, b'{"cart":[]}', names_session=False),
    Route("GET /session", "read", 200),
    Route("HEAD /session", "read", 200),
    Route("PUT /session", "write", 204, JSON, b'{"cart":["apple"]}'),
    Route("DELETE /session", "destroy", 204),
    Route("POST /session/touch", "write", 204),
    Route("PATCH /session", "write", 204, {"content-type": "application/merge-patch+json"}, b'{"theme":"dark"}'),
    Route("POST /session/rotate", "rotate", 200),
    Route("POST /session/lock", "write", 200),
    Route("DELETE /session/lock", "write", 204, {"session-lock": "AAAAAAAAAAAAAAAAAAAAAA"}),
    Route("GET /sessions", "read", 200, USER, names_session=False),
    Route("DELETE /sessions", "destroy", 200, USER, names_session=False),
    Route("DELETE /sessions/{handle}", "destroy", 204, USER, names_session=False),
]


@dataclass(frozen=True)
class Need:
    """An action that a function's role has, and the request that fails without it."""

    action: str
    #: The key of the route whose request needs the action.
    route: str
    #: The name of an index, or None for the table itself.
    index: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: For each function all that its role may do in DynamoDB, each with an operation that needs it.
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
    ],
}

FUNCTIONS = list(ROLES)

#: For each managed policy that callers attach, the routes it allows: no others.
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

#: The most of each, in milliseconds; every one must be below the next.
GATEWAY_TIMEOUT = 30_000
FUNCTION_TIMEOUTS = {"read": 5_000, "write": 15_000, "rotate": 15_000, "destroy": 5_000}
