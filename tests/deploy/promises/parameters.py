"""What the parameters promise."""

import re

import template as tpl
from contract import FUNCTIONS

from .design import promise, statements, title


@promise("reserved concurrency and tracing are off unless a parameter turns them on")
def by_parameter(design):
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        if "ReservedConcurrentExecutions" in design.resource(name):
            yield f"{function} reserves concurrency by default"
        if design.resource(name, ReservedConcurrency=5).get("ReservedConcurrentExecutions") != 5:
            yield f"{function} does not reserve concurrency"
        if design.resource(name).get("TracingConfig", {}).get("Mode", "PassThrough") != "PassThrough":
            yield f"{function} traces by default"
        if design.resource(name, Tracing="Active").get("TracingConfig", {}).get("Mode") != "Active":
            yield f"{function} does not trace"
    # The function's own role needs this: Lambda checks the permission when it creates a function that traces.
    tracers = {
        name
        for name, statement in statements(design.with_parameters(Tracing="Active"))
        if statement["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    }
    if tracers != {f"{title(function)}Role" for function in FUNCTIONS}:
        yield f"the roles that may send traces are {sorted(tracers)}"


@by_parameter.mutation
def tracing_by_default(raw):
    raw["Globals"]["Function"]["Tracing"] = "Active"
    for function in FUNCTIONS:
        description = raw["Resources"][f"{title(function)}Function"]["Properties"]["VersionDescription"]
        description["Fn::Sub"] = description["Fn::Sub"].replace("${Tracing}", "Active")


@by_parameter.mutation
def a_function_that_may_not_send_traces(raw):
    raw["Resources"]["WriteRole"]["Properties"]["ManagedPolicyArns"].pop()


@by_parameter.mutation
def no_reserved_concurrency(raw):
    raw["Globals"]["Function"].pop("ReservedConcurrentExecutions")


#: Values of RevokedBefore, and whether the template accepts them. The functions accept the same ones, except for dates
#: that don't exist and times in the future.
TIMES = {
    "": True,
    "2026-11-24T10:00:00Z": True,
    "2026-11-24T23:59:59Z": True,
    "2026-11-24": False,
    "2026-11-24T10:00:00": False,
    "2026-11-24 10:00:00Z": False,
    "2026-11-24T24:00:00Z": False,
    "2026-13-01T10:00:00Z": False,
    "2026-11-24T10:00:00+01:00": False,
    "2026-11-24T10:00:00Z\n": False,
    " ": False,
    "now": False,
}


@promise("RevokedBefore is a time in UTC, or empty, which is the default")
def revocation(design):
    parameter = design.raw["Parameters"]["RevokedBefore"]
    if parameter["Default"] != "":
        yield f"sessions created before {parameter['Default']} end by default"
    for value, accepted in TIMES.items():
        # CloudFormation matches the pattern against the whole value.
        fits = len(value) <= parameter.get("MaxLength", 4096)
        if (fits and bool(re.fullmatch(parameter.get("AllowedPattern", ".*"), value))) != accepted:
            yield f"{value!r} should be {'accepted' if accepted else 'refused'}"


@revocation.mutation
def any_time(raw):
    raw["Parameters"]["RevokedBefore"]["AllowedPattern"] = "^.*$"


@revocation.mutation
def a_revocation_by_default(raw):
    raw["Parameters"]["RevokedBefore"]["Default"] = "2026-11-24T10:00:00Z"


@revocation.mutation
def a_pattern_without_the_default(raw):
    parameter = raw["Parameters"]["RevokedBefore"]
    parameter["AllowedPattern"] = parameter["AllowedPattern"].removeprefix("^$|")


@promise("every parameter has a description, a default and a constraint, and is used")
def parameters(design):
    for name, parameter in design.raw["Parameters"].items():
        if len(parameter.get("Description", "")) < 20:
            yield f"{name} has no description"
        if "Default" not in parameter:
            yield f"{name} has no default"
        if (
            not {"AllowedValues", "AllowedPattern"} & parameter.keys()
            and not {"MinValue", "MaxValue"} <= parameter.keys()
        ):
            yield f"{name} accepts anything"
        parts = [design.raw[part] for part in ("Globals", "Conditions", "Resources")]
        if name not in tpl.references(parts, design.raw["Conditions"]):
            yield f"{name} is not used"
    levels = design.raw["Parameters"]["LogLevel"]["AllowedValues"]
    # Lambda drops lines below info, and "off" would leave no lines from which to count failed requests.
    if levels != ["error", "warn", "info"]:
        yield f"LogLevel may be {levels}, some of which have no effect or blind the rollback alarms"


@parameters.mutation
def a_parameter_that_accepts_anything(raw):
    raw["Parameters"]["KmsKeyArn"].pop("AllowedPattern")


@parameters.mutation
def an_unused_parameter(raw):
    raw["Globals"]["Function"]["MemorySize"] = 256
    for function in FUNCTIONS:
        description = raw["Resources"][f"{title(function)}Function"]["Properties"]["VersionDescription"]
        description["Fn::Sub"] = description["Fn::Sub"].replace("${MemorySize}", "256")


@parameters.mutation
def a_log_level_without_effect(raw):
    raw["Parameters"]["LogLevel"]["AllowedValues"].append("debug")
