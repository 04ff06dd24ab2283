//! The capacity that DynamoDB reports for each operation on a session, beside the session handler of the
//! AWS SDK for PHP on the same data. `tests/deploy/costs.py` turns it into dollars.

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::program::Programs;
use crate::session_data;
use crate::subject::{CREATE, DESTROY, READ, REPLACE, TOUCH, event, set_body};

const SIZES: [usize; 4] = [500, 2_000, 10_000, 100_000];

/// One operation on a session of one size. Capacity is in read or write units.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub(crate) operation: &'static str,
    /// The data as sent.
    pub(crate) bytes: usize,
    pub(crate) capacity: f64,
    pub(crate) php_capacity: f64,
}

/// Does every operation once for each size.
pub(crate) async fn measure(programs: &Programs<'_>, dynamodb: &DynamoDb) -> Result<Vec<Cost>> {
    let mut read = programs.session_api("read").start(None).await?;
    let mut write = programs.session_api("write").start(None).await?;
    let mut destroy = programs.session_api("destroy").start(None).await?;
    let mut costs = Vec::new();
    for bytes in SIZES {
        let data = session_data::json(bytes)?;
        let changed = data.replacen("de-DE", "en-IE", 1);
        let create = event(CREATE, |event| {
            set_body(event, &data);
            // The handler for PHP knows no owners, whose index is one write unit more.
            if let Some(headers) = event["headers"].as_object_mut() {
                headers.remove("session-user");
            }
        })?;
        // The session that the functions were measured with is in the way.
        capacity(&mut destroy, &event(DESTROY, |_| ())?, 204).await?;
        let ours = [
            ("create", capacity(&mut write, &create, 201).await?),
            ("read", capacity(&mut read, &event(READ, |_| ())?, 200).await?),
            ("replace", {
                let replace = event(REPLACE, |event| set_body(event, &changed))?;
                capacity(&mut write, &replace, 204).await?
            }),
            ("touch", capacity(&mut write, &event(TOUCH, |_| ())?, 204).await?),
            ("destroy", capacity(&mut destroy, &event(DESTROY, |_| ())?, 204).await?),
        ];
        let php = Php(dynamodb);
        php.destroy().await?;
        let php = [
            php.write(Some(&data)).await?,
            php.read().await?,
            php.write(Some(&changed)).await?,
            php.write(None).await?,
            php.destroy().await?,
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

/// What a function's log says that a request consumed.
async fn capacity(function: &mut Function, event: &Bytes, expected: u64) -> Result<f64> {
    function.invoke(event).await?.body(expected)?;
    let line: Value = serde_json::from_str(&function.log_line().await?)?;
    line["capacity"].as_f64().context("the log line has no capacity")
}

/// The calls of `Aws\DynamoDb\StandardSessionConnection`, AWS SDK for PHP 3. It still says
/// `AttributeUpdates` where this says `UpdateExpression`; the capacity is the same.
struct Php<'a>(&'a DynamoDb);

impl Php<'_> {
    const KEY: &'static str = "PHPSESSID_0123456789abcdefghijklmnop";

    async fn read(&self) -> Result<f64> {
        self.call("GetItem", json!({ "ConsistentRead": true })).await
    }

    /// Writes the data, or where it has not changed only the time at which the session ends.
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
        let answer = self.0.call(operation, parameters).await?;
        let units = answer["ConsumedCapacity"]["CapacityUnits"].as_f64();
        units.with_context(|| format!("{operation} told no capacity"))
    }
}
