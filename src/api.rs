//! The HTTP API: routes each event, returns the response, and logs the request.

mod context;
mod create;
mod destroy;
mod header;
mod lock;
mod log;
mod merge;
mod patch;
mod payload;
mod problem;
mod read;
mod replace;
mod request;
mod response;
mod retry;
mod rotate;
mod route;
mod touch;
mod users;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use tokio::time::Instant;

use crate::config::Config;
use crate::session::{Limits, Timestamp};
use crate::store::{SessionStore, StoreError};
use context::RequestContext;
use log::RequestLog;
use problem::Problem;
use response::Response;

pub use payload::Event;
pub use route::{Function, ROUTES, Route};

/// The API, backed by one table.
#[derive(Debug)]
pub struct Api {
    store: SessionStore,
    limits: Limits,
    /// One in this many successful requests is logged.
    log_sample: u32,
}

/// What Lambda tells us about an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Lambda's request id.
    pub request_id: &'a str,
    /// The function's version.
    pub version: &'a str,
    /// How long the response may take.
    pub time: Duration,
}

impl Api {
    /// Returns an API backed by the configured table.
    pub fn new(client: Client, config: &Config) -> Self {
        let store = SessionStore::new(client, &config.table, config.limits);
        Self { store, limits: config.limits, log_sample: config.log_sample }
    }

    /// Opens the connection to DynamoDB that the first request will use.
    ///
    /// # Errors
    /// Any error from the store. The first request then opens its own connection.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        self.store.warm_up().await
    }

    /// Responds to an event as this function, and logs the request.
    ///
    /// Every event gets a response, within `invocation.time`.
    pub async fn respond(
        &self,
        function: Function,
        event: Event,
        invocation: Invocation<'_>,
        arrived_at: Timestamp,
    ) -> ApiGatewayV2httpResponse {
        let started = Instant::now();
        let store = self.store.for_request(arrived_at);
        let Event { route, is_over_url, gateway_request_id, request } = event;
        let mut handle = None;
        let own = route.filter(|route| route.function == function);
        let result = match (own, request) {
            (None, _) => Err(route::not_found(function, is_over_url)),
            (Some(_), Err(problem)) => Err(problem),
            (Some(route), Ok(request)) => {
                handle = request.session_id().ok().map(|id| id.handle().clone());
                let (store, limits) = (store.clone(), self.limits);
                let context = RequestContext {
                    route: route.key,
                    request,
                    store,
                    limits,
                    arrived_at,
                    started,
                };
                let respond = async {
                    context.request.accept_only(route.headers)?;
                    (route.endpoint)(&context).await
                };
                match tokio::time::timeout(invocation.time, respond).await {
                    Ok(result) => result.or_else(|problem| prefer_data(problem, &context)),
                    Err(elapsed) => Err(Problem::StoreUnavailable(elapsed.into())),
                }
            }
        };
        let (response, problem) = match result {
            Ok(response) => (response, None),
            Err(problem) => {
                // Not `arrived_at`: the request may have waited for a lock.
                let now = arrived_at.after(started.elapsed());
                (problem.respond(now, gateway_request_id.as_deref()), Some(problem))
            }
        };
        RequestLog {
            request_id: invocation.request_id,
            version: invocation.version,
            gateway_request_id: gateway_request_id.as_deref(),
            route: route.map(|route| route.key),
            status: response.http.status().as_u16(),
            elapsed: started.elapsed(),
            usage: store.usage(),
            handle: response.new_handle.as_ref().or(handle.as_ref()),
            problem: problem.as_ref(),
        }
        .write(self.log_sample);
        payload::response(response)
    }
}

/// Replaces a problem with the session's current representation if the request prefers that.
fn prefer_data(problem: Problem, context: &RequestContext) -> Result<Response, Problem> {
    let request = &context.request;
    match request.session_id() {
        Ok(id) if request.prefers_representation() => {
            problem.with_current_representation(id, &context.limits, context.now())
        }
        _ => Err(problem),
    }
}
