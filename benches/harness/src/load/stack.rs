//! A stack with its table, and the requests that scenarios send it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::gateway::{Gateway, Response};
use super::lambda::{Invocation, Lambda};
use super::quotas::Quotas;
use super::recording::{Outcome, Recording};
use super::table_limits::TableLimits;
use crate::Directories;
use crate::dynamodb::DynamoDb;
use crate::program::Programs;
use crate::subject::{CREATE, READ, REPLACE, event, set_body};

const LIST: &str = include_str!("../../../../events/list.json");
/// The user in that event.
pub(crate) const USER: &str = "ada";
/// Maximum number of concurrent calls that prepare or check a scenario.
const CONCURRENCY: usize = 4;

/// A freshly deployed stack, whose functions have no environments yet.
pub(crate) struct Stack {
    pub(crate) gateway: Gateway,
    pub(crate) table: Arc<TableLimits>,
    /// The same functions without limits, to prepare a scenario and check its result.
    unlimited: Lambda,
    has_failed: AtomicBool,
    _certificates: tempfile::TempDir,
}

/// A request to the API.
pub(crate) struct Request {
    route: String,
    function: &'static str,
    event: Bytes,
}

impl Request {
    fn new(function: &'static str, text: &str, change: impl FnOnce(&mut Value)) -> Result<Self> {
        let event = event(text, change)?;
        let route = serde_json::from_slice::<Value>(&event)?["routeKey"].take();
        let route = route.as_str().context("the event has no routeKey")?.to_owned();
        Ok(Self { route, function, event })
    }

    /// `PUT /session` with `If-None-Match: *`.
    pub(crate) fn create(id: &str, user: Option<&str>, data: &str) -> Result<Self> {
        Self::new("write", CREATE, |event| {
            set_body(event, data);
            let headers = &mut event["headers"];
            headers["session-id"] = id.into();
            match user {
                Some(user) => headers["session-user"] = user.into(),
                None => drop(headers.as_object_mut().map(|all| all.remove("session-user"))),
            }
        })
    }

    /// `GET /session`.
    pub(crate) fn read(id: &str) -> Result<Self> {
        Self::new("read", READ, |event| event["headers"]["session-id"] = id.into())
    }

    /// `PUT /session` with additional headers.
    pub(crate) fn replace(id: &str, data: &str, headers: &[(&str, &str)]) -> Result<Self> {
        Self::new("write", REPLACE, |event| {
            set_body(event, data);
            event["headers"]["session-id"] = id.into();
            for (name, value) in headers {
                event["headers"][name] = (*value).into();
            }
        })
    }

    /// `POST /session/lock`, which waits for the lock.
    pub(crate) fn lock(id: &str, wait_seconds: u64) -> Result<Self> {
        Self::new("write", READ, |event| {
            event["routeKey"] = "POST /session/lock".into();
            event["headers"]["session-id"] = id.into();
            event["headers"]["session-wait"] = wait_seconds.to_string().into();
        })
    }

    /// `GET /sessions` of [`USER`].
    pub(crate) fn list() -> Result<Self> {
        Self::new("read", LIST, |_| ())
    }

    /// `DELETE /sessions` of [`USER`].
    pub(crate) fn revoke_all() -> Result<Self> {
        Self::new("destroy", LIST, |event| {
            event["routeKey"] = "DELETE /sessions".into();
            drop(event["headers"].as_object_mut().map(|all| all.remove("session-id")));
        })
    }
}

impl Stack {
    /// Starts a stack with its own table, and `environments` spare processes each for `read` and `write`. The table's
    /// limits aren't enforced yet.
    pub(crate) async fn start(
        functions: &Path,
        quotas: &Quotas,
        environments: usize,
    ) -> Result<Arc<Self>> {
        let table = Arc::new(TableLimits::new(quotas));
        let dynamodb = DynamoDb::start(Some(table.clone())).await?;
        let certificates = tempfile::tempdir()?;
        let functions = functions.to_owned();
        let directories = Directories { functions, ..Directories::default() };
        let programs = Programs::new(&directories, &dynamodb, certificates.path())?;
        let unlimited = Quotas { concurrency: 1e6, growth: 1e6, ..quotas.clone() };
        let lambda = Lambda::new(&programs, quotas);
        for function in ["read", "write"] {
            lambda.prepare(function, environments).await?;
        }
        Ok(Arc::new(Self {
            gateway: Gateway::new(lambda, quotas),
            table,
            unlimited: Lambda::new(&programs, &unlimited),
            has_failed: AtomicBool::new(false),
            _certificates: certificates,
        }))
    }

    /// Resets the counts of environments and capacity.
    pub(crate) fn reset_counts(&self) {
        self.gateway.lambda.reset_counts();
        self.table.reset_counts();
    }

    /// Sends a request that is due now, and records it.
    pub(crate) async fn send(&self, recording: &Recording, request: Request) -> Response {
        self.record(recording, request, Instant::now()).await
    }

    /// Sends a request that was due at `due`, and counts its latency from then.
    pub(crate) async fn send_due(
        &self,
        recording: &Recording,
        request: Request,
        due: Instant,
    ) -> Response {
        recording.sent(due);
        self.record(recording, request, due).await
    }

    async fn record(&self, recording: &Recording, request: Request, due: Instant) -> Response {
        let Request { route, function, event } = request;
        let response = self.gateway.send(&route, function, &event).await;
        recording.record(&route, due, response.outcome);
        if response.outcome == Outcome::Failed && !self.has_failed.swap(true, Ordering::Relaxed) {
            println!("  the first failure, of {route}: {} {}", response.status, response.body);
        }
        response
    }

    /// Creates sessions with the same data, without limits.
    pub(crate) async fn create(
        &self,
        ids: &[String],
        user: Option<&str>,
        data: &str,
    ) -> Result<()> {
        let requests: Result<Vec<_>> =
            ids.iter().map(|id| Request::create(id, user, data)).collect();
        self.call_unlimited(requests?, 201).await?;
        Ok(())
    }

    /// Returns the data of sessions, read without limits.
    pub(crate) async fn read(&self, ids: &[String]) -> Result<Vec<String>> {
        let requests: Result<Vec<_>> = ids.iter().map(|id| Request::read(id)).collect();
        self.call_unlimited(requests?, 200).await
    }

    /// Returns the list of the user's sessions, read without limits.
    pub(crate) async fn list(&self) -> Result<String> {
        let lists = self.call_unlimited(vec![Request::list()?], 200).await?;
        lists.into_iter().next().context("no list")
    }

    async fn call_unlimited(&self, requests: Vec<Request>, expected: u64) -> Result<Vec<String>> {
        let calls = requests.into_iter().map(async |request| {
            let called = self.unlimited.invoke(request.function, &request.event).await?;
            let Invocation::Response(payload) = called else {
                anyhow::bail!("{} was throttled", request.route);
            };
            let response: Value = serde_json::from_slice(&payload)?;
            let body = response["body"].as_str().unwrap_or_default();
            ensure!(response["statusCode"] == expected, "{}: {response}", request.route);
            Ok(body.to_owned())
        });
        stream::iter(calls).buffered(CONCURRENCY).try_collect().await
    }
}
