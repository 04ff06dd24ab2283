//! The lock of a session: a lease, which expires unless its holder releases it.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::{Requirements, Version};
use super::error::StoreError;
use super::item::{self, LOCK, LOCK_UNTIL};
use super::write::Write;
use crate::session::{
    ETagCondition, LockCondition, LockToken, Session, SessionId, Timestamp, WriteId,
};

impl SessionStore {
    /// Takes the lock for the duration of a lease, or renews the lease of its holder, slides the expiry,
    /// and reads the session (one `UpdateItem`). `write` requires that nobody holds the lock, or that
    /// `token` does.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`]; [`StoreError::NotLockHolder`] for a renewal.
    /// After [`StoreError::Corrupt`], the lock is taken and expires with its lease.
    pub async fn lock(
        &self,
        id: &SessionId,
        token: &LockToken,
        lease: Duration,
        write: &Write,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        let required = write.requires(Version::Data(&ETagCondition::Any), self.liveness(now));
        let update = write
            .apply(required.condition(), now)
            .set(LOCK, item::text(token.expose()))
            .set(LOCK_UNTIL, item::number(now.after(lease).millis()));
        match self.update_item(id.handle(), update, &write.id, ReturnValue::AllNew).await? {
            WriteOutcome::Applied(item) => Ok(item::open(id, item)?),
            WriteOutcome::AppliedBefore(item) => {
                let lifetime = write.lifetime_before(&item, now)?;
                let mut session = item::open(id, item)?;
                session.metadata.lifetime = lifetime;
                Ok(session)
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

    /// Releases the lock (one `UpdateItem`). It succeeds if nobody holds the lock. A token is released
    /// once, so the id of the write is derived from it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::NotLockHolder`] if another request holds the lock.
    pub async fn release(
        &self,
        id: &SessionId,
        token: &LockToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let required = Requirements {
            live: self.liveness(now),
            version: Version::Data(&ETagCondition::Any),
            lock: &LockCondition::HeldByThenRelease(token.clone()),
        };
        let write = WriteId::derive(id, &[b"release", token.expose().as_bytes()]);
        let update = required.condition().release_lock();
        match self.update_item(id.handle(), update, &write, ReturnValue::None).await? {
            WriteOutcome::Applied(_) | WriteOutcome::AppliedBefore(_) => Ok(()),
            WriteOutcome::Refused(item) => match required.refusal_reason(item) {
                StoreError::NotLockHolder => Ok(()),
                StoreError::Locked { .. } => Err(StoreError::NotLockHolder),
                other => Err(other),
            },
        }
    }
}
