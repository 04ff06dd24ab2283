//! Creates the table from `template.yaml` in a DynamoDB outside AWS.
//!
//! The integration tests use it too, so every table has the template's schema.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

/// Calls a DynamoDB operation by its name. Returns its output or its error message.
///
/// The signature is a placeholder: no local engine checks it.
pub(crate) fn call(endpoint: &str, operation: &str, parameters: &Value) -> Result<Value, String> {
    let credential = "Credential=local/20260101/us-east-1/dynamodb/aws4_request";
    let mut response = agent()
        .post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
        .header("X-Amz-Date", "20260101T000000Z")
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"),
        )
        .send(parameters.to_string())
        .map_err(|error| format!("no DynamoDB at {endpoint}: {error}"))?;
    let body = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    if response.status().is_success() {
        serde_json::from_str(&body).map_err(|error| error.to_string())
    } else {
        Err(body)
    }
}

/// Returns a client that keeps its connections. Otherwise, each of many thousands of calls would leave behind a port
/// that can't be reused for a minute.
fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let config = ureq::config::Config::builder()
            .http_status_as_error(false)
            .max_idle_connections(64)
            .max_idle_connections_per_host(64);
        config.build().into()
    })
}

/// Creates the table under this name, with its indexes and TTL, unless it exists.
pub(crate) fn create(endpoint: &str, name: &str) -> Result<(), String> {
    let defined = definition()?;
    let mut table = Map::from_iter([("TableName".to_owned(), json!(name))]);
    for property in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"] {
        let value = defined.get(property).ok_or(format!("template.yaml: no {property}"))?;
        table.insert(property.to_owned(), value.clone());
    }
    match call(endpoint, "CreateTable", &table.into()) {
        Err(error) if error.contains("ResourceInUseException") => return Ok(()),
        created => created?,
    };
    let ttl = defined.get("TimeToLiveSpecification").ok_or("template.yaml: no TTL")?;
    let ttl = json!({ "TableName": name, "TimeToLiveSpecification": ttl });
    call(endpoint, "UpdateTimeToLive", &ttl).map(drop)
}

/// A number that changes with the table's definition.
#[allow(dead_code, reason = "the tests create a new table each time")]
pub(crate) fn fingerprint() -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    definition()?.to_string().hash(&mut hasher);
    Ok(hasher.finish())
}

/// The table's properties in the template, which `CreateTable` accepts as parameters.
fn definition() -> Result<Value, String> {
    let template = include_str!("../../template.yaml");
    let template: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(template).map_err(|error| format!("template.yaml: {error}"))?;
    let properties = template.get("Resources").and_then(|r| r.get("Sessions")?.get("Properties"));
    let properties = properties.ok_or("template.yaml: no resource Sessions")?;
    serde_json::to_value(properties).map_err(|error| format!("template.yaml: {error}"))
}
