//! Destroys a session.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::Sent;
use super::condition;
use super::error::StoreError;
use super::item::{self, SealedSession};
use crate::session::{ETagCondition, MAX_CLOCK_SKEW, SessionId, Timestamp};

impl SessionStore {
    /// Destroys a session that was created before the request arrived (one `DeleteItem`, and one `GetItem` if the
    /// id was rotated away with a grace period). Succeeds if there's no such session.
    ///
    /// # Errors
    /// [`StoreError::ETagMismatch`] if the data doesn't have the required version; [`StoreError::NotFound`] if the
    /// session was rotated to another id and is live there.
    pub async fn destroy(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = condition::if_absent_or_matching(required, self.liveness(now));
        let sent = self.delete_item(id.handle(), condition, ReturnValue::None).await?;
        let Sent::Refused { item: Some(item), is_in_doubt } = sent else {
            return Ok(());
        };
        let created = item::lifetime(&item)?.created;
        if created.since(now) > MAX_CLOCK_SKEW {
            // A new session was created under the id after the request arrived.
            return Ok(());
        }
        // If the session is only slightly newer than the request, the clock of the machine that created it may just be
        // ahead: clock skew must not turn a logout into a no-op. And an earlier attempt whose outcome is unknown may
        // have destroyed another session before this one was created.
        if created > now || is_in_doubt {
            return Err(StoreError::OutcomeUnknown);
        }
        match item::successor(&item)? {
            None => Err(StoreError::ETagMismatch(Box::new(SealedSession(item)))),
            Some(_) if self.is_grace_over(id.handle(), &item, now).await? => Ok(()),
            Some(_) => Err(StoreError::NotFound),
        }
    }
}
