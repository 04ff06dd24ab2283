//! A bare `UpdateItem` on the same foundation as the session API, with the expression of a `PUT`. With
//! the argument `write-ids`, the expression also recognizes and records the id of the write. The
//! difference is what exactly-once writes cost.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};
use session_api::config::Config;
use session_api::session::{Timestamp, WriteId};
use session_api::store;

#[derive(Deserialize)]
struct Event {
    headers: HashMap<String, String>,
    body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let has_write_ids = std::env::args().nth(1).is_some_and(|argument| argument == "write-ids");
    let config = Config::from_env().await?;
    let dynamodb = store::client(&config.aws);
    run(service_fn(async |event: LambdaEvent<Event>| {
        replace(&dynamodb, &config.table, event.payload, has_write_ids).await
    }))
    .await
}

async fn replace(
    dynamodb: &Client,
    table: &str,
    mut event: Event,
    has_write_ids: bool,
) -> Result<Response, Error> {
    let id = event.headers.remove("session-id").ok_or("no Session-Id")?;
    let now = Timestamp::now();
    let write = AttributeValue::S(WriteId::generate()?.as_str().to_owned());
    let (shift, once) = if has_write_ids {
        (", #w3 = #w2, #w2 = #w1, #w1 = #w0, #w0 = :etag", " AND NOT :etag IN (#w0, #w1, #w2, #w3)")
    } else {
        ("", "")
    };
    let mut update = dynamodb
        .update_item()
        .table_name(table)
        .key("id", AttributeValue::S(id))
        .update_expression(format!(
            "SET #data = :data, #type = :type, #etag = :etag, #expires = #ttl + :now{shift}"
        ))
        .condition_expression(format!(
            "#expires > :now AND (attribute_not_exists(#deadline) OR #deadline > :now) AND \
             attribute_not_exists(#successor) AND #created <= :arrived{once}"
        ))
        .expression_attribute_values(":data", AttributeValue::S(event.body))
        .expression_attribute_values(":type", AttributeValue::S("application/json".into()))
        .expression_attribute_values(":etag", write)
        .expression_attribute_values(":now", AttributeValue::N(now.seconds().to_string()))
        .expression_attribute_values(":arrived", AttributeValue::N(now.millis().to_string()))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let own: &[&str] = if has_write_ids { &["w0", "w1", "w2", "w3"] } else { &[] };
    let names = ["data", "type", "etag", "expires", "ttl", "deadline", "successor", "created"];
    for name in names.iter().chain(own) {
        update = update.expression_attribute_names(format!("#{name}"), *name);
    }
    update.send().await?;
    Ok(Response { status_code: 204 })
}
