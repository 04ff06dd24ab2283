"""What a deployment promises: CloudFormation can carry it out, it's gradual, and changes take effect."""

import template as tpl
from contract import FUNCTIONS

from .design import as_list, promise, statements, title


@promise("no resource depends on itself, so CloudFormation can create all of them")
def no_cycle(design):
    if found := tpl.cycle(tpl.dependencies(design.translated)):
        yield " -> ".join(found)


@no_cycle.mutation
def a_rollback_alarm_that_depends_on_the_api(raw):
    # The alias's deployment group depends on the alarm, the alarm on the API, and the API on the alias.
    alarm = raw["Resources"]["ReadFailuresAlarm"]["Properties"]
    alarm["AlarmDescription"] = {"Fn::Sub": alarm["AlarmDescription"] + " ${Api}"}


@no_cycle.mutation
def a_log_group_that_depends_on_its_function(raw):
    raw["Resources"]["ReadLogs"]["DependsOn"] = "ReadFunction"


def watches_only(alarm, version):
    """Whether an alarm goes off only on this version's errors, and doesn't take over another version's state."""
    number = {"Fn::GetAtt": [version, "Version"]}
    return (
        number in [one["Value"] for one in alarm.get("Dimensions", [])]
        and f"${{{version}.Version}}" in tpl.text(alarm.get("AlarmName", ""))
        and alarm.get("Statistic") == "Sum"
        and (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
        and alarm["Period"] * alarm["EvaluationPeriods"] <= 300
    )


@promise("traffic shifts gradually to a new version, and back if that version fails requests")
def gradual_deployment(design):
    groups = design.resources("AWS::CodeDeploy::DeploymentGroup")
    versions = {
        resource["Properties"]["FunctionName"]["Ref"]: name
        for name, resource in design.resources("AWS::Lambda::Version").items()
    }
    for function in FUNCTIONS:
        properties = groups.get(f"{title(function)}FunctionDeploymentGroup", {}).get("Properties", {})
        if properties.get("AutoRollbackConfiguration", {}).get("Enabled") is not True:
            yield f"{function} is not rolled back automatically"
        if "AllAtOnce" in tpl.text(properties.get("DeploymentConfigName", "AllAtOnce")):
            yield f"{function} is replaced all at once"
        names = [alarm["Name"].get("Ref") for alarm in properties.get("AlarmConfiguration", {}).get("Alarms", [])]
        alarms = {name: design.resource(name) for name in names}
        for name, alarm in alarms.items():
            if not watches_only(alarm, versions[f"{title(function)}Function"]):
                yield f"{name} should watch the new version of {function} and nothing else"
        # Lambda counts only crashes. Error responses appear only in the function's log.
        counted = [(tpl.text(alarm["Namespace"]), alarm["MetricName"]) for alarm in alarms.values()]
        failures = design.resource(f"{title(function)}Failures")
        (metric,) = failures["MetricTransformations"]
        if sorted(counted) != sorted(
            [('"AWS/Lambda"', "Errors"), (tpl.text(metric["MetricNamespace"]), metric["MetricName"])]
        ):
            yield f"{function} is rolled back by {counted}"
        # A metric's dimension must be a field that the pattern names.
        if (failures["LogGroupName"], failures["FilterPattern"], metric["Dimensions"]) != (
            {"Ref": f"{title(function)}Logs"},
            '{ ($.status >= 500) && ($.version = "*") }',
            [{"Key": "Version", "Value": "$.version"}],
        ):
            yield f"the error responses of each version of {function} are not counted"
    # The emulator has no CodeDeploy, so no other test would notice if it weren't allowed to move an alias.
    there = {
        tpl.text(where)
        for owner, statement in statements(design.processed)
        if owner == "DeploymentRole" and "lambda:UpdateAlias" in as_list(statement["Action"])
        for where in as_list(statement["Resource"])
    }
    promised = set()
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        promised |= {tpl.text({"Fn::GetAtt": [name, "Arn"]}), tpl.text({"Fn::Sub": f"${{{name}.Arn}}:live"})}
    if there != promised:
        yield f"CodeDeploy should be allowed to move the functions' aliases and no others: {sorted(there ^ promised)}"


@gradual_deployment.mutation
def an_alias_that_codedeploy_may_not_move(raw):
    policy = raw["Resources"]["DeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"][0]["Resource"].pop()


@gradual_deployment.mutation
def a_deployment_without_alarms(raw):
    raw["Resources"]["WriteFunction"]["Properties"]["DeploymentPreference"].pop("Alarms")


@gradual_deployment.mutation
def a_rollback_on_errors_of_any_version(raw):
    preference = raw["Resources"]["WriteFunction"]["Properties"]["DeploymentPreference"]
    preference["Alarms"].append({"Ref": "WriteErrorsAlarm"})


@gradual_deployment.mutation
def a_rollback_alarm_that_outlives_its_version(raw):
    raw["Resources"]["ReadFailuresAlarm"]["Properties"].pop("AlarmName")


@gradual_deployment.mutation
def a_rollback_alarm_that_never_goes_off(raw):
    raw["Resources"]["ReadFailuresAlarm"]["Properties"]["Threshold"] = 1000


@gradual_deployment.mutation
def error_responses_counted_elsewhere(raw):
    (transformation,) = raw["Resources"]["ReadFailures"]["Properties"]["MetricTransformations"]
    transformation["MetricNamespace"] = "Elsewhere"


@gradual_deployment.mutation
def uncounted_error_responses(raw):
    raw["Resources"]["ReadFailures"]["Properties"]["FilterPattern"] = "{ $.status >= 600 }"


@gradual_deployment.mutation
def all_at_once(raw):
    raw["Parameters"]["DeploymentType"]["Default"] = "AllAtOnce"


#: The longest possible values of what a version's description refers to. A table's name is the stack's name (up to 50
#: characters), the logical name, and 13 characters that CloudFormation adds. A role's id has 21 characters.
MAX_LENGTHS = {
    "Sessions": 50 + len("-Sessions-") + 13,
    "Role": 21,
    "RevokedBefore": len("2026-11-24T10:00:00Z"),
    "Deployment": 20,
}


@promise("a change to a function or to anything it refers to makes a new version")
def new_versions(design):
    if design.raw["Transform"] != "AWS::Serverless-2016-10-31":
        yield "a transform before SAM's fills in parameters, so changing ReservedConcurrency asks for a version that Lambda refuses"
    translated = design.translated["Resources"]
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        raw = design.raw["Resources"][name]["Properties"]
        if not (design.raw["Globals"]["Function"] | raw).get("AutoPublishAliasAllProperties"):
            yield f"the alias of {function} would keep the old version if its properties change but its code doesn't"
        (version,) = (
            one
            for one in translated.values()
            if one["Type"] == "AWS::Lambda::Version" and one["Properties"]["FunctionName"] == {"Ref": name}
        )
        description = version["Properties"].get("Description", {}).get("Fn::Sub", "")
        # Reserved concurrency belongs to the function, not to its versions.
        versioned = {
            key: value for key, value in translated[name]["Properties"].items() if key != "ReservedConcurrentExecutions"
        }
        named = [one.split(".") for one in tpl.SUB.findall(description)]
        referred = tpl.references(versioned, design.translated["Conditions"])
        for missing in sorted(referred - {first for first, *_ in named}):
            yield f"the alias of {function} would keep the old version if {missing} changes"
        # Lambda refuses a new version if the function hasn't changed, and the deployment fails.
        for needless in sorted({first for first, *_ in named} - referred):
            yield f"a change to {needless} does not change {function}, so Lambda would refuse the new version"
        longest = len(tpl.SUB.sub("", description)) + sum(
            longest_value(design.raw["Parameters"].get(first), first) for first, *_ in named
        )
        if longest > 256:
            yield f"the description of a version of {function} can get too long: {longest} characters"


def longest_value(parameter, name):
    if parameter is None or "AllowedPattern" in parameter:
        return MAX_LENGTHS["Role" if name.endswith("Role") else name]
    values = parameter.get("AllowedValues") or [parameter["MinValue"], parameter["MaxValue"]]
    return max(len(str(value)) for value in values)


@new_versions.mutation
def parameters_filled_in_before_sam(raw):
    raw["Transform"] = ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]


@new_versions.mutation
def versions_of_the_code_only(raw):
    raw["Globals"]["Function"].pop("AutoPublishAliasAllProperties")


@new_versions.mutation
def versions_without_a_description(raw):
    raw["Resources"]["WriteFunction"]["Properties"].pop("VersionDescription")


def without(reference):
    def mutate(raw):
        description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
        description["Fn::Sub"] = description["Fn::Sub"].replace(reference, "unknown")

    return mutate


@new_versions.mutation
def a_parameter_that_has_no_effect(raw):
    without("${LogLevel}")(raw)


@new_versions.mutation
def a_new_table_that_has_no_effect(raw):
    without("${Sessions}")(raw)


@new_versions.mutation
def a_new_role_that_has_no_effect(raw):
    without("${ReadRole.RoleId}")(raw)


@new_versions.mutation
def a_version_for_what_the_function_does_not_use(raw):
    description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
    description["Fn::Sub"] += " ${LogRetention}"


@new_versions.mutation
def a_description_that_is_too_long(raw):
    description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
    description["Fn::Sub"] += " and so forth" * 10
