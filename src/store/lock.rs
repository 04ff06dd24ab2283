//! A session's lock: a lease that expires if its holder doesn't release it.

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
    /// Takes the lock for the length of the lease, or renews the holder's lease. Also extends the expiry and reads the
    /// session (one `UpdateItem` for everything). `write` requires that nobody holds the lock, or that `token` does. A
    /// retry succeeds only as long as `token` holds the lock.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`]; [`StoreError::NotLockHolder`] for a renewal or a retry. Even
    /// after [`StoreError::Corrupt`], the lock is held until its lease expires.
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
                    // This very call may have taken the lock, only for it to be released before the response
                    // arrived.
                    _ if is_in_doubt => Err(StoreError::OutcomeUnknown),
                    Some(lock) => Err(StoreError::Locked { until: lock.until }),
                    None => Err(StoreError::NotLockHolder),
                }
            }
        }
    }

    /// Returns when the current holder's lease ends, or `None` if it's time to call [`Self::lock`]: either nobody holds
    /// the lock, or another attempt at the same request does (one strongly consistent `GetItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] if another attempt at the same request has already had the lock
    /// and lost it: taking it again would help nobody.
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

    /// Releases the lock (one `UpdateItem`). Succeeds even if nobody holds it. A token is released only once, so
    /// the write id is derived from it.
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
