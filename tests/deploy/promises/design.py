"""What a promise is, and the design that it checks: the template as deployed."""

import re
from dataclasses import dataclass, field

import template as tpl

CLIENT = tpl.ROOT / "src" / "store" / "client.rs"
#: Every promise, in the order the modules register them.
PROMISES = []


@dataclass
class Promise:
    name: str
    #: Returns what is broken, or nothing.
    check: object
    #: Changes to the template, each of which must break this promise and no other.
    mutations: list = field(default_factory=list)


def promise(name):
    """Registers a check, which must catch each `@check.mutation` that follows it."""

    def register(check):
        made = Promise(name, lambda design: list(check(design)))
        PROMISES.append(made)
        made.mutation = lambda mutate: made.mutations.append(mutate) or mutate
        return made

    return register


class Design:
    """The template, translated by SAM, and the DynamoDB client's time limits."""

    def __init__(self, raw, client=None):
        self.raw = raw
        self.client = client or CLIENT.read_text()
        self.translated = tpl.translate(raw)
        self.processed = self.with_parameters()

    def with_parameters(self, **given):
        """The translated template, with its conditions evaluated for these parameters and the defaults."""
        defaults = {name: parameter.get("Default") for name, parameter in self.raw["Parameters"].items()}
        return tpl.decide(self.translated, defaults | {"AWS::Partition": "aws"} | given)

    def resource(self, name, **given):
        """A resource's properties; empty if the resource doesn't exist."""
        processed = self.with_parameters(**given) if given else self.processed
        return processed["Resources"].get(name, {}).get("Properties", {})

    def resources(self, kind):
        return tpl.of_type(self.processed, kind)

    def constant(self, name):
        """One of the DynamoDB client's time limits, in milliseconds."""
        found = re.search(rf"const {name}: Duration = Duration::from_millis\(([0-9_]+)\)", self.client)
        return int(found[1].replace("_", ""))


def title(function):
    """A function's name as it appears in the names of its resources."""
    return function.capitalize()


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(processed):
    """Every policy's statements: (name of the role, or of the policy if no role has it; statement)."""
    policies = tpl.of_type(processed, "AWS::IAM::ManagedPolicy") | tpl.of_type(processed, "AWS::IAM::Policy")
    attached = set()
    for name, role in tpl.of_type(processed, "AWS::IAM::Role").items():
        own = list(role["Properties"].get("Policies", []))
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            if isinstance(arn, dict) and arn.get("Ref") in policies:
                attached.add(arn["Ref"])
                own.append(policies[arn["Ref"]]["Properties"])
        for policy in own:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name in policies.keys() - attached:
        for statement in policies[name]["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement
