//! Replaces a session's data.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::condition::Version;
use super::error::StoreError;
use super::expression::Expression;
use super::item::{self, DATA, ETAG, TYPE};
use super::read::Snapshot;
use super::write::{Write, Written};
use crate::seal;
use crate::session::{ETag, ETagCondition, Lifetime, MediaType, SessionId, Timestamp};

/// New data for a session.
#[derive(Clone, Copy)]
pub struct NewData<'a> {
    /// Data, any bytes.
    pub bytes: &'a [u8],
    /// Media type of the data.
    pub media_type: &'a MediaType,
}

/// A session after a replacement.
#[derive(Debug)]
pub struct Replaced {
    /// The new version of the data. `None` if an earlier attempt was applied and the data has changed since.
    pub etag: Option<ETag>,
    /// When the session was created, and when it expires. `None` if we don't know: an `UpdateItem` that replaces
    /// the data could return this only together with the whole item.
    pub lifetime: Option<Lifetime>,
}

/// The outcome of [`SessionStore::replace_unchanged`].
pub enum Update {
    /// The session was changed.
    Applied {
        /// Version of the data.
        etag: ETag,
        /// When the session was created, and when it expires.
        lifetime: Lifetime,
    },
    /// An earlier attempt was applied, perhaps to other data. Holds the session as it is now.
    AppliedBefore(Box<Snapshot>),
}

impl SessionStore {
    /// Replaces the data of a live session and extends its expiry (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock isn't as
    /// required; [`StoreError::ETagMismatch`] if the data doesn't have the required version;
    /// [`StoreError::TooLarge`].
    pub async fn replace(
        &self,
        id: &SessionId,
        data: NewData<'_>,
        required: &ETagCondition,
        write: &Write,
        now: Timestamp,
    ) -> Result<Replaced, StoreError> {
        let (written, etag) =
            self.write(id, Some(data), Version::Data(required), write, now).await?;
        Ok(match written {
            Written::Now(_) => Replaced { etag, lifetime: None },
            Written::Before { item, .. } => Replaced {
                etag: item::etag_at(&item, &write.id)?,
                lifetime: Some(item::lifetime(&item)?),
            },
        })
    }

    /// Replaces the data and extends the expiry, provided that the session hasn't changed since it was read (one
    /// `UpdateItem`). If `data` is `None`, the session keeps its data and version.
    ///
    /// # Errors
    /// The same as for [`Self::replace`], but with [`StoreError::Changed`] instead of
    /// [`StoreError::ETagMismatch`].
    pub async fn replace_unchanged(
        &self,
        id: &SessionId,
        data: Option<NewData<'_>>,
        read: &Snapshot,
        write: &Write,
        now: Timestamp,
    ) -> Result<Update, StoreError> {
        let version = Version::AsRead(read.writes.revision());
        let (written, etag) = self.write(id, data, version, write, now).await?;
        let metadata = &read.session.metadata;
        Ok(match written {
            Written::Now(_) => {
                let ttl = write.attributes.ttl.unwrap_or(self.limits.clamp(metadata.ttl));
                Update::Applied {
                    etag: etag.unwrap_or_else(|| metadata.etag.clone()),
                    lifetime: metadata.lifetime.slid(now, ttl),
                }
            }
            Written::Before { item, .. } => Update::AppliedBefore(Box::new(Snapshot {
                writes: item::recent_writes(&item)?,
                session: item::open(id, item)?,
            })),
        })
    }

    /// Writes, and returns the new version of the data if there is new data.
    async fn write(
        &self,
        id: &SessionId,
        data: Option<NewData<'_>>,
        version: Version<'_>,
        write: &Write,
        now: Timestamp,
    ) -> Result<(Written, Option<ETag>), StoreError> {
        let new = match data {
            None => None,
            Some(NewData { bytes, media_type }) => {
                let sealed = item::bytes(seal::seal(id, media_type, bytes)?);
                Some((sealed, item::text(media_type.as_str()), ETag::generate(&write.id)?))
            }
        };
        let change = |update: Expression| match &new {
            None => update,
            Some((sealed, media_type, etag)) => update
                .set(DATA, sealed.clone())
                .set(TYPE, media_type.clone())
                .set(ETAG, item::text(etag.as_str())),
        };
        let written = self.update(id, write, version, change, ReturnValue::None, now).await?;
        Ok((written, new.map(|(_, _, etag)| etag)))
    }
}
