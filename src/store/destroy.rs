//! Destruction of a session.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::Refusal;
use super::condition;
use super::error::StoreError;
use super::item::{self, SealedSession};
use crate::session::{ETagCondition, MAX_CLOCK_SKEW, SessionId, Timestamp};

impl SessionStore {
    /// Destroys a session that was created by `now` (one `DeleteItem`). It succeeds if none exists.
    ///
    /// # Errors
    /// [`StoreError::ETagMismatch`] if the data does not have the required version;
    /// [`StoreError::NotFound`] if the session was rotated to another id and is live there.
    pub async fn destroy(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = condition::if_absent_or_matching(required, self.liveness(now));
        match self.delete_item(id.handle(), condition, ReturnValue::None).await? {
            Ok(_) => Ok(()),
            Err(refusal) => refused(refusal, required, now),
        }
    }
}

/// Returns the outcome of a refused destruction.
fn refused(refusal: Refusal, required: &ETagCondition, now: Timestamp) -> Result<(), StoreError> {
    let Refusal { item: Some(item), is_in_doubt } = refusal else {
        return Ok(());
    };
    let created = item::lifetime(&item)?.created;
    let is_newer = created > now;
    if is_newer && *required == ETagCondition::Any {
        // The session was created again after the request arrived, or the clock of the machine that
        // created it is ahead. Clock skew must not turn a logout into a no-op.
        let is_new = created.since(now) > MAX_CLOCK_SKEW;
        return if is_new { Ok(()) } else { Err(StoreError::OutcomeUnknown) };
    }
    // An earlier attempt may have destroyed another session, before this one was created.
    if is_in_doubt || (is_newer && required.matches(&item::etag(&item)?)) {
        return Err(StoreError::OutcomeUnknown);
    }
    match item::successor(&item)? {
        Some(_) => Err(StoreError::NotFound),
        None => Err(StoreError::ETagMismatch(Box::new(SealedSession(item)))),
    }
}
