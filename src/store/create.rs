//! Creates a session.

use std::time::Duration;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use super::item::{self, Item};
use crate::seal;
use crate::session::{
    ETag, Label, Lifetime, MediaType, Metadata, SessionId, Timestamp, User, WriteId,
};

/// A session to create.
#[derive(Clone)]
pub struct NewSession<'a> {
    /// Id of the write. A retry with the same id gets the first attempt's result.
    pub write: WriteId,
    /// Data, any bytes.
    pub data: &'a [u8],
    /// Media type of the data.
    pub media_type: MediaType,
    /// Idle lifetime, in whole seconds.
    pub ttl: Duration,
    /// Owner.
    pub user: Option<User>,
    /// Name shown in the user's device list.
    pub label: Option<Label>,
}

/// A created session.
#[derive(Debug)]
pub struct Created {
    /// Version of the data. `None` if an earlier attempt was applied and the data has changed since.
    pub etag: Option<ETag>,
    /// When the session was created, and when it expires.
    pub lifetime: Lifetime,
}

impl SessionStore {
    /// Creates a session under this id (one `PutItem`, and two more calls if the id's grace period ended early).
    /// If the outcome of the call is unknown, it looks for the session (one `GetItem`) instead of repeating the
    /// call: the session may have been destroyed since, and must not come back.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if a live session has the id; [`StoreError::OutcomeUnknown`] if the session
    /// isn't there after a call with an unknown outcome; [`StoreError::TooLarge`].
    pub async fn create(
        &self,
        id: &SessionId,
        new: NewSession<'_>,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let metadata = Metadata {
            etag: ETag::generate(&new.write)?,
            media_type: new.media_type,
            ttl: new.ttl,
            lifetime: Lifetime::starting(now, new.ttl),
            user: new.user,
            label: new.label,
        };
        let sealed = seal::seal(id, &metadata.media_type, new.data)?;
        let item = item::new(id.handle(), sealed, &new.write, &metadata);
        let live = self.liveness(now);
        let mut condition = condition::if_absent(live);
        loop {
            return match self.put_item(item.clone(), condition, &new.write, live).await {
                Ok(WriteOutcome::Applied(_)) => {
                    Ok(Created { etag: Some(metadata.etag), lifetime: metadata.lifetime })
                }
                Ok(WriteOutcome::AppliedBefore { item, .. }) => created_before(&item, &new.write),
                Ok(WriteOutcome::Refused(Some(item)))
                    if self.is_grace_over(id.handle(), &item, now).await? =>
                {
                    let writes = item::recent_writes(&item)?;
                    condition = condition::if_absent_or_as_read(live, writes.revision());
                    continue;
                }
                Ok(WriteOutcome::Refused(item)) => Err(condition::reason_not_absent(item)),
                Err(StoreError::Unavailable(_)) => {
                    match self.get_item(id.handle(), item::STATE).await? {
                        Some(item) if item::remembers(&item, &new.write, live)? => {
                            created_before(&item, &new.write)
                        }
                        _ => Err(StoreError::OutcomeUnknown),
                    }
                }
                Err(other) => Err(other),
            };
        }
    }
}

/// Returns the session that an earlier attempt created.
fn created_before(item: &Item, write: &WriteId) -> Result<Created, StoreError> {
    Ok(Created { etag: item::etag_at(item, write)?, lifetime: item::lifetime(item)? })
}
