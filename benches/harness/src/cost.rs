//! The capacity that DynamoDB reports for each operation on a session, compared with the session
//! handler of the AWS SDK for PHP on the same data. `tests/deploy/costs.py` converts it to dollars.

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::program::Programs;
use crate::session_data;
use crate::subject::{CREATE, DESTROY, READ, REPLACE, TOUCH, event, set_body};

/// Sizes of session data, in bytes.
const DATA_SIZES: [usize; 4] = [500, 2_000, 10_000, 100_000];

/// Cost of one operation on a session of one size. Capacity is in read or write units.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub(crate) operation: &'static str,
    /// Size of the session data as sent.
    pub(crate) bytes: usize,
    pub(crate) capacity: f64,
    pub(crate) php_capacity: f64,
}

/// Runs every operation once for each size.
pub(crate) async fn measure(programs: &Programs<'_>, dynamodb: &DynamoDb) -> Result<Vec<Cost>> {
    let mut read = programs.session_api("read").start(None).await?;
    let mut write = programs.session_api("write").start(None).await?;
    let mut destroy = programs.session_api("destroy").start(None).await?;
    let mut costs = Vec::new();
    for bytes in DATA_SIZES {
        let data = session_data::json(bytes)?;
        let changed = data.replacen("de-DE", "en-IE", 1);
        let create = event(CREATE, |event| {
            set_body(event, &data);
            // The PHP handler does not record a session's user. The index of users would add
            // one write unit.
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
            ("touch", consumed_capacity(&mut write, &event(TOUCH, |_| ())?, 204).await?),
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
            costs.push(Cost { operation, bytes, capacity, php_capacity });
        }
    }
    for function in [read, write, destroy] {
        function.stop().await?;
    }
    Ok(costs)
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

    /// Writes the expiry time, and the data if there is any. `None` stands for unchanged data.
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
