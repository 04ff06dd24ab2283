//! What a session costs: the capacity that DynamoDB says each operation consumed, and what a million
//! of them come to, beside the session handler of the AWS SDK for PHP on the same data.

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

/// One operation on a session of one size. Capacity is in read or write units, and dollars are for a
/// million.
#[derive(Serialize)]
pub(crate) struct Cost {
    pub(crate) operation: &'static str,
    /// The data as sent.
    pub(crate) bytes: usize,
    pub(crate) capacity: f64,
    pub(crate) php_capacity: f64,
    pub(crate) dollars: Dollars,
    /// The handler for PHP calls DynamoDB from the app, which is all that it costs.
    pub(crate) php_dollars: f64,
}

/// What a million requests cost, by part: list prices of us-east-1, for on-demand capacity and arm64.
#[derive(Serialize)]
pub(crate) struct Dollars {
    pub(crate) dynamodb: f64,
    pub(crate) gateway: f64,
    pub(crate) lambda: f64,
    pub(crate) logs: f64,
}

impl Dollars {
    fn of_million(units: f64, unit: f64) -> Self {
        Self {
            dynamodb: units * unit,
            gateway: 1.00,
            // A request, and 10 ms of 256 MB, most of it a wait for DynamoDB.
            lambda: 0.20 + 0.010 * 0.25 * 13.3334,
            // The lines in the function's log and in the gateway's, about 1.1 KB.
            logs: 1.1 * 0.50,
        }
    }

    pub(crate) fn total(&self) -> f64 {
        self.dynamodb + self.gateway + self.lambda + self.logs
    }
}

const READ_UNIT: f64 = 0.125;
const WRITE_UNIT: f64 = 0.625;

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
            let unit = if operation == "read" { READ_UNIT } else { WRITE_UNIT };
            costs.push(Cost {
                operation,
                bytes,
                capacity,
                php_capacity,
                dollars: Dollars::of_million(capacity, unit),
                php_dollars: php_capacity * unit,
            });
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
