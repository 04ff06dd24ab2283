//! The lock of a session: a lease, which falls by itself when its holder does not give it back.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::expression::Expression;
use super::item::{self, LOCK, LOCK_UNTIL};
use super::{SessionStore, StoreError, Update, open, why_refused};
use crate::session::{LockClaim, LockToken, Session, SessionId, Timestamp};

impl SessionStore {
    /// Takes the lock for so long, if nobody holds it, and reads the session (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`]; [`StoreError::Corrupt`] for an item that
    /// does not open, whose lock then falls by itself.
    pub async fn lock(
        &self,
        id: &SessionId,
        token: &LockToken,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        let update = Expression::if_live(now)
            .and_lock(&LockClaim::Unlocked, now)
            .set(LOCK, item::text(token.expose()))
            .set(LOCK_UNTIL, item::number(now.after(lease).millis()));
        match self.update(id, update, ReturnValue::AllNew).await? {
            Update::Done(item) => open(id, item),
            Update::Refused(Some(item))
                if item::lock(&item)?.is_some_and(|lock| lock.token == *token) =>
            {
                // Its own first attempt, of which the answer was lost.
                open(id, item)
            }
            Update::Refused(item) => Err(why_refused(item, &LockClaim::Unlocked, now)),
        }
    }

    /// Returns when the lock expires, or `None` if nobody holds it (one `GetItem`, strongly
    /// consistent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] for an item that this code did not write.
    pub async fn locked_until(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.get(&id.handle(), item::LOCK_STATE, now).await?;
        if item::successor(&item)?.is_some() {
            return Err(StoreError::NotFound);
        }
        Ok(item::lock(&item)?.map(|lock| lock.until).filter(|&until| until > now))
    }

    /// Gives the lock back; also done where nobody holds it (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::NotLockHolder`] where somebody else holds it.
    pub async fn unlock(
        &self,
        id: &SessionId,
        token: &LockToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let claim = LockClaim::Released(token.clone());
        let update = Expression::if_live(now).and_lock(&claim, now).unlock();
        match self.update(id, update, ReturnValue::None).await? {
            Update::Done(_) => Ok(()),
            Update::Refused(item) => match why_refused(item, &claim, now) {
                StoreError::NotLockHolder => Ok(()),
                StoreError::Locked { .. } => Err(StoreError::NotLockHolder),
                other => Err(other),
            },
        }
    }
}
