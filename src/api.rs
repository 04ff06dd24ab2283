//! The HTTP API: which function answers which route, and the one place that logs a request.

mod create;
mod destroy;
mod event;
mod headers;
mod lock;
mod patch;
mod problem;
mod read;
mod replace;
mod response;
mod rotate;
mod route;
mod sessions;
mod touch;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use lambda_http::http::StatusCode;

use crate::config::{Config, Limits};
use crate::logging;
use crate::session::{Handle, Timestamp};
use crate::store::{FirstCall, SessionStore, StoreError, Usage};
use event::Request;
use headers::PREFERENCE_APPLIED;

pub use event::{Event, Reply};
pub use problem::Problem;
pub use response::Response;
pub use route::Route;

/// The sessions and their limits: what every endpoint works with.
#[derive(Debug)]
pub struct Api {
    store: SessionStore,
    limits: Limits,
}

/// What Lambda says of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// Version of the function that it runs.
    pub version: &'a str,
    /// How long the answer may take.
    pub time: Duration,
}

/// One request to one route, with all that its endpoint needs to answer it. Like the request and the
/// answer it has no `Debug`, which would print ids and data.
pub struct Call {
    request: Request,
    store: SessionStore,
    limits: Limits,
    /// When the request arrived.
    now: Timestamp,
    started: Instant,
}

impl Call {
    /// The time by now, for what has waited.
    fn later(&self) -> Timestamp {
        self.now.after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Puts the data that won in the place of the problem, for a caller that prefers it.
    fn or_winner(&self, problem: Problem) -> Result<Response, Problem> {
        match problem {
            Problem::ETagMismatch(found) | Problem::SessionExists(found)
                if self.request.headers.prefers_representation() =>
            {
                let session = found.open(&self.request.headers.session_id()?)?;
                Ok(Response::new(StatusCode::PRECONDITION_FAILED)
                    .with_metadata(&session.metadata, self.now)
                    .with(PREFERENCE_APPLIED, "return=representation")
                    .with_body(session.data))
            }
            problem => Err(problem),
        }
    }
}

/// What the function `read` answers.
///
/// # Errors
/// [`Problem`], which says itself how it is answered.
pub async fn read(route: Route, call: &Call) -> Result<Response, Problem> {
    match route {
        Route::Read => read::get(call).await,
        Route::Head => read::head(call).await,
        Route::List => sessions::get(call).await,
        _ => Err(Problem::RouteNotFound),
    }
}

/// What the function `write` answers.
///
/// # Errors
/// [`Problem`], which says itself how it is answered.
pub async fn write(route: Route, call: &Call) -> Result<Response, Problem> {
    match route {
        Route::Create => create::post(call).await,
        Route::Replace => replace::put(call).await,
        Route::Patch => patch::patch(call).await,
        Route::Touch => touch::post(call).await,
        Route::Lock => lock::post(call).await,
        Route::Unlock => lock::delete(call).await,
        _ => Err(Problem::RouteNotFound),
    }
}

/// What the function `rotate` answers.
///
/// # Errors
/// [`Problem`], which says itself how it is answered.
pub async fn rotate(route: Route, call: &Call) -> Result<Response, Problem> {
    match route {
        Route::Rotate => rotate::post(call).await,
        _ => Err(Problem::RouteNotFound),
    }
}

/// What the function `destroy` answers.
///
/// # Errors
/// [`Problem`], which says itself how it is answered.
pub async fn destroy(route: Route, call: &Call) -> Result<Response, Problem> {
    match route {
        Route::Destroy => destroy::delete(call).await,
        Route::RevokeAll => sessions::delete_all(call).await,
        Route::Revoke => sessions::delete_one(call).await,
        _ => Err(Problem::RouteNotFound),
    }
}

impl Api {
    /// An API over the table that the configuration names.
    pub fn new(client: Client, config: &Config) -> Self {
        Self { store: SessionStore::new(client, &config.table), limits: config.limits }
    }

    /// Makes the connection to DynamoDB, so that the first request finds it made.
    ///
    /// # Errors
    /// Those of the store. The first request will try again.
    pub async fn connect(&self, by: FirstCall) -> Result<(), StoreError> {
        self.store.connect(by).await
    }

    /// Answers a request with one of the functions above, and logs it.
    ///
    /// Whatever the event holds, there is an answer, and it is there before `invocation.time` is up.
    pub async fn answer<F>(
        &self,
        function: F,
        event: Event,
        invocation: Invocation<'_>,
        now: Timestamp,
    ) -> Reply
    where
        F: AsyncFn(Route, &Call) -> Result<Response, Problem>,
    {
        let started = Instant::now();
        let store = self.store.metered_anew();
        let gateway_request_id = event.gateway_request_id().map(str::to_owned);
        let gateway_request_id = gateway_request_id.as_deref();
        let route = event.route();
        let mut id = None;
        let answer = match (route, event.into_request()) {
            (None, _) => Err(Problem::RouteNotFound),
            (Some(_), Err(problem)) => Err(problem),
            (Some(route), Ok(request)) => {
                id = request.headers.session_id().ok();
                let limits = self.limits;
                let call = Call { request, store: store.clone(), limits, now, started };
                match tokio::time::timeout(invocation.time, function(route, &call)).await {
                    Ok(answer) => answer.or_else(|problem| call.or_winner(problem)),
                    Err(elapsed) => Err(Problem::StoreUnavailable(elapsed.into())),
                }
            }
        };
        let (response, problem) = match answer {
            Ok(response) => (response, None),
            Err(problem) => {
                // `Retry-After` counts from the response, which may have waited for a lock.
                let now = now.after(started.elapsed());
                (problem.respond(now, gateway_request_id), Some(problem))
            }
        };
        let handle = response.session_id().or(id).map(|id| id.handle());
        Line {
            request_id: invocation.request_id,
            version: invocation.version,
            gateway_request_id,
            route: route.map_or("none", Route::key),
            status: response.status.as_u16(),
            ms: started.elapsed().as_millis(),
            usage: store.usage(),
            handle: handle.as_ref().map(Handle::prefix),
            problem: problem.as_ref(),
        }
        .log();
        response.into()
    }
}

/// The line that a request leaves in the log. The template counts failures by `status` and `version`.
/// What is not a field here is not logged: no id, no token, no user, no data, and no path, which
/// somebody may have put one of them into.
struct Line<'a> {
    request_id: &'a str,
    version: &'a str,
    gateway_request_id: Option<&'a str>,
    route: &'static str,
    status: u16,
    ms: u128,
    usage: Usage,
    handle: Option<&'a str>,
    problem: Option<&'a Problem>,
}

impl Line<'_> {
    fn log(self) {
        let Self { request_id, version, gateway_request_id, route, status, handle, .. } = self;
        let ms = u64::try_from(self.ms).unwrap_or(u64::MAX);
        let capacity = self.usage.capacity;
        let retries = self.usage.retries();
        let problem = self.problem.map(Problem::code);
        match self.problem.and_then(Problem::cause) {
            None => tracing::info!(
                request_id,
                version,
                gateway_request_id,
                route,
                status,
                ms,
                capacity,
                retries,
                handle,
                problem,
            ),
            Some(cause) => tracing::error!(
                request_id, version, gateway_request_id, route, status, ms, capacity, retries,
                handle, problem,
                cause = %logging::chain(cause.as_ref()),
            ),
        }
    }
}
