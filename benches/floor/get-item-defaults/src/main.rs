//! A bare `GetItem`, written as the guides for the AWS SDK and `lambda_http` suggest.

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let dynamodb = Client::new(&config);
    let table = std::env::var("TABLE_NAME")?;
    run(service_fn(async |request: Request| read(&dynamodb, &table, &request).await)).await
}

async fn read(dynamodb: &Client, table: &str, request: &Request) -> Result<Response<Body>, Error> {
    let id = request.headers().get("session-id").ok_or("no Session-Id")?.to_str()?;
    let output = dynamodb
        .get_item()
        .table_name(table)
        .key("id", AttributeValue::S(id.to_owned()))
        .consistent_read(true)
        .send()
        .await?;
    let data = output.item().and_then(|item| item.get("data")?.as_s().ok()).ok_or("no session")?;
    Ok(Response::new(data.as_str().into()))
}
