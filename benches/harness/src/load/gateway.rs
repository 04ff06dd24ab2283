//! API Gateway's throttling, and what a caller sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use serde_json::Value;

use super::bucket::Bucket;
use super::lambda::{Invocation, Lambda};
use super::lock;
use super::quotas::{Quotas, Throttle};
use super::recording::Outcome;

/// A stack: an HTTP API in front of its functions.
pub(crate) struct Gateway {
    route: Throttle,
    routes: Mutex<BTreeMap<String, Arc<Bucket>>>,
    account: Bucket,
    pub(crate) lambda: Lambda,
}

/// A response as a caller sees it.
pub(crate) struct Response {
    pub(crate) outcome: Outcome,
    pub(crate) status: u64,
    pub(crate) headers: Value,
    pub(crate) body: String,
}

impl Response {
    fn refused(outcome: Outcome, status: u64) -> Self {
        Self { outcome, status, headers: Value::Null, body: String::new() }
    }

    /// Returns a header, or an error that contains the response.
    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        self.headers[name]
            .as_str()
            .with_context(|| format!("no {name} in a response {}: {}", self.status, self.body))
    }
}

impl Gateway {
    pub(crate) fn new(lambda: Lambda, quotas: &Quotas) -> Self {
        Self {
            route: quotas.route,
            routes: Mutex::default(),
            account: Bucket::new(quotas.account.rate, quotas.account.burst),
            lambda,
        }
    }

    /// Sends a request through the limits of the stack, API Gateway, Lambda and DynamoDB.
    pub(crate) async fn send(&self, route: &str, function: &str, event: &Bytes) -> Response {
        if !self.bucket(route).take() {
            return Response::refused(Outcome::RefusedByRoute, 429);
        }
        if !self.account.take() {
            return Response::refused(Outcome::RefusedByAccount, 429);
        }
        let response = match self.lambda.invoke(function, event).await {
            Ok(Invocation::Throttled) => return Response::refused(Outcome::RefusedByLambda, 503),
            Ok(Invocation::Response(payload)) => parse(&payload),
            Err(error) => Err(error),
        };
        response.unwrap_or_else(|error| {
            let body = format!("{error:#}");
            Response { body, ..Response::refused(Outcome::Failed, 500) }
        })
    }

    fn bucket(&self, route: &str) -> Arc<Bucket> {
        let mut routes = lock(&self.routes);
        let new = || Arc::new(Bucket::new(self.route.rate, self.route.burst));
        routes.entry(route.to_owned()).or_insert_with(new).clone()
    }
}

/// Parses the response of a function.
fn parse(payload: &[u8]) -> Result<Response> {
    let mut response: Value = serde_json::from_slice(payload)?;
    let status = response["statusCode"].as_u64().context("the response has no statusCode")?;
    let body = response["body"].as_str().unwrap_or_default().to_owned();
    let outcome = match status {
        200..300 | 412 | 423 => Outcome::Served,
        503 if body.contains("store-throttled") => Outcome::RefusedByDynamoDb,
        503 if body.contains("store-unavailable") => Outcome::TimedOut,
        _ => Outcome::Failed,
    };
    Ok(Response { outcome, status, headers: response["headers"].take(), body })
}
