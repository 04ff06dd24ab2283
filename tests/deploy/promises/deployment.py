"""What a deployment promises: that CloudFormation can do it, gradually, and that a change takes effect."""

import template as tpl
from contract import FUNCTIONS

from .design import as_list, promise, statements, title


@promise("no resource depends on itself, so that CloudFormation can create all of them")
def no_cycle(design):
    if found := tpl.cycle(tpl.dependencies(design.translated)):
        yield " -> ".join(found)


@no_cycle.mutation
def a_rollback_alarm_that_depends_on_the_api(raw):
    # The deployment group of an alias depends on the alarm, the alarm on the API, the API on the alias.
    alarm = raw["Resources"]["ReadFailuresAlarm"]["Properties"]
    alarm["AlarmDescription"] = {"Fn::Sub": alarm["AlarmDescription"] + " ${Api}"}


@no_cycle.mutation
def a_log_group_that_depends_on_its_function(raw):
    raw["Resources"]["ReadLogs"]["DependsOn"] = "ReadFunction"


def failures(function, version):
    """The metrics of the requests that a version of a function failed: its error responses and its crashes."""
    name = f"{title(function)}Function"
    return [
        {
            "Namespace": {"Fn::Sub": "SessionApi/${AWS::StackName}"},
            "MetricName": f"{title(function)}Failures",
            "Dimensions": [{"Name": "Version", "Value": {"Fn::GetAtt": [version, "Version"]}}],
        },
        {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [
                {"Name": "FunctionName", "Value": {"Ref": name}},
                {"Name": "Resource", "Value": {"Fn::Sub": f"${{{name}}}:live"}},
                {"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [version, "Version"]}},
            ],
        },
    ]


@promise("traffic shifts gradually to a new version, and back if that version fails requests")
def gradual_deployment(design):
    groups = design.resources("AWS::CodeDeploy::DeploymentGroup")
    versions = {
        resource["Properties"]["FunctionName"]["Ref"]: name
        for name, resource in design.resources("AWS::Lambda::Version").items()
    }
    for function in FUNCTIONS:
        properties = groups.get(f"{title(function)}FunctionDeploymentGroup", {}).get("Properties", {})
        watched = [alarm["Name"] for alarm in properties.get("AlarmConfiguration", {}).get("Alarms", [])]
        name = f"{title(function)}FailuresAlarm"
        if watched != [{"Ref": name}]:
            yield f"{function} is rolled back by {watched} and not by {name}"
        if "AllAtOnce" in tpl.text(properties.get("DeploymentConfigName", "AllAtOnce")):
            yield f"{function} is replaced all at once"
        # Errors of another version must not roll back this one, which may be the fix.
        alarm, version = design.resource(name), versions[f"{title(function)}Function"]
        metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        if metrics != failures(function, version):
            yield f"{name} does not watch the new version only: {metrics}"
        if f"${{{version}.Version}}" not in tpl.text(alarm.get("AlarmName", "")):
            yield f"{name} is not replaced with the version, and so keeps the state of the previous one"
        counted = design.resource(f"{title(function)}Failures")
        (transformation,) = counted.get("MetricTransformations", [{}])
        if (
            counted.get("LogGroupName") != {"Ref": f"{title(function)}Logs"}
            # A dimension must be a field of the pattern.
            or counted.get("FilterPattern") != '{ ($.status >= 500) && ($.version = "*") }'
            or transformation.get("MetricName") != f"{title(function)}Failures"
            or transformation.get("Dimensions") != [{"Key": "Version", "Value": "$.version"}]
        ):
            yield f"{name} does not count the error responses in the log of {function}: {counted}"
    # The emulator has no CodeDeploy, so no other test notices if it may not move an alias.
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
        yield f"CodeDeploy may move other aliases than those of the functions: {sorted(there ^ promised)}"


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
def uncounted_error_responses(raw):
    raw["Resources"]["ReadFailures"]["Properties"]["FilterPattern"] = "{ $.status >= 600 }"


@gradual_deployment.mutation
def all_at_once(raw):
    raw["Parameters"]["DeploymentType"]["Default"] = "AllAtOnce"


#: The longest that CloudFormation's names of the table are, for a stack's name of 100 characters: it appends
#: the logical name and 13 characters. And the id of a role.
LONGEST = {"Sessions": 100 + len("-Sessions-") + 13, "Role": 21}


@promise("a change to a function or to anything it refers to makes a new version")
def new_versions(design):
    translated = design.translated["Resources"]
    for function in FUNCTIONS:
        name = f"{title(function)}Function"
        raw = design.raw["Resources"][name]["Properties"]
        if not (design.raw["Globals"]["Function"] | raw).get("AutoPublishAliasAllProperties"):
            yield f"the alias of {function} would keep the old version if properties change but not the code"
        version, = (
            one for one in translated.values()
            if one["Type"] == "AWS::Lambda::Version" and one["Properties"]["FunctionName"] == {"Ref": name}
        )
        description = version["Properties"].get("Description", {}).get("Fn::Sub", "")
        # A property of the function, not of its versions.
        versioned = {
            key: value for key, value in translated[name]["Properties"].items()
            if key != "ReservedConcurrentExecutions"
        }
        named = [one.split(".") for one in tpl.SUB.findall(description)]
        referred = tpl.references(versioned, design.translated["Conditions"])
        for missing in sorted(referred - {first for first, *_ in named}):
            yield f"the alias of {function} would keep the old version if {missing} changes"
        longest = len(tpl.SUB.sub("", description)) + sum(
            longest_value(design.raw["Parameters"].get(first), first) for first, *_ in named
        )
        if longest > 256:
            yield f"the description of a version of {function} may have {longest} characters"


def longest_value(parameter, name):
    if parameter is None:
        return LONGEST["Role" if name.endswith("Role") else name]
    values = parameter.get("AllowedValues") or [parameter["MinValue"], parameter["MaxValue"]]
    return max(len(str(value)) for value in values)


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
def a_description_that_is_too_long(raw):
    description = raw["Resources"]["ReadFunction"]["Properties"]["VersionDescription"]
    description["Fn::Sub"] += " and so forth" * 5
