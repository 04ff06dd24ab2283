//! Destruction of a session.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::Sent;
use super::condition;
use super::error::StoreError;
use super::item::{self, SealedSession};
use crate::session::{ETagCondition, MAX_CLOCK_SKEW, SessionId, Timestamp};

impl SessionStore {
    /// Destroys a session that was created before the request arrived (one `DeleteItem`, and one `GetItem`
    /// for an id that was rotated away with a grace). It succeeds if none exists.
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
        let sent = self.delete_item(id.handle(), condition, ReturnValue::None).await?;
        let Sent::Refused { item: Some(item), is_in_doubt } = sent else {
            return Ok(());
        };
        let created = item::lifetime(&item)?.created;
        if created.since(now) > MAX_CLOCK_SKEW {
            // The session was created again after the request arrived.
            return Ok(());
        }
        // If it is newer by less, the clock of the machine that created it may be ahead: clock skew must not
        // turn a logout into a no-op. And an earlier attempt may have destroyed another session, before this
        // one was created.
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
