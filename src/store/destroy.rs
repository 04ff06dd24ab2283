//! Destruction of a session.

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use crate::session::{ETagCondition, SessionId, Timestamp};

impl SessionStore {
    /// Destroys a session (one `DeleteItem`). It succeeds if none exists.
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
        let condition = condition::if_absent_or_matching(required, now);
        match self.delete_item(id.handle(), condition).await? {
            WriteOutcome::Applied(_) => Ok(()),
            WriteOutcome::Refused(item) => Err(condition::reason_not_matching(item)),
        }
    }
}
