//! Creation of a session.

use std::time::Duration;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use super::item::{self, ID, WRITES};
use crate::seal;
use crate::session::{Label, Lifetime, MediaType, Metadata, SessionId, Timestamp, User, WriteId};

/// A session to create.
#[derive(Clone)]
pub struct NewSession<'a> {
    /// Id of the write. A retry with the same id responds as its first attempt did.
    pub write: WriteId,
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
    /// Label by which a person recognizes the session.
    pub label: Option<Label>,
}

impl SessionStore {
    /// Creates a session under this id and returns its metadata (one `PutItem`). If the outcome of the
    /// call is unknown, it looks for the session (one `GetItem`) instead of repeating the call: the
    /// session may have been destroyed since, and must not be created again.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if a live session has the id; [`StoreError::OutcomeUnknown`] if the
    /// session is not there after a call of unknown outcome; [`StoreError::TooLarge`].
    pub async fn create(
        &self,
        id: &SessionId,
        new: NewSession<'_>,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let metadata = Metadata {
            etag: new.write.etag(),
            media_type: new.media_type,
            created: now,
            ttl: new.ttl,
            lifetime: Lifetime::starting(now, new.ttl, new.max_lifetime),
            user: new.user,
            label: new.label,
        };
        let sealed = seal::seal(id, &metadata.media_type, new.data)?;
        let item = item::new(id.handle(), sealed, &new.write, &metadata);
        let condition = condition::if_absent(self.liveness(now));
        match self.put_item(item, condition, &new.write).await {
            Ok(WriteOutcome::Applied(_)) => Ok(metadata),
            Ok(WriteOutcome::AppliedBefore(item)) => {
                Ok(Metadata { lifetime: item::lifetime(&item)?, ..metadata })
            }
            Ok(WriteOutcome::Refused(item)) => Err(condition::reason_not_absent(item)),
            Err(StoreError::Unavailable(_)) => {
                let item = self.get_item(id.handle(), &[&[ID], &WRITES[..]].concat()).await?;
                match item.filter(|item| item::has_write(item, &new.write)) {
                    Some(_) => Ok(metadata),
                    None => Err(StoreError::OutcomeUnknown),
                }
            }
            Err(other) => Err(other),
        }
    }
}
