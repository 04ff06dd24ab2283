"""What can be seen: logs, alarms, dashboard."""

import re

import template as tpl
from contract import FUNCTIONS

from .design import as_list, promise, statements, title

TOPIC_ARN = "arn:aws:sns:eu-central-1:111122223333:on-call"


@promise("each function logs JSON to its own log group, and its role allows no other")
def own_logs(design):
    for function in FUNCTIONS:
        group = f"{title(function)}Logs"
        # By name, not by reference: a version would keep a reference to a log group that was replaced.
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
            yield f"the role of {function} allows for logs: {sorted(there)}"


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
                yield f"{name} keeps its logs {group['Properties'].get('RetentionInDays', 'forever')}"


@log_retention.mutation
def logs_kept_forever(raw):
    raw["Resources"]["ReadLogs"]["Properties"].pop("RetentionInDays")


def watched(design):
    """What the alarms watch: (metric, of which resource, of which operation or version of it, statistic)."""
    for alarm in design.resources("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        stats = [one["MetricStat"] for one in properties.get("Metrics", []) if "MetricStat" in one]
        for metric, stat in [(one["Metric"], one["Stat"]) for one in stats] or [(properties, None)]:
            of, *parts = (dimension["Value"] for dimension in metric["Dimensions"])
            if "Ref" in of and all(isinstance(part, str) for part in parts):
                yield (
                    metric["MetricName"],
                    of["Ref"],
                    *parts,
                    stat or properties.get("Statistic") or properties.get("ExtendedStatistic"),
                )


ALARMS = [
    *(
        (metric, f"{title(function)}Function", stat)
        for function in FUNCTIONS
        for metric, stat in [("Errors", "Sum"), ("Throttles", "Sum"), ("Duration", "p99")]
    ),
    ("5xx", "Api", "Sum"),
    ("Latency", "Api", "p99"),
    # The table's metric does not include its indexes.
    *(
        (f"{kind}ThrottleEvents", "Sessions", *index, "Sum")
        for kind in ("Read", "Write")
        for index in ([], ["user-index"])
    ),
    # DynamoDB counts these by operation only.
    *(
        ("SystemErrors", "Sessions", operation, "Sum")
        for operation in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
    ),
]


@promise("alarms watch functions, API and table, and notify the topic if there is one")
def alarms(design):
    there = set(watched(design))
    for alarm in ALARMS:
        if alarm not in there:
            yield f"no alarm on {alarm}"
    for name, alarm in design.resources("AWS::CloudWatch::Alarm").items():
        if alarm["Properties"].get("TreatMissingData") != "notBreaching":
            yield f"{name} goes off while there are no requests"
    for given, told in [({}, []), ({"AlarmTopicArn": TOPIC_ARN}, [TOPIC_ARN])]:
        processed = design.with_parameters(**given)
        for name, alarm in tpl.of_type(processed, "AWS::CloudWatch::Alarm").items():
            for event in ("AlarmActions", "OKActions"):
                if alarm["Properties"].get(event) != told:
                    yield f"{name}: {event} is {alarm['Properties'].get(event)} and not {told}"


@alarms.mutation
def no_alarm_on_throttling(raw):
    raw["Resources"].pop("ReadThrottlesAlarm")
    dashboard = raw["Resources"]["Dashboard"]["Properties"]
    body = dashboard["DashboardBody"]["Fn::Sub"]
    dashboard["DashboardBody"]["Fn::Sub"] = re.sub(r' *"\$\{ReadThrottlesAlarm\.Arn\}",\n', "", body)


@alarms.mutation
def an_alarm_without_notification(raw):
    raw["Resources"]["ApiErrorsAlarm"]["Properties"].pop("AlarmActions")


@alarms.mutation
def an_unwatched_index(raw):
    raw["Resources"]["TableThrottlesAlarm"]["Properties"]["Metrics"].pop()


@alarms.mutation
def an_unwatched_operation(raw):
    raw["Resources"]["TableErrorsAlarm"]["Properties"]["Metrics"].pop()


@alarms.mutation
def an_alarm_on_missing_data(raw):
    raw["Resources"]["ReadErrorsAlarm"]["Properties"]["TreatMissingData"] = "breaching"


@promise("the dashboard shows traffic, latency, errors, capacity, expiry and every alarm")
def dashboard(design):
    body = tpl.dashboard(design.resource("Dashboard"))
    shown = {(line[1], line[3]) for widget in body["widgets"] for line in widget["properties"].get("metrics", [])}
    wanted = [
        *(("Count", "Api"), ("Latency", "Api"), ("5xx", "Api"), ("4xx", "Api")),
        *(
            (metric, f"{title(function)}Function")
            for function in FUNCTIONS
            for metric in ("Invocations", "Duration", "Errors", "Throttles")
        ),
        *(("ConsumedReadCapacityUnits", "Sessions"), ("ConsumedWriteCapacityUnits", "Sessions")),
        ("TimeToLiveDeletedItemCount", "Sessions"),
    ]
    for metric, of in wanted:
        if (metric, f"<{of}>") not in shown:
            yield f"{metric} of {of} is not shown"
    alarms = {arn for widget in body["widgets"] for arn in widget["properties"].get("alarms", [])}
    if alarms != {f"<{name}.Arn>" for name in design.resources("AWS::CloudWatch::Alarm")}:
        yield f"the alarms shown are {sorted(alarms)}"


@dashboard.mutation
def a_dashboard_without_expiry(raw):
    body = raw["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace("TimeToLiveDeletedItemCount", "ReturnedItemCount")


@promise("the URL of the dashboard is in the console of the partition")
def console(design):
    for partition, host in [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ]:
        outputs = design.with_parameters(**{"AWS::Partition": partition})["Outputs"]
        text, given = outputs["DashboardUrl"]["Value"]["Fn::Sub"]
        if not text.startswith("https://${Console}/cloudwatch/") or given["Console"] != host:
            yield f"in {partition}: {text} with {given}"


@console.mutation
def one_console_for_every_partition(raw):
    raw["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"][1]["Console"] = "console.aws.amazon.com"
