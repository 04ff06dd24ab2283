"""A peer of the session API in its benchmark: the same read and write of a session, without sealing
and without locks, as one would write them with boto3 for speed.
"""

import base64
import os
import secrets
import time

import boto3
from botocore.config import Config

TABLE = os.environ["TABLE_NAME"]
LIFETIME = 86_400

dynamodb = boto3.client(
    "dynamodb",
    # boto3 itself reads AWS_DEFAULT_REGION alone.
    region_name=os.environ["AWS_REGION"],
    config=Config(
        connect_timeout=1,
        read_timeout=1,
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
        # DynamoDB checks the parameters anyway.
        parameter_validation=False,
    ),
)

# Makes the connection while Lambda still gives the function a whole CPU.
try:
    dynamodb.get_item(TableName=TABLE, Key={"id": {"S": "-"}})
except Exception:
    # The first request will try again.
    pass


def read(event, _context):
    if not (session_id := event["headers"].get("session-id")):
        return {"statusCode": 400}
    item = dynamodb.get_item(
        TableName=TABLE, Key={"id": {"S": session_id}}, ConsistentRead=True
    ).get("Item")
    # DynamoDB deletes what has expired up to two days late.
    if not item or int(item["expires"]["N"]) <= time.time():
        return {"statusCode": 404}
    return {
        "statusCode": 200,
        "headers": {
            "content-type": item["type"]["S"],
            "etag": f'"{item["etag"]["S"]}"',
            "cache-control": "no-store",
        },
        "body": item["data"]["S"],
    }


def write(event, _context):
    headers = event["headers"]
    if not (session_id := headers.get("session-id")):
        return {"statusCode": 400}
    data = event.get("body", "")
    # API Gateway encodes what its content type does not show to be text.
    if event["isBase64Encoded"]:
        data = base64.b64decode(data).decode()
    now = int(time.time())
    etag = secrets.token_urlsafe(16)
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key={"id": {"S": session_id}},
            ConditionExpression="attribute_exists(id) AND expires > :now",
            UpdateExpression="SET #data = :data, #type = :type, etag = :etag, expires = :expires",
            ExpressionAttributeNames={"#data": "data", "#type": "type"},
            ExpressionAttributeValues={
                ":now": {"N": str(now)},
                ":data": {"S": data},
                ":type": {"S": headers.get("content-type", "application/octet-stream")},
                ":etag": {"S": etag},
                ":expires": {"N": str(now + LIFETIME)},
            },
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return {"statusCode": 404}
    return {"statusCode": 204, "headers": {"etag": f'"{etag}"'}}
