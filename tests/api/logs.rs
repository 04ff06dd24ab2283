//! Logs: one line per request, with everything an operator needs and no secrets.

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::harness::Fault::{Echo, Garbage};
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, FaultProxy, HEAD, Log, READ, REPLACE, TOUCH,
    Timeouts, endpoint, every_request, handle,
};

#[tokio::test]
async fn log_contains_no_ids_users_or_data_at_any_level() {
    let (log, _guard) = Log::capture(LevelFilter::TRACE);
    let app = App::new().await;
    let generated = app.send(CREATE).body(b"data-Zecret").await;
    let id = generated.header("Session-Id").to_owned();
    app.send(CREATE_WITH_ID).header("session-user", "user-Zecret").body(b"data-Zecret").await;
    for event in [READ, HEAD, REPLACE, TOUCH, CREATE_WITH_ID, CREATE] {
        app.send(event).header("session-user", "user-Zecret").await;
        app.send(event).header("session-ttl", "ttl-Zecret").await;
        app.send(event).header("if-match", "\"etag-Zecret\"").await;
        app.send(event).id("id-Zecret").await;
        app.send(event)
            .edit_event(|event| event["routeKey"] = "GET /session/path-Zecret".into())
            .await;
    }
    let mut item = app.items().await.remove(0);
    item["data"] = json!({ "B": "Y29ycnVwdA==" });
    app.put_item(item).await;
    app.send(READ).await;
    app.send(READ).id(&id).await;
    app.send(DESTROY).await;
    let broken = App::connect("no-such-table", endpoint(), Timeouts::Long);
    for event in [CREATE, CREATE_WITH_ID, READ, REPLACE, TOUCH, DESTROY] {
        assert_eq!(broken.send(event).body(b"data-Zecret").await.status, 500);
    }
    // Init would refuse this endpoint. The SDK's error for it contains the whole request.
    let unreachable = App::connect("sessions", "localhost:8000", Timeouts::Long);
    for event in [CREATE, CREATE_WITH_ID, READ, REPLACE, TOUCH, DESTROY] {
        assert_eq!(unreachable.send(event).body(b"data-Zecret").await.status, 503);
    }
    let text = log.text();
    let lines = log.lines();
    assert_eq!(lines.len(), 2 + 6 * 5 + 3 + 6 + 6, "one line per request: {text}");
    for attribute in [handle(EXAMPLE_ID).as_str(), "TableName", "ExpressionAttributeValues"] {
        assert!(!text.contains(attribute), "a request to DynamoDB was logged: {text}");
    }
    for line in lines {
        // The metric filter in the template counts failures by these two fields.
        assert!(line["status"].is_u64() && line["version"] == "7", "{line}");
    }
    for secret in ["Zecret", &id, EXAMPLE_ID, "ada", "grace", "apple", "AKIA", "Signature"] {
        // The word `metadata` in error messages contains `ada`.
        let searched = text.replace("metadata", "");
        assert!(!searched.contains(secret), "{secret} in {text}");
    }
}

/// Returns all strings in a DynamoDB call, except for names.
fn attribute_values(parameters: &Value) -> Vec<String> {
    match parameters {
        Value::Array(values) => values.iter().flat_map(attribute_values).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("S" | "B" | "N", Value::String(value)) => vec![value.clone()],
                _ => attribute_values(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn failed_calls_are_logged_without_their_request() {
    let (log, _guard) = Log::capture(LevelFilter::TRACE);
    let mut secrets = vec![handle(EXAMPLE_ID), EXAMPLE_ID.to_owned(), "user-Zecret".to_owned()];
    let mut requests = 0;
    // Init would refuse these endpoints, but here the client gets them anyway.
    for invalid in ["localhost:8000", "http://user-Zecret:user-Zecret@", "http://a b", "no-url"] {
        let app = App::connect("sessions", invalid, Timeouts::Long);
        for event in every_request() {
            let response = app.send(event).header("session-user", "user-Zecret").await;
            assert!([400, 500, 503].contains(&response.status), "{invalid} {event}");
            requests += 1;
        }
    }
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for fault in [Garbage, Echo(200), Echo(400), Echo(403), Echo(500)] {
        for event in every_request() {
            proxy.inject(&[fault; 10]);
            let response = proxy.app.send(event).header("session-user", "user-Zecret").await;
            assert!([400, 500, 503].contains(&response.status), "{fault:?} {event}");
            requests += 1;
        }
    }
    secrets.extend(attribute_values(&proxy.take_parameters().into()));
    // Short values, such as a time to live, may appear in a log by coincidence.
    secrets.retain(|secret| secret.len() > 8);
    assert!(secrets.iter().any(|secret| secret.len() > 60), "no sealed data was sent");
    secrets.extend(["TableName", "Expression", "Credential", "Signature"].map(str::to_owned));
    let text = log.text();
    assert_eq!(log.lines().len(), requests, "one line per request: {text}");
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn dependencies_other_than_the_runtime_are_not_logged() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    tracing::error!(target: "aws_smithy_runtime_api::client", "dropped");
    tracing::error!(target: "hyper::proto", "dropped");
    tracing::warn!(target: "lambda_runtime::runtime", "dropped");
    tracing::error!(target: "lambda_runtime::runtime", "kept");
    let messages: Vec<_> = log.lines().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["kept"]);
}

#[tokio::test]
async fn requests_are_logged_as_one_line() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    app.send(READ).id("short").await;
    let mut lines = log.lines();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        assert!(line.remove("timestamp").unwrap().as_str().unwrap().ends_with('Z'));
        assert!(line.remove("ms").unwrap().is_u64());
    }
    let request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
    assert_eq!(
        lines,
        [
            json!({
                "level": "INFO", "version": "7",
                "request_id": request_id, "gateway_request_id": "U3KzvgYYliAEPzQ=",
                "route": "PUT /session", "status": 201, "capacity": 2.0, "retries": 0,
                "handle": "qPPzEUxs", "sample": 1,
            }),
            json!({
                "level": "INFO", "version": "7",
                "request_id": request_id, "gateway_request_id": "U3KzvgYYliAEPzQ=",
                "route": "GET /session", "status": 400, "capacity": 0.0, "retries": 0,
                "problem": "invalid-session-id", "sample": 1,
            }),
        ]
    );
}

#[tokio::test]
async fn only_a_sample_of_successes_is_logged() {
    // All requests have the same id. It ends in 8c3fcd, which is a multiple of 3 but not of 10.
    for (one_in, expected) in [(10, json!([[404, 1]])), (3, json!([[201, 3], [404, 1]]))] {
        let (log, _guard) = Log::capture(LevelFilter::INFO);
        let app = App::with_log_sample(one_in).await;
        assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
        assert_eq!(app.send(READ).id("another-id-than-the-examples").await.status, 404);
        let lines = log.lines();
        let logged: Vec<_> =
            lines.iter().map(|line| json!([line["status"], line["sample"]])).collect();
        assert_eq!(json!(logged), expected);
    }
}

#[tokio::test]
async fn failures_are_logged_as_one_line_with_their_cause() {
    let (log, _guard) = Log::capture(LevelFilter::ERROR);
    let app = App::connect("no-such-table", endpoint(), Timeouts::Long);
    app.send(READ).await;
    app.send(READ).id("short").await;
    let [line] = &log.lines()[..] else { panic!("{}", log.text()) };
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["status"], 500);
    assert_eq!(line["version"], "7");
    assert_eq!(line["problem"], "internal");
    let cause = line["cause"].as_str().unwrap();
    assert!(cause.starts_with("DynamoDB refused the call: "), "{cause}");
    assert!(cause.contains("ResourceNotFoundException"), "{cause}");
}

#[tokio::test]
async fn malformed_gateway_request_ids_are_not_logged() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let app = App::new().await;
    app.send(READ)
        .edit_event(|event| event["requestContext"]["requestId"] = "two words".into())
        .await;
    assert_eq!(log.lines()[0].get("gateway_request_id"), None);
}

#[tokio::test]
async fn create_logs_the_handle_of_the_new_session() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let app = App::new().await;
    let created = app.send(CREATE).await;
    assert_eq!(log.lines()[0]["handle"], handle(created.header("Session-Id"))[..8]);
}
