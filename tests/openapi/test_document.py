"""docs/openapi.yaml says of each route what tests/routes.json says, by which everything else is tested."""

import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
ROUTES = {row["route"]: row for row in json.loads((ROOT / "tests" / "routes.json").read_text())}
# Every route has these, and so has every row of the table.
COMMON = {400, 415, 500, 503}
METHODS = {"get", "head", "post", "put", "patch", "delete"}

OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def resolve(node):
    """Follows a reference within the document."""
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def test_routes_are_the_same():
    assert sorted(OPERATIONS) == sorted(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_statuses_are_the_same(route):
    described = {int(status) for status in OPERATIONS[route]["responses"]}
    assert described == set(ROUTES[route]["statuses"]) | COMMON


@pytest.mark.parametrize("route", ROUTES)
def test_headers_are_the_same(route):
    operation = OPERATIONS[route]
    parameters = [resolve(parameter) for parameter in operation.get("parameters", [])]
    headers = [parameter for parameter in parameters if parameter["in"] == "header"]
    described = {name["name"] if name.get("required") else f"[{name['name']}]" for name in headers}
    if "requestBody" in operation:
        body = resolve(operation["requestBody"])
        described.add("Content-Type" if body.get("required") else "[Content-Type]")
    assert described == set(ROUTES[route]["headers"])


@pytest.mark.parametrize("route", ROUTES)
def test_failures_are_problems(route):
    for status, response in OPERATIONS[route]["responses"].items():
        content = resolve(response).get("content", {})
        is_failure = int(status) >= 400 and not route.startswith("HEAD")
        assert ("application/problem+json" in content) == is_failure, status


def test_problems_are_those_of_the_documents():
    codes = {
        name.removeprefix("urn:session-api:")
        for name in resolve({"$ref": "#/components/schemas/Problem"})["properties"]["type"]["enum"]
    }
    table = (ROOT / "docs" / "api.md").read_text().partition("## Errors")[2].partition("## Sign a request")[0]
    documented = {
        code.strip(" `")
        for line in table.splitlines()
        if line.startswith("| ") and line.split("|")[1].strip().isdigit()
        for code in line.split("|")[2].split(",")
    }
    assert codes == documented
