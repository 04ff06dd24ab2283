//! Creation of a session.

use std::time::Duration;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use super::item;
use crate::seal;
use crate::session::{ETag, Lifetime, MediaType, Metadata, SessionId, Timestamp, User};

/// A session to create.
pub struct NewSession<'a> {
    /// Data, any bytes.
    pub data: &'a [u8],
    /// Media type of the data.
    pub media_type: MediaType,
    /// Idle lifetime, in whole seconds.
    pub ttl: Duration,
    /// Time until the absolute end; `None` for no absolute end.
    pub max_lifetime: Option<Duration>,
    /// Owner.
    pub user: Option<User>,
}

impl SessionStore {
    /// Creates a session under this id and returns its metadata (one `PutItem`).
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if a live session has the id; [`StoreError::TooLarge`].
    pub async fn create(
        &self,
        id: &SessionId,
        new: NewSession<'_>,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let metadata = Metadata {
            etag: ETag::generate()?,
            media_type: new.media_type,
            created: now,
            lifetime: Lifetime::starting(now, new.ttl, new.max_lifetime),
            user: new.user,
        };
        let sealed = seal::seal(id, &metadata.media_type, new.data)?;
        let item = item::new(id.handle(), new.ttl, sealed, &metadata);
        match self.put_item(item, condition::if_absent(now)).await? {
            WriteOutcome::Applied(_) => Ok(metadata),
            WriteOutcome::Refused(Some(item)) if item::has_etag(&item, &metadata.etag) => {
                Ok(metadata)
            }
            WriteOutcome::Refused(item) => Err(condition::reason_not_absent(item)),
        }
    }
}
