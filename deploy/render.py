"""Generates the parts of template.yaml and Cargo.toml that repeat docs/openapi.yaml or other parts of template.yaml, and
deployer-policy.json.

`make generate` runs it. With --check, it changes nothing, and fails if a file is out of date.
"""

import json
import re
import sys
from pathlib import Path

import policy
import yaml
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ("read", "write", "destroy")
ROUTES = [
    (method.upper(), path, operation["x-function"], operation["operationId"])
    for path, item in yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["paths"].items()
    for method, operation in item.items()
]
#: Whether a managed policy for callers allows a route with this path and function.
POLICIES = {
    "UseSessions": lambda path, function: path.split("/")[1] == "session",
    "ReadSessions": lambda path, function: path.split("/")[1] == "session" and function == "read",
    "UserSessions": lambda path, function: path.split("/")[1] == "sessions",
}
API = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/$default"


def events(function):
    for method, path, served_by, operation in ROUTES:
        if served_by == function:
            name = operation[0].upper() + operation[1:]
            yield f'{name}: {{ Type: HttpApi, Properties: {{ ApiId: !Ref Api, Method: {method}, Path: "{path}" }} }}'


def resources(policy):
    for method, path, function, _ in ROUTES:
        if POLICIES[policy](path, function):
            yield f'- !Sub "{API}/{method}{re.sub("{.*?}", "*", path)}"'


def router():
    for path in dict.fromkeys(path for _, path, *_ in ROUTES):
        rows = [
            f'{{ method = "{method}", function = "{function}" }}' for method, own, function, _ in ROUTES if own == path
        ]
        yield f'"{path}" = [{", ".join(rows)}]'


def copies(text):
    """A line for each of the resources that Write and Destroy need, copied from Read's in the template."""
    read = re.search(r"^  ReadLogs:\n.*?(?=^  # << copies)", text, re.DOTALL | re.MULTILINE)[0]
    for function in ("Write", "Destroy"):
        own = re.sub(r"\bRead(?=\b|[A-Z])", function, read)
        own = re.sub(r"\bread\b", function.lower(), own)
        yield from (f"{name}: {json.dumps(resource)}" for name, resource in yaml_parse(own).items())


def rendered(text):
    """The text, with fresh lines between each `# << name` and `# >>`."""
    blocks = {f"events of {function}": events(function) for function in FUNCTIONS}
    blocks |= {f"routes of {policy}": resources(policy) for policy in POLICIES}
    blocks |= {"routes": router(), "copies": copies(text) if "# << copies" in text else None}

    def block(found):
        begin, indent, name, end = found.groups()
        return begin + "".join(f"{indent}{line}\n" for line in blocks[name]) + end

    return re.sub(r"(?ms)^(( *)# << ([\w ]+)\n).*?(^ *# >>$)", block, text)


def main():
    for name in ("template.yaml", "Cargo.toml", "deploy/deployer-policy.json"):
        text = (ROOT / name).read_text()
        fresh = policy.rendered() if name.endswith(".json") else rendered(text)
        if fresh == text:
            continue
        if "--check" in sys.argv:
            sys.exit(f"{name} is out of date. Run: make generate")
        (ROOT / name).write_text(fresh)


if __name__ == "__main__":
    main()
