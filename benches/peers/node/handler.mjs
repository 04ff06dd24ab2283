// Benchmark peer of the session API: reads and writes a session with the AWS SDK for JavaScript,
// optimized for speed. It has neither encryption nor locks.

import { randomBytes } from "node:crypto";

import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";

const { TABLE_NAME } = process.env;
const LIFETIME = 86_400;

const dynamodb = new DynamoDBClient({
  retryMode: "standard",
  maxAttempts: 3,
  requestHandler: {
    connectionTimeout: 1_000,
    requestTimeout: 1_000,
    // By default, the SDK only logs a warning and keeps waiting.
    throwOnRequestTimeout: true,
    httpsAgent: { keepAlive: true },
  },
});

// Connect during init, while the function still has a whole CPU.
try {
  await dynamodb.send(new GetItemCommand({ TableName: TABLE_NAME, Key: { id: { S: "-" } } }));
} catch {
  // The first request will try again.
}

export async function read({ headers }) {
  const id = headers["session-id"];
  if (!id) return { statusCode: 400 };
  const { Item: item } = await dynamodb.send(
    new GetItemCommand({ TableName: TABLE_NAME, Key: { id: { S: id } }, ConsistentRead: true }),
  );
  // DynamoDB may delete expired items up to two days late.
  if (!item || Number(item.expires.N) <= Date.now() / 1000) return { statusCode: 404 };
  return {
    statusCode: 200,
    headers: {
      "content-type": item.type.S,
      etag: `"${item.etag.S}"`,
      "cache-control": "no-store",
    },
    body: item.data.S,
  };
}

export async function write({ headers, body = "", isBase64Encoded }) {
  const id = headers["session-id"];
  if (!id) return { statusCode: 400 };
  // API Gateway base64-encodes a body unless its content type is text.
  const data = isBase64Encoded ? Buffer.from(body, "base64").toString() : body;
  const now = Math.floor(Date.now() / 1000);
  const etag = randomBytes(16).toString("base64url");
  try {
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: TABLE_NAME,
        Key: { id: { S: id } },
        ConditionExpression: "attribute_exists(id) AND expires > :now",
        UpdateExpression: "SET #data = :data, #type = :type, etag = :etag, expires = :expires",
        ExpressionAttributeNames: { "#data": "data", "#type": "type" },
        ExpressionAttributeValues: {
          ":now": { N: String(now) },
          ":data": { S: data },
          ":type": { S: headers["content-type"] ?? "application/octet-stream" },
          ":etag": { S: etag },
          ":expires": { N: String(now + LIFETIME) },
        },
      }),
    );
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return { statusCode: 404 };
    throw error;
  }
  return { statusCode: 204, headers: { etag: `"${etag}"` } };
}
