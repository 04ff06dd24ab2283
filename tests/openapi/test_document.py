"""docs/openapi.yaml describes the same failures as docs/api.md. tests/api compares its routes with the code's."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
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


@pytest.mark.parametrize("route", OPERATIONS)
def test_failures_are_problems(route):
    for status, response in OPERATIONS[route]["responses"].items():
        content = resolve(response).get("content", {})
        is_failure = int(status) >= 400 and not route.startswith("HEAD")
        assert ("application/problem+json" in content) == is_failure, status


def test_problems_match_the_documentation():
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
