//! The log line of a request.

use std::time::Duration;

use super::problem::Problem;
use super::route::Route;
use crate::logging;
use crate::session::Handle;
use crate::store::Usage;

/// The line that a request leaves in the log. The template counts failures by `status` and `version`.
///
/// Only these fields are logged: no id, no token, no user and no data. The path is not logged either,
/// because a caller may have put one of them into it.
pub(super) struct RequestLog<'a> {
    pub(super) request_id: &'a str,
    pub(super) version: &'a str,
    pub(super) gateway_request_id: Option<&'a str>,
    pub(super) route: Option<Route>,
    pub(super) status: u16,
    pub(super) elapsed: Duration,
    pub(super) usage: Usage,
    pub(super) handle: Option<&'a Handle>,
    pub(super) problem: Option<&'a Problem>,
}

impl RequestLog<'_> {
    /// Writes the line: as an error with its cause if the request failed, else as information.
    pub(super) fn write(self) {
        let Self { request_id, version, gateway_request_id, status, .. } = self;
        let route = self.route.map_or("none", Route::key);
        let ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let capacity = self.usage.capacity;
        let retries = self.usage.retries();
        let handle = self.handle.map(Handle::prefix);
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
