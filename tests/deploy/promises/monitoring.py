"""What operators can see: the logs, the alarms and the dashboard."""

import template as tpl
from contract import FUNCTIONS, ROLES

from .design import as_list, promise, statements, title

TOPIC_ARN = "arn:aws:sns:eu-central-1:111122223333:on-call"


@promise("each function logs JSON to its own log group, and its role allows no other")
def own_logs(design):
    for function in FUNCTIONS:
        group = f"{title(function)}Logs"
        # By name: if the log group were replaced, a reference in an existing version would still lead to the old one.
        where = {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}/{function}"}
        expected = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": where}
        if design.resource(f"{title(function)}Function").get("LoggingConfig") != expected:
            yield f"{function} does not log to {where['Fn::Sub']} in JSON without Lambda's own lines about each invocation"
        if design.resource(group).get("LogGroupName") != where:
            yield f"{group} is not {where['Fn::Sub']}"
        there = {
            (action, tpl.text(where))
            for owner, statement in statements(design.processed)
            if owner == f"{title(function)}Role"
            for action in as_list(statement["Action"])
            for where in as_list(statement["Resource"])
            if action.startswith("logs:")
        }
        arn = tpl.text({"Fn::GetAtt": [group, "Arn"]})
        if there != {("logs:CreateLogStream", arn), ("logs:PutLogEvents", arn)}:
            yield f"the log permissions of {function}'s role are {sorted(there)}"


@own_logs.mutation
def the_log_group_of_another(raw):
    policy = raw["Resources"]["ReadRole"]["Properties"]["Policies"][1]
    policy["PolicyDocument"]["Statement"][0]["Resource"] = {"Fn::GetAtt": ["WriteLogs", "Arn"]}


@own_logs.mutation
def a_function_that_logs_text(raw):
    raw["Globals"]["Function"]["LoggingConfig"]["LogFormat"] = "Text"


@own_logs.mutation
def log_lines_of_lambda_itself(raw):
    raw["Globals"]["Function"]["LoggingConfig"].pop("SystemLogLevel")


@own_logs.mutation
def a_log_group_of_another_name(raw):
    raw["Resources"]["ReadLogs"]["Properties"].pop("LogGroupName")


@promise("logs are kept as long as the parameter says")
def log_retention(design):
    for days in (30, 7):
        processed = design.with_parameters(LogRetention=days)
        for name, group in tpl.of_type(processed, "AWS::Logs::LogGroup").items():
            if group["Properties"].get("RetentionInDays") != days:
                yield f"{name} keeps its logs {group['Properties'].get('RetentionInDays', 'forever')} instead of {days} days"


@log_retention.mutation
def logs_kept_forever(raw):
    raw["Resources"]["ReadLogs"]["Properties"].pop("RetentionInDays")


@promise("every alarm is silent without requests, notifies the topic if there is one, and is on the dashboard")
def alarms(design):
    for given, told in [({}, []), ({"AlarmTopicArn": TOPIC_ARN}, [TOPIC_ARN])]:
        for name, alarm in tpl.of_type(design.with_parameters(**given), "AWS::CloudWatch::Alarm").items():
            if alarm["Properties"].get("TreatMissingData") != "notBreaching":
                yield f"{name} goes off while there are no requests"
            for event in ("AlarmActions", "OKActions"):
                if alarm["Properties"].get(event) != told:
                    yield f"{name}: {event} is {alarm['Properties'].get(event)} instead of {told}"
    widgets = tpl.dashboard(design.resource("Dashboard"))["widgets"]
    shown = {arn for widget in widgets for arn in widget["properties"].get("alarms", [])}
    if missing := {f"<{name}.Arn>" for name in design.resources("AWS::CloudWatch::Alarm")} ^ shown:
        yield f"not both defined and on the dashboard: {sorted(missing)}"


@alarms.mutation
def an_alarm_without_notification(raw):
    raw["Resources"]["ApiErrorsAlarm"]["Properties"].pop("AlarmActions")


@alarms.mutation
def an_alarm_on_missing_data(raw):
    raw["Resources"]["ReadErrorsAlarm"]["Properties"]["TreatMissingData"] = "breaching"


@alarms.mutation
def an_alarm_that_is_not_shown(raw):
    body = raw["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace('"${ReadThrottlesAlarm.Arn}", ', "")


@promise("alarms on the table cover its index, and every operation that a role allows")
def table_alarms(design):
    def watched(alarm):
        return {
            (one["MetricStat"]["Metric"]["MetricName"], *(dimension["Value"] for dimension in dimensions[1:]))
            for one in design.resource(alarm)["Metrics"]
            if "MetricStat" in one and (dimensions := one["MetricStat"]["Metric"]["Dimensions"])
        }

    # The table's own metric doesn't include its index.
    throttles = {(f"{kind}ThrottleEvents", *of) for kind in ("Read", "Write") for of in ((), ("user-index",))}
    # DynamoDB counts errors by operation, and counts a rotation as a transaction. Roles allow the actions on items.
    operations = {need.action for needs in ROLES.values() for need in needs} | {"TransactWriteItems"}
    for alarm, wanted in [
        ("TableThrottlesAlarm", throttles),
        ("TableErrorsAlarm", {("SystemErrors", operation) for operation in operations}),
    ]:
        there = watched(alarm)
        if there != wanted:
            yield f"{alarm} watches {sorted(there)} instead of {sorted(wanted)}"
        ids = {one["Id"] for one in design.resource(alarm)["Metrics"] if "MetricStat" in one}
        (total,) = (one["Expression"] for one in design.resource(alarm)["Metrics"] if "Expression" in one)
        if set(total.split(" + ")) != ids:
            yield f"{alarm} adds up {total} instead of {sorted(ids)}"


@table_alarms.mutation
def an_unwatched_index(raw):
    raw["Resources"]["TableThrottlesAlarm"]["Properties"]["Metrics"].pop()


@table_alarms.mutation
def an_unwatched_operation(raw):
    raw["Resources"]["TableErrorsAlarm"]["Properties"]["Metrics"].pop()


@table_alarms.mutation
def an_operation_that_is_not_added_up(raw):
    total = raw["Resources"]["TableErrorsAlarm"]["Properties"]["Metrics"][0]
    total["Expression"] = total["Expression"].removesuffix(" + transactWriteItems")
