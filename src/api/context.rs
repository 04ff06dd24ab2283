//! What an endpoint works with.

use tokio::time::Instant;

use super::request::Request;
use crate::config::Limits;
use crate::session::Timestamp;
use crate::store::SessionStore;

/// A request with the store, the limits and the clock. It has no `Debug`, which would print ids and
/// data.
pub struct RequestContext {
    pub(super) request: Request,
    pub(super) store: SessionStore,
    pub(super) limits: Limits,
    /// When the request arrived. Use it to judge whether a session is live, and in the response of an
    /// endpoint that does not wait.
    pub(super) arrived_at: Timestamp,
    /// The arrival on the monotonic clock.
    pub(super) started: Instant,
}

impl RequestContext {
    /// Returns the current time: arrival plus elapsed time. Use it after any wait.
    pub(super) fn now(&self) -> Timestamp {
        self.arrived_at.after(self.started.elapsed())
    }
}
