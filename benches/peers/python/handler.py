"""Benchmark peer of the session API: reads and writes a session with boto3, optimized for speed.

It has neither encryption nor locks.
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
    # boto3 reads AWS_DEFAULT_REGION, but not AWS_REGION.
    region_name=os.environ["AWS_REGION"],
    config=Config(
        connect_timeout=1,
        read_timeout=1,
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
        # DynamoDB validates the parameters as well.
        parameter_validation=False,
    ),
)

# Connect during init, while the function still has a whole CPU.
try:
    dynamodb.get_item(TableName=TABLE, Key={"id": {"S": "-"}})
except Exception:
    # The first request will try again.
    pass


def read(event, _context):
    if not (session_id := event["headers"].get("session-id")):
        return {"statusCode": 400}
    item = dynamodb.get_item(TableName=TABLE, Key={"id": {"S": session_id}}, ConsistentRead=True).get("Item")
    # DynamoDB may delete expired items up to two days late.
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
    # API Gateway base64-encodes a body unless its content type is text.
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
