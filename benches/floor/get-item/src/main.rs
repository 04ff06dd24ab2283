//! A bare `GetItem` on the same foundation as the session API: its DynamoDB client, and
//! `lambda_runtime` without `lambda_http`. It deserializes only the headers of an event.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};
use session_api::config::Config;
use session_api::store;

#[derive(Deserialize)]
struct Event {
    headers: HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u16,
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_env().await?;
    let dynamodb = store::client(&config.aws);
    run(service_fn(async |event: LambdaEvent<Event>| {
        read(&dynamodb, &config.table, event.payload).await
    }))
    .await
}

async fn read(dynamodb: &Client, table: &str, mut event: Event) -> Result<Response, Error> {
    let id = event.headers.remove("session-id").ok_or("no Session-Id")?;
    let output = dynamodb
        .get_item()
        .table_name(table)
        .key("id", AttributeValue::S(id))
        .consistent_read(true)
        .send()
        .await?;
    let data = output.item.and_then(|mut item| item.remove("data"));
    let Some(AttributeValue::S(body)) = data else { return Err("no session".into()) };
    Ok(Response { status_code: 200, body })
}
