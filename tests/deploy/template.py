"""The template as data: read with its short forms, and translated by SAM."""

import copy
import json
import logging
import os
import re
from pathlib import Path

import yaml
from samtranslator.translator.transform import transform

# SAM's translator warns that it finds no feature toggles, which only AWS has.
logging.getLogger("samtranslator.feature_toggle.feature_toggle").setLevel(logging.ERROR)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
#: The release that `make test-deploy` builds. Its archives are beside it.
BUILT = ROOT / "target" / "package" / "emulated"
SUB = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
METHODS = {"get", "head", "post", "put", "patch", "delete", "options", "x-amazon-apigateway-any-method"}


class Loader(yaml.SafeLoader):
    """Expands CloudFormation's short forms, such as `!Ref`, into the long ones."""


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _short_form)


def load(path):
    return yaml.load(Path(path).read_text(), Loader)  # Loader is a SafeLoader


def of_type(document, kind):
    """The resources of a type, by logical name."""
    return {name: resource for name, resource in document["Resources"].items() if resource["Type"] == kind}


class NoPolicies:
    """Keeps SAM from asking IAM for the AWS managed policies. The template must not refer to any by name."""

    def load(self):
        return {}


def translate(document):
    """The template as SAM translates it, which is what CloudFormation sees."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    document = copy.deepcopy(document)
    for function in of_type(document, "AWS::Serverless::Function").values():
        function["Properties"]["CodeUri"] = "s3://session-api-artifacts/key"
    document.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    return transform(document, {}, NoPolicies())


def operations(processed):
    """Each route of the HTTP APIs in the processed template, with its operation."""
    found = {}
    for api in of_type(processed, "AWS::ApiGatewayV2::Api").values():
        for path, item in api["Properties"]["Body"]["paths"].items():
            for method, operation in item.items():
                if method.lower() in METHODS:
                    found[f"{method.upper()} {path}"] = operation
    return found


def is_iam_authorized(operation):
    return any("AWS_IAM" in requirement for requirement in operation.get("security", []))


def text(value):
    return json.dumps(value, sort_keys=True)


def references(value, conditions):
    """The names of parameters and resources that a value refers to, directly or through a condition. Pseudo parameters
    such as AWS::Region are left out."""
    if isinstance(value, list):
        return set().union(*(references(one, conditions) for one in value))
    if not isinstance(value, dict):
        return set()
    names = set()
    for key, argument in value.items():
        if key == "Ref":
            names.add(argument)
        elif key == "Fn::GetAtt":
            names.add(argument[0] if isinstance(argument, list) else argument.split(".")[0])
        elif key == "Fn::Sub":
            text, given = (argument, {}) if isinstance(argument, str) else argument
            names |= {name.split(".")[0] for name in SUB.findall(text)} - given.keys()
            names |= references(given, conditions)
        elif key in ("Condition", "Fn::If"):
            name = argument if key == "Condition" else argument[0]
            if isinstance(name, str):
                names |= references(conditions[name], conditions)
            names |= references(argument, conditions)
        else:
            names |= references(argument, conditions)
    return {name for name in names if not name.startswith("AWS::")}


def dependencies(translated):
    """Which resources CloudFormation creates before each resource: those that its properties, UpdatePolicy and other
    attributes refer to, and those in its DependsOn."""
    resources, conditions = translated["Resources"], translated.get("Conditions", {})
    found = {}
    for name, resource in resources.items():
        named = resource.get("DependsOn", [])
        named = {named} if isinstance(named, str) else set(named)
        found[name] = (named | references(resource, conditions)) & resources.keys()
    return found


def cycle(graph):
    """The names along a cycle of the graph, or nothing."""
    done = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        found = next(filter(None, (visit(after, [*path, name]) for after in sorted(graph[name]))), [])
        done.add(name)
        return found

    return next(filter(None, (visit(name, []) for name in sorted(graph))), [])


NOTHING = object()


def decide(translated, values):
    """Fills these values into the translated template, and evaluates and applies its conditions."""
    conditions = translated.get("Conditions", {})

    def holds(name):
        return bool(value(conditions[name]))

    def value(node):
        if isinstance(node, list):
            return [one for one in map(value, node) if one is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" and argument == "AWS::NoValue":
                return NOTHING
            if name == "Ref" and argument in values:
                return values[argument]
            if name == "Fn::FindInMap" and "Ref" not in text(argument):
                first, second, third = argument
                return translated["Mappings"][first][second][third]
            if name == "Fn::If":
                return value(argument[1] if holds(argument[0]) else argument[2])
            if name == "Fn::Equals":
                # CloudFormation compares strings.
                left, right = (str(value(one)) for one in argument)
                return left == right
            if name == "Fn::Not":
                return not value(argument[0])
            if name in ("Fn::And", "Fn::Or"):
                return (all if name == "Fn::And" else any)(value(one) for one in argument)
            if name == "Condition":
                return holds(argument) if isinstance(argument, str) else value(argument)
        decided = {key: value(one) for key, one in node.items()}
        return {key: one for key, one in decided.items() if one is not NOTHING}

    resources = {
        name: value({key: one for key, one in resource.items() if key != "Condition"})
        for name, resource in translated["Resources"].items()
        if "Condition" not in resource or holds(resource["Condition"])
    }
    return {"Resources": resources, "Outputs": value(translated.get("Outputs", {}))}


def arn_tail(key):
    """The end of a route's ARN in a policy. A path variable matches any value."""
    method, path = key.split(" ")
    return f"$default/{method}" + re.sub(r"\{[a-z]+\}", "*", path)


def dashboard(properties):
    """A dashboard's body, with references replaced by `<Name>`."""
    return json.loads(SUB.sub(lambda match: f"<{match[1]}>", properties["DashboardBody"]["Fn::Sub"]))
