//! Replacement of a session's data.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::Requirements;
use super::error::StoreError;
use super::item::{self, DATA, ETAG, TYPE, USER};
use crate::seal;
use crate::session::{ETag, ETagCondition, LockCondition, MediaType, SessionId, Timestamp, User};

/// New data of a session.
pub struct Replacement<'a> {
    /// Data, any bytes.
    pub data: &'a [u8],
    /// Media type of the data.
    pub media_type: MediaType,
    /// New idle lifetime, in whole seconds; `None` keeps the current one.
    pub ttl: Option<Duration>,
    /// New owner; `None` keeps the current one.
    pub user: Option<User>,
}

impl SessionStore {
    /// Replaces the data of a live session, slides its expiry, and returns the new version of the
    /// data (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock
    /// is not as required; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version; [`StoreError::TooLarge`].
    pub async fn replace(
        &self,
        id: &SessionId,
        new: Replacement<'_>,
        etag: &ETagCondition,
        lock: &LockCondition,
        now: Timestamp,
    ) -> Result<ETag, StoreError> {
        let required = Requirements { etag, lock, now };
        let etag = ETag::generate()?;
        let sealed = seal::seal(id, &new.media_type, new.data)?;
        let update = required
            .condition()
            .set(DATA, item::bytes(sealed))
            .set(TYPE, item::text(new.media_type.as_str()))
            .set(ETAG, item::text(etag.as_str()))
            .set_some(USER, new.user.map(|user| item::text(user.expose())))
            .slide_expiry(new.ttl, now);
        let update = match lock {
            LockCondition::HeldByThenRelease(_) => update.release_lock(),
            LockCondition::HeldBy(_) | LockCondition::NotLocked => update,
        };
        match self.update_item(id.handle(), update, ReturnValue::None).await? {
            WriteOutcome::Applied(_) => Ok(etag),
            WriteOutcome::Refused(Some(item)) if item::has_etag(&item, &etag) => Ok(etag),
            WriteOutcome::Refused(item) => Err(required.refusal_reason(item)),
        }
    }
}
