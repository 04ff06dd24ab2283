//! The lock of a session: a lease, which expires unless its holder releases it.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::{Requirements, Version};
use super::error::StoreError;
use super::expression::Expression;
use super::item::{self, LOCK, LOCK_UNTIL};
use super::write::{Write, Written};
use crate::session::{
    ETagCondition, LockCondition, LockToken, Session, SessionId, Timestamp, WriteId,
};

impl SessionStore {
    /// Takes the lock for the duration of a lease, or renews the lease of its holder, slides the expiry,
    /// and reads the session (one `UpdateItem`). `write` requires that nobody holds the lock, or that
    /// `token` does. A retry succeeds only as long as `token` holds the lock.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`]; [`StoreError::NotLockHolder`] for a renewal or a
    /// retry. After [`StoreError::Corrupt`], the lock is taken and expires with its lease.
    pub async fn lock(
        &self,
        id: &SessionId,
        token: &LockToken,
        lease: Duration,
        write: &Write,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        let until = item::number(now.after(lease).millis());
        let version = Version::Data(&ETagCondition::Any);
        let change = |update: Expression| {
            update.set(LOCK, item::text(token.expose())).set(LOCK_UNTIL, until.clone())
        };
        match self.update(id, write, version, change, ReturnValue::AllNew, now).await? {
            Written::Now(item) => Ok(item::open(id, item)?),
            Written::Before { item, is_in_doubt } => {
                match item::lock(&item)?.filter(|lock| lock.until > now) {
                    Some(lock) if lock.token == *token => Ok(item::open(id, item)?),
                    // This very call took the lock, and it was released before the response arrived.
                    _ if is_in_doubt => Err(StoreError::OutcomeUnknown),
                    Some(lock) => Err(StoreError::Locked { until: lock.until }),
                    None => Err(StoreError::NotLockHolder),
                }
            }
        }
    }

    /// Returns when the current holder's lease ends. Returns `None` if calling [`Self::lock`] would settle the
    /// matter now, because nobody holds the lock or another attempt of the same request does (one `GetItem`,
    /// strongly consistent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] if another attempt of the same request has had the
    /// lock and lost it: it must not be taken for nobody.
    pub async fn poll_lock(
        &self,
        id: &SessionId,
        token: &LockToken,
        write: &Write,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.get_item(id.handle(), item::STATE).await?.ok_or(StoreError::NotFound)?;
        let required = write.requires(Version::Data(&ETagCondition::Any), self.liveness(now));
        match required.refusal(&item)? {
            None => Ok(None),
            Some(StoreError::Locked { until }) if !item::has_write(&item, &write.id) => {
                Ok(Some(until))
            }
            Some(StoreError::Locked { .. })
                if item::lock(&item)?.is_some_and(|lock| lock.token == *token) =>
            {
                Ok(None)
            }
            Some(reason) => Err(reason),
        }
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
        let sent = self.update_item(id.handle(), update, &write, required.live, ReturnValue::None);
        match sent.await? {
            WriteOutcome::Applied(_) | WriteOutcome::AppliedBefore { .. } => Ok(()),
            WriteOutcome::Refused(None) => Err(StoreError::NotFound),
            WriteOutcome::Refused(Some(item)) => match required.refusal(&item)? {
                Some(StoreError::NotLockHolder) => Ok(()),
                Some(StoreError::Locked { .. }) => Err(StoreError::NotLockHolder),
                reason => Err(reason.unwrap_or(StoreError::Changed)),
            },
        }
    }
}
