//! What every endpoint gets.

use tokio::time::Instant;

use super::problem::Problem;
use super::request::Request;
use crate::session::{Limits, LockCondition, LockToken, Timestamp, WriteId};
use crate::store::{SessionStore, Write};

/// A request with the store, the limits, and the clock. Deliberately not `Debug`: that would print ids
/// and data.
pub(super) struct RequestContext {
    /// Method and path of the route.
    pub(super) route: &'static str,
    pub(super) request: Request,
    pub(super) store: SessionStore,
    pub(super) limits: Limits,
    /// When the request arrived. Endpoints that never wait can use this as the current time.
    pub(super) arrived_at: Timestamp,
    /// The same moment on the monotonic clock.
    pub(super) started: Instant,
}

impl RequestContext {
    /// Returns the current time: arrival plus elapsed time. Use it after any wait.
    pub(super) fn now(&self) -> Timestamp {
        self.arrived_at.after(self.started.elapsed())
    }

    /// Reads what all writes have in common: everything but the data.
    pub(super) fn write(&self, lock: LockCondition) -> Result<Write, Problem> {
        let attributes = self.request.attribute_changes(&self.limits)?;
        Ok(Write { id: self.write_id()?, attributes, lock })
    }

    /// Returns the request's write id. If the request has an idempotency key, its retries get the same write id. A
    /// request with the same key but a different route, body, or media type isn't a retry.
    pub(super) fn write_id(&self) -> Result<WriteId, Problem> {
        match self.request.idempotency_key()? {
            None => Ok(WriteId::generate()?),
            Some(key) => {
                let route = self.route.as_bytes();
                let media_type = self.request.media_type()?;
                let kind = media_type.as_str().as_bytes();
                let request = [route, key.expose().as_bytes(), kind, self.request.body()];
                Ok(WriteId::derive(self.request.session_id()?, &request))
            }
        }
    }

    /// Returns the token for a lock that the request takes. If the request has an idempotency key, its retries get the
    /// same token.
    pub(super) fn lock_token(&self) -> Result<LockToken, Problem> {
        match self.request.idempotency_key()? {
            None => Ok(LockToken::generate()?),
            Some(key) => {
                let id = self.request.session_id()?;
                Ok(LockToken::derive(id, &[key.expose().as_bytes()]))
            }
        }
    }
}
