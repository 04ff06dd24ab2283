"""What each function's role allows in DynamoDB: only the actions that the function calls."""

import contextlib
import json

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from contract import FUNCTIONS, ROLES, ROUTE
from emulator import STACK

MODEL = botocore.session.get_session().get_service_model("dynamodb")
#: DeleteTable comes last, because the others need the table.
OPERATIONS = sorted(MODEL.operation_names, key=lambda name: (name == "DeleteTable", name))
#: These have no IAM action of their own: IAM checks the actions on the items that they contain.
BY_ITEM = {
    "TransactGetItems",
    "TransactWriteItems",
    "ExecuteStatement",
    "BatchExecuteStatement",
    "ExecuteTransaction",
}
#: Not an IAM action: anyone may ask for the endpoint.
FREE = {"DescribeEndpoints"}
REFUSALS = {"AccessDeniedException", "AccessDenied"}
KEY = {"id": {"S": "nobody"}}
ITEM = KEY | {"expires": {"N": "1"}}


def requests(table, arn, index=None):
    """Requests that together exercise every DynamoDB action: (action, operation, parameters)."""
    for operation in OPERATIONS:
        if operation in FREE or operation in BY_ITEM:
            continue
        yield operation, operation, parameters(operation, table, arn, index)
    named = {"TableName": table}
    values = {"ExpressionAttributeValues": {":n": {"N": "1"}}}
    writes = {
        "PutItem": {"Put": named | {"Item": ITEM}},
        "UpdateItem": {"Update": named | values | {"Key": KEY, "UpdateExpression": "SET expires = :n"}},
        "DeleteItem": {"Delete": named | {"Key": KEY}},
        "ConditionCheckItem": {
            "ConditionCheck": named | {"Key": KEY, "ConditionExpression": "attribute_not_exists(id)"}
        },
    }
    for action, write in writes.items():
        yield action, "TransactWriteItems", {"TransactItems": [write]}
    yield "GetItem", "TransactGetItems", {"TransactItems": [{"Get": named | {"Key": KEY}}]}
    statements = {
        "PartiQLSelect": f"SELECT * FROM \"{table}\" WHERE id = 'nobody'",
        "PartiQLInsert": f"INSERT INTO \"{table}\" VALUE {{'id': 'somebody', 'expires': 1}}",
        "PartiQLUpdate": f"UPDATE \"{table}\" SET expires = 1 WHERE id = 'nobody'",
        "PartiQLDelete": f"DELETE FROM \"{table}\" WHERE id = 'nobody'",
    }
    for action, statement in statements.items():
        yield action, "ExecuteStatement", {"Statement": statement}
        yield action, "BatchExecuteStatement", {"Statements": [{"Statement": statement}]}
        yield action, "ExecuteTransaction", {"TransactStatements": [{"Statement": statement}]}


def parameters(operation, table, arn, index=None):
    """The fewest parameters that an operation accepts, including the table."""
    by_hand = {
        "BatchGetItem": {"RequestItems": {table: {"Keys": [KEY]}}},
        "BatchWriteItem": {"RequestItems": {table: [{"PutRequest": {"Item": ITEM}}]}},
        "Query": {
            "TableName": table,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": "user" if index else "id"},
            "ExpressionAttributeValues": {":key": {"S": "nobody"}},
        }
        | ({"IndexName": index} if index else {}),
        "Scan": {"TableName": table} | ({"IndexName": index} if index else {}),
        "GetItem": {"TableName": table, "Key": KEY},
        "DeleteItem": {"TableName": table, "Key": KEY},
        "PutItem": {"TableName": table, "Item": ITEM},
        "UpdateItem": {
            "TableName": table,
            "Key": KEY,
            "UpdateExpression": "SET expires = :n",
            "ExpressionAttributeValues": {":n": {"N": "1"}},
        },
        "CreateTable": {
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    }
    if operation in by_hand:
        return by_hand[operation]
    shape = MODEL.operation_model(operation).input_shape
    return least(shape, table, arn) if shape else {}


def least(shape, table, arn, name=""):
    """The smallest value that fits a shape in the API's model, with the table wherever one can be named."""
    if shape.type_name == "structure":
        named = [member for member in shape.members if is_table(member)]
        return {
            member: least(shape.members[member], table, arn, member)
            for member in dict.fromkeys([*shape.required_members, *named])
        }
    if shape.type_name == "list":
        return [least(shape.member, table, arn, name)]
    if shape.type_name == "map":
        return {}
    if is_table(name):
        return arn if name.endswith("Arn") else table
    if name == "BackupArn":
        return f"{arn}/backup/01234567890123-abcdefab"
    if name == "ExportArn":
        return f"{arn}/export/01234567890123-abcdefab"
    if name == "ImportArn":
        return f"{arn}/import/01234567890123-abcdefab"
    if shape.type_name == "string" and shape.enum:
        return shape.enum[0]
    return {"boolean": False, "integer": 1, "long": 1, "timestamp": 0}.get(shape.type_name, "none")


def is_table(member):
    return member in {
        "TableName",
        "TableArn",
        "ResourceArn",
        "GlobalTableName",
        "SourceTableArn",
        "SourceTableName",
        "TargetTableName",
    }


def is_refused(client, operation, arguments):
    """Whether IAM refuses the request. Any other error means that it was authorized."""
    try:
        getattr(client, botocore.xform_name(operation))(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in REFUSALS
    return False


@pytest.fixture(scope="module")
def tables(stack):
    """The names and ARNs of the stack's table and of another one."""
    dynamodb = stack.emulator.client("dynamodb")
    dynamodb.create_table(**parameters("CreateTable", "another-table", None))
    described = {
        name: dynamodb.describe_table(TableName=name)["Table"]["TableArn"] for name in (stack.table, "another-table")
    }
    return list(described.items())


@pytest.fixture(scope="module")
def clients(stack):
    return {
        function: stack.emulator.client("dynamodb", stack.as_role(f"{function.capitalize()}Role"))
        for function in FUNCTIONS
    }


@contextlib.contextmanager
def without(stack, function, action, index):
    """Removes one action from the function's role until the end of the block."""
    iam = stack.emulator.client("iam")
    role = stack.resources[f"{function.capitalize()}Role"]
    taken = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        if isinstance(document, str):
            document = json.loads(document)
        less = json.loads(json.dumps(document))
        less["Statement"] = [rest for statement in less["Statement"] if (rest := less_one(statement, action, index))]
        if less != document:
            taken.append((name, document, less))
    assert taken, f"the role of {function} does not have {action} on {index or 'the table'}"

    def put(name, document):
        if document["Statement"]:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=name)

    try:
        for name, _, less in taken:
            put(name, less)
        yield
    finally:
        for name, document, _ in taken:
            put(name, document)


def less_one(statement, action, index):
    """Removes an action from a statement if the statement covers that index or table. None if no action is left."""
    resources = statement["Resource"]
    resources = [resources] if isinstance(resources, str) else resources
    if index and not any(resource.endswith(f"/index/{index}") for resource in resources):
        return statement
    if not index and all("/index/" in resource for resource in resources):
        return statement
    actions = statement["Action"]
    actions = [actions] if isinstance(actions, str) else actions
    left = [one for one in actions if one != f"dynamodb:{action}"]
    return statement | {"Action": left} if left else None


NEEDS = [(function, need) for function, needs in ROLES.items() for need in needs]


@pytest.mark.parametrize(("function", "need"), NEEDS, ids=[f"{f}-{n.action}-{n.index or 'table'}" for f, n in NEEDS])
def test_function_fails_without_an_action_of_its_role(stack, app, session, matrix, function, need):
    route = ROUTE[need.route]
    with without(stack, function, need.action, need.index):
        response = stack.request(app, route, session, headers=need.headers)
        assert response.status in (500, 503), (
            f"{need.route} without {need.action} must fail with 500 or 503: {response}"
        )
        problem = json.loads(response.body) if response.body else {}
        assert "session-not-found" not in problem.get("type", ""), f"{need.route}: {response}"
    response = stack.request(app, route, session, headers=need.headers)
    assert response.status == route.status, f"{need.route} with {need.action} again: {response}"
    matrix.needed(function, need.action, need.index, need.route)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_failed_request_logs_the_version_that_the_alarm_watches(stack, app, session, function):
    """The metric filter counts a log line under the version that the line contains."""
    need = ROLES[function][0]
    with without(stack, function, need.action, need.index):
        assert stack.request(app, ROUTE[need.route], session).status == 500
    name = stack.resources[f"{function.capitalize()}FailuresAlarm"]
    (alarm,) = stack.emulator.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    (version,) = (one["Value"] for one in alarm["Dimensions"] if one["Name"] == "Version")
    assert name.endswith(f"-failures-{version}")
    logs = stack.emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{STACK}/{function}")
    messages = [event["message"] for page in pages for event in page["events"]]
    lines = [json.loads(message) for message in messages if message.startswith("{")]
    failed = [line for line in lines if isinstance(line.get("status"), int) and line["status"] >= 500]
    assert failed and {line["version"] for line in failed} == {version}, failed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_role_allows_its_actions_on_its_table_and_no_others(stack, tables, clients, matrix, function):
    wrong, (own, other) = [], tables
    for (table, arn), index in [(own, None), (own, "user-index"), (other, None), (other, "user-index")]:
        mine = {need.action for need in ROLES[function] if need.index == index and table == stack.table}
        for action, operation, arguments in requests(table, arn, index):
            if index and action not in ("Query", "Scan"):
                continue
            refused = is_refused(clients[function], operation, arguments)
            matrix.tried(function, action, "another table" if table != stack.table else index, refused)
            if refused == (action in mine):
                wrong.append(
                    f"{action} by {operation} on {table} {index or ''} was {'refused' if refused else 'allowed'}"
                )
    assert not wrong, f"the role of {function}: {wrong}"


def test_refusals_are_due_to_the_role(stack, tables):
    """A role that allows everything isn't refused anything. Otherwise, the test above would prove nothing."""
    iam, sts = stack.emulator.client("iam"), stack.emulator.client("sts")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    everything = {"Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}
    arn = iam.create_role(RoleName="everything", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="everything", PolicyName="all", PolicyDocument=json.dumps(everything))
    got = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    credentials = boto3.session.botocore.credentials.Credentials(
        got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"]
    )
    client = stack.emulator.client("dynamodb", credentials)
    # Use a separate table, because these requests delete it.
    name = "a-table-to-spoil"
    stack.emulator.client("dynamodb").create_table(**parameters("CreateTable", name, None))
    table = stack.emulator.client("dynamodb").describe_table(TableName=name)["Table"]["TableArn"]
    blind = [
        f"{operation} ({action})"
        for action, operation, arguments in requests(name, table)
        if is_refused(client, operation, arguments)
    ]
    assert not blind, f"these were refused although the role allows everything: {blind}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_role_allows_no_log_group_of_another_function(stack, function):
    """A promise about the template covers the function's own log group. We can't test that here, because the emulator
    doesn't understand the ':*' that AWS requires at the end of a log group's ARN."""
    logs = stack.emulator.client("logs", stack.as_role(f"{function.capitalize()}Role"))
    for logical in [f"{name.capitalize()}Logs" for name in FUNCTIONS if name != function] + ["AccessLogs"]:
        group = {"logGroupName": stack.resources[logical], "logStreamName": "test"}
        assert is_refused(logs, "CreateLogStream", group), f"the role of {function} allows writing to {logical}"
