//! Replacement of a session's data.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::Version;
use super::error::StoreError;
use super::item::{self, DATA, ETAG, TYPE};
use super::read::Snapshot;
use super::write::Write;
use crate::seal;
use crate::session::{ETagCondition, MediaType, SessionId, Timestamp};

/// New data of a session.
#[derive(Clone, Copy)]
pub struct NewData<'a> {
    /// Data, any bytes.
    pub bytes: &'a [u8],
    /// Media type of the data.
    pub media_type: &'a MediaType,
}

impl SessionStore {
    /// Replaces the data of a live session and slides its expiry (one `UpdateItem`). The write's id is
    /// the new version of the data.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock
    /// is not as required; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version; [`StoreError::TooLarge`].
    pub async fn replace(
        &self,
        id: &SessionId,
        data: NewData<'_>,
        required: &ETagCondition,
        write: &Write,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(id, Some(data), Version::Data(required), write, now).await
    }

    /// Replaces the data and slides the expiry if the session has not changed since it was read (one
    /// `UpdateItem`). `None` keeps its data and version.
    ///
    /// # Errors
    /// Those of [`Self::replace`], with [`StoreError::Changed`] in place of
    /// [`StoreError::ETagMismatch`].
    pub async fn replace_unchanged(
        &self,
        id: &SessionId,
        data: Option<NewData<'_>>,
        read: &Snapshot,
        write: &Write,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(id, data, Version::AsRead(read.writes.revision()), write, now).await
    }

    async fn write(
        &self,
        id: &SessionId,
        data: Option<NewData<'_>>,
        version: Version<'_>,
        write: &Write,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let required = write.requires(version, self.liveness(now));
        let mut update = write.apply(required.condition(), now);
        if let Some(NewData { bytes, media_type }) = data {
            update = update
                .set(DATA, item::bytes(seal::seal(id, media_type, bytes)?))
                .set(TYPE, item::text(media_type.as_str()))
                .set(ETAG, item::text(write.id.as_str()));
        }
        match self.update_item(id.handle(), update, &write.id, ReturnValue::None).await? {
            WriteOutcome::Applied(_) | WriteOutcome::AppliedBefore(_) => Ok(()),
            WriteOutcome::Refused(item) => Err(required.refusal_reason(item)),
        }
    }
}
