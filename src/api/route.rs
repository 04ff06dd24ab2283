//! The table of routes. `docs/openapi.yaml` describes the same routes; a test compares the two.

use futures_util::future::BoxFuture;

use super::context::RequestContext;
use super::header::{
    IF_MATCH, IF_NONE_MATCH, SESSION_GRACE, SESSION_ID, SESSION_LABEL, SESSION_LEASE,
    SESSION_LIMIT, SESSION_LOCK, SESSION_NEW_ID, SESSION_TTL, SESSION_UNLOCK, SESSION_USER,
    SESSION_WAIT,
};
use super::problem::Problem;
use super::response::Response;
use super::{create, destroy, lock, patch, read, replace, rotate, touch, users};

/// A Lambda function, with its own binary and role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Reads sessions.
    Read,
    /// Creates and changes sessions.
    Write,
    /// Ends sessions.
    Destroy,
}

use Function::{Destroy, Read, Write};

type Endpoint = for<'a> fn(&'a RequestContext) -> BoxFuture<'a, Result<Response, Problem>>;

/// A route: a method on a path.
pub struct Route {
    /// Method and path, the way API Gateway writes them.
    pub key: &'static str,
    /// The function that serves the route.
    pub function: Function,
    pub(super) endpoint: Endpoint,
    /// The `Session-*` headers and preconditions that the route accepts. If we ignored any others, it would look as
    /// if they had worked.
    pub headers: &'static [&'static str],
}

const fn route(
    key: &'static str,
    function: Function,
    endpoint: Endpoint,
    headers: &'static [&'static str],
) -> Route {
    Route { key, function, endpoint, headers }
}

/// Every route.
#[rustfmt::skip]
pub static ROUTES: [Route; 13] = [
    route("POST /session", Write, |c| Box::pin(create::post(c)),
        &[SESSION_TTL, SESSION_USER, SESSION_LABEL]),
    route("GET /session", Read, |c| Box::pin(read::get(c)),
        &[SESSION_ID, IF_MATCH, IF_NONE_MATCH]),
    route("HEAD /session", Read, |c| Box::pin(read::head(c)),
        &[SESSION_ID, IF_MATCH, IF_NONE_MATCH]),
    route("PUT /session", Write, |c| Box::pin(replace::put(c)),
        &[SESSION_ID, IF_MATCH, IF_NONE_MATCH, SESSION_TTL, SESSION_USER, SESSION_LABEL, SESSION_LOCK, SESSION_UNLOCK]),
    route("PATCH /session", Write, |c| Box::pin(patch::patch(c)),
        &[SESSION_ID, IF_MATCH, SESSION_TTL, SESSION_USER, SESSION_LABEL, SESSION_LOCK, SESSION_UNLOCK]),
    route("DELETE /session", Destroy, |c| Box::pin(destroy::delete(c)),
        &[SESSION_ID, IF_MATCH]),
    route("POST /session/touch", Write, |c| Box::pin(touch::post(c)),
        &[SESSION_ID, IF_MATCH, SESSION_TTL, SESSION_USER, SESSION_LABEL, SESSION_UNLOCK]),
    route("POST /session/rotate", Write, |c| Box::pin(rotate::post(c)),
        &[SESSION_ID, SESSION_NEW_ID, IF_MATCH, SESSION_TTL, SESSION_USER, SESSION_LABEL, SESSION_GRACE, SESSION_LOCK, SESSION_UNLOCK]),
    route("POST /session/lock", Write, |c| Box::pin(lock::post(c)),
        &[SESSION_ID, SESSION_TTL, SESSION_LEASE, SESSION_WAIT, SESSION_LOCK]),
    route("DELETE /session/lock", Write, |c| Box::pin(lock::delete(c)),
        &[SESSION_ID, SESSION_UNLOCK]),
    route("GET /sessions", Read, |c| Box::pin(users::get(c)),
        &[SESSION_USER, SESSION_ID]),
    route("DELETE /sessions", Destroy, |c| Box::pin(users::delete_all(c)),
        &[SESSION_USER, SESSION_ID, SESSION_LIMIT]),
    route("DELETE /sessions/{handle}", Destroy, |c| Box::pin(users::delete_one(c)),
        &[SESSION_USER]),
];

/// Returns the problem for a request that matches none of this function's routes. It names those of the API, or of
/// the function if the request came over the function's URL.
pub(super) fn not_found(function: Function, is_over_url: bool) -> Problem {
    let is_known =
        |route: &&Route| !is_over_url || route.function == function && route.is_for_urls();
    Problem::RouteNotFound {
        known: ROUTES.iter().filter(is_known).map(|route| route.key).collect(),
    }
}

impl Route {
    /// Whether function URLs serve the route. IAM can't tell a URL's routes apart, and whoever may use sessions must not
    /// list or end all those of a user.
    pub(super) fn is_for_urls(&self) -> bool {
        !self.key.contains("/sessions")
    }

    pub(super) fn find(key: &str) -> Option<&'static Self> {
        ROUTES.iter().find(|route| route.key == key)
    }

    /// Finds the route for a method and path that no gateway has matched.
    pub(super) fn matching(method: &str, path: &str) -> Option<&'static Self> {
        let key = match path.strip_prefix("/sessions/") {
            Some(handle) if !handle.is_empty() && !handle.contains('/') => {
                format!("{method} /sessions/{{handle}}")
            }
            _ => format!("{method} {path}"),
        };
        Self::find(&key)
    }
}
