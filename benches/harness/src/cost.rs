//! The capacity that DynamoDB reports for each operation on a session, compared with the AWS SDK for
//! PHP's session handler on the same data. `tests/deploy/costs.py` converts it to dollars.

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::program::Programs;
use crate::session_data;
use crate::subject::{CREATE, DESTROY, ID, READ, REPLACE, event, set_body};

/// Sizes of session data, in bytes.
const DATA_SIZES: [usize; 4] = [500, 2_000, 10_000, 100_000];

/// What one operation costs for one session size. Capacity is in read or write units.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub(crate) operation: &'static str,
    /// Size of the session data as sent.
    pub(crate) bytes: usize,
    pub(crate) capacity: f64,
    pub(crate) php_capacity: f64,
}

/// What write ids add for one session size.
#[derive(Serialize)]
pub(crate) struct WriteIdCost {
    /// Size of the session data as sent.
    pub(crate) bytes: usize,
    /// Write units of the item with four write ids.
    pub(crate) capacity: f64,
    /// Write units of the same item without them.
    pub(crate) capacity_without: f64,
}

/// The capacity of everything measured.
pub(crate) struct Costs {
    pub(crate) operations: Vec<Cost>,
    pub(crate) write_ids: Vec<WriteIdCost>,
}

/// Runs every operation once for each size.
pub(crate) async fn measure(programs: &Programs<'_>, dynamodb: &DynamoDb) -> Result<Costs> {
    let mut read = programs.session_api("read").start(None).await?;
    let mut write = programs.session_api("write").start(None).await?;
    let mut destroy = programs.session_api("destroy").start(None).await?;
    let mut operations = Vec::new();
    let mut write_ids = Vec::new();
    for bytes in DATA_SIZES {
        let data = session_data::json(bytes)?;
        let changed = data.replacen("de-DE", "en-IE", 1);
        let create = event(CREATE, |event| {
            set_body(event, &data);
            // The PHP handler doesn't record a session's user. The user index would add one
            // write unit.
            if let Some(headers) = event["headers"].as_object_mut() {
                headers.remove("session-user");
            }
        })?;
        // Delete the session that an earlier measurement left under the same id.
        consumed_capacity(&mut destroy, &event(DESTROY, |_| ())?, 204).await?;
        let ours = [
            ("create", consumed_capacity(&mut write, &create, 201).await?),
            ("read", consumed_capacity(&mut read, &event(READ, |_| ())?, 200).await?),
            ("replace", {
                let replace = event(REPLACE, |event| set_body(event, &changed))?;
                consumed_capacity(&mut write, &replace, 204).await?
            }),
            ("touch", {
                let touch = event(READ, |event| event["routeKey"] = "POST /session/touch".into())?;
                let capacity = consumed_capacity(&mut write, &touch, 204).await?;
                // The fourth write fills the last write id.
                consumed_capacity(&mut write, &touch, 204).await?;
                write_ids.push(write_id_cost(dynamodb, bytes).await?);
                capacity
            }),
            ("destroy", consumed_capacity(&mut destroy, &event(DESTROY, |_| ())?, 204).await?),
        ];
        let handler = PhpHandler(dynamodb);
        handler.destroy().await?;
        let php = [
            handler.write(Some(&data)).await?,
            handler.read().await?,
            handler.write(Some(&changed)).await?,
            handler.write(None).await?,
            handler.destroy().await?,
        ];
        for ((operation, capacity), php_capacity) in ours.into_iter().zip(php) {
            operations.push(Cost { operation, bytes, capacity, php_capacity });
        }
    }
    for function in [read, write, destroy] {
        function.stop().await?;
    }
    Ok(Costs { operations, write_ids })
}

/// Writes a copy of the session that the API stored, once with its write ids and once without.
async fn write_id_cost(dynamodb: &DynamoDb, bytes: usize) -> Result<WriteIdCost> {
    const WRITE_IDS: [&str; 4] = ["w0", "w1", "w2", "w3"];
    let scan = json!({
        "TableName": TABLE,
        // Skip the floor's and the peers' session, whose key is its id.
        "FilterExpression": "attribute_exists(w3) AND id <> :unencrypted",
        "ExpressionAttributeValues": { ":unencrypted": { "S": ID } },
    });
    let scanned = dynamodb.call("Scan", scan).await?;
    let mut item = scanned["Items"].get(0).context("no session of the API")?.clone();
    // A different key of the same length, so that the session itself stays unchanged.
    item["id"] = json!({ "S": "0".repeat(43) });
    let capacity = put_capacity(dynamodb, &item).await?;
    for name in WRITE_IDS {
        let item = item.as_object_mut().context("the item is not an object")?;
        let id = item.remove(name).and_then(|id| Some(id["S"].as_str()?.len()));
        ensure!(id == Some(22), "{name} is not a write id");
    }
    let capacity_without = put_capacity(dynamodb, &item).await?;
    let key = json!({ "TableName": TABLE, "Key": { "id": item["id"] } });
    dynamodb.call("DeleteItem", key).await?;
    Ok(WriteIdCost { bytes, capacity, capacity_without })
}

/// Returns the capacity of writing an item.
async fn put_capacity(dynamodb: &DynamoDb, item: &Value) -> Result<f64> {
    let put = json!({ "TableName": TABLE, "Item": item, "ReturnConsumedCapacity": "TOTAL" });
    let response = dynamodb.call("PutItem", put).await?;
    response["ConsumedCapacity"]["CapacityUnits"].as_f64().context("no capacity was reported")
}

/// Sends an event and returns the capacity that the function logs for it.
async fn consumed_capacity(function: &mut Function, event: &Bytes, expected: u64) -> Result<f64> {
    function.invoke(event).await?.body(expected)?;
    let line: Value = serde_json::from_str(&function.log_line().await?)?;
    line["capacity"].as_f64().context("the log line has no capacity")
}

/// The calls of `Aws\DynamoDb\StandardSessionConnection` in the AWS SDK for PHP 3. The SDK uses the
/// legacy parameter `AttributeUpdates` instead of `UpdateExpression`, which consumes the same
/// capacity.
struct PhpHandler<'a>(&'a DynamoDb);

impl PhpHandler<'_> {
    const KEY: &'static str = "PHPSESSID_0123456789abcdefghijklmnop";

    async fn read(&self) -> Result<f64> {
        self.call("GetItem", json!({ "ConsistentRead": true })).await
    }

    /// Writes the expiry time and the data, unless that's `None`, which means unchanged.
    async fn write(&self, data: Option<&str>) -> Result<f64> {
        let set = if data.is_some() { "SET #e = :e, #d = :d" } else { "SET #e = :e" };
        let mut parameters = json!({
            "UpdateExpression": format!("{set} REMOVE #l"),
            "ExpressionAttributeNames": { "#e": "expires", "#l": "lock" },
            "ExpressionAttributeValues": { ":e": { "N": "4102444800" } },
        });
        if let Some(data) = data {
            parameters["ExpressionAttributeNames"]["#d"] = "data".into();
            parameters["ExpressionAttributeValues"][":d"] = json!({ "S": data });
        }
        self.call("UpdateItem", parameters).await
    }

    async fn destroy(&self) -> Result<f64> {
        self.call("DeleteItem", json!({})).await
    }

    async fn call(&self, operation: &'static str, mut parameters: Value) -> Result<f64> {
        parameters["TableName"] = TABLE.into();
        parameters["Key"] = json!({ "id": { "S": Self::KEY } });
        parameters["ReturnConsumedCapacity"] = "TOTAL".into();
        let response = self.0.call(operation, parameters).await?;
        let units = response["ConsumedCapacity"]["CapacityUnits"].as_f64();
        units.with_context(|| format!("{operation} did not report its capacity"))
    }
}
