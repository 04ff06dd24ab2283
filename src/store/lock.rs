//! The lock of a session: a lease, which expires unless its holder releases it.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::Requirements;
use super::error::StoreError;
use super::item::{self, LOCK, LOCK_UNTIL};
use crate::session::{ETagCondition, LockCondition, LockToken, Session, SessionId, Timestamp};

impl SessionStore {
    /// Takes the lock for the duration of a lease, and reads the session (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`]. After [`StoreError::Corrupt`], the lock is
    /// taken and expires with its lease.
    pub async fn lock(
        &self,
        id: &SessionId,
        token: &LockToken,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        let lock = &LockCondition::NotLocked;
        let required = Requirements { etag: &ETagCondition::Any, lock, now };
        let update = required
            .condition()
            .set(LOCK, item::text(token.expose()))
            .set(LOCK_UNTIL, item::number(now.after(lease).millis()));
        match self.update_item(id.handle(), update, ReturnValue::AllNew).await? {
            WriteOutcome::Applied(item) => Ok(item::open(id, item)?),
            // An earlier attempt took the lock, and its response was lost.
            WriteOutcome::Refused(Some(item))
                if item::lock(&item)?.is_some_and(|lock| lock.token == *token) =>
            {
                Ok(item::open(id, item)?)
            }
            WriteOutcome::Refused(item) => Err(required.refusal_reason(item)),
        }
    }

    /// Returns when the lock expires, or `None` if nobody holds it (one `GetItem`, strongly
    /// consistent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn locked_until(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.live_item(id.handle(), item::LOCK_STATE, now).await?;
        if item::successor(&item)?.is_some() {
            return Err(StoreError::NotFound);
        }
        Ok(item::lock(&item)?.map(|lock| lock.until).filter(|&until| until > now))
    }

    /// Releases the lock (one `UpdateItem`). It succeeds if nobody holds the lock.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::NotLockHolder`] if another request holds the lock.
    pub async fn release(
        &self,
        id: &SessionId,
        token: &LockToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lock = &LockCondition::HeldByThenRelease(token.clone());
        let required = Requirements { etag: &ETagCondition::Any, lock, now };
        let update = required.condition().release_lock();
        match self.update_item(id.handle(), update, ReturnValue::None).await? {
            WriteOutcome::Applied(_) => Ok(()),
            WriteOutcome::Refused(item) => match required.refusal_reason(item) {
                StoreError::NotLockHolder => Ok(()),
                StoreError::Locked { .. } => Err(StoreError::NotLockHolder),
                other => Err(other),
            },
        }
    }
}
