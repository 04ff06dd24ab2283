//! Destruction of a session.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::Refusal;
use super::condition;
use super::error::StoreError;
use super::item::{self, SealedSession};
use crate::session::{ETagCondition, SessionId, Timestamp};

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
    let is_newer = item::created(&item)? > now;
    if is_newer && *required == ETagCondition::Any {
        // Another request created the session again. What this request was to destroy is gone.
        return Ok(());
    }
    if is_newer && (is_in_doubt || required.matches(&item::etag(&item)?)) {
        // An earlier attempt may have destroyed the former session; or the clocks of two machines
        // differ.
        return Err(StoreError::OutcomeUnknown);
    }
    match item::successor(&item)? {
        Some(_) => Err(StoreError::NotFound),
        None => Err(StoreError::ETagMismatch(Box::new(SealedSession(item)))),
    }
}
