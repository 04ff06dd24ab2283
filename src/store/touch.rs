//! Extension of a session's life.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::Version;
use super::error::StoreError;
use super::item;
use super::write::Write;
use crate::session::{ETag, ETagCondition, Lifetime, Session, SessionId, Timestamp};

/// A session after a touch.
#[derive(Debug)]
pub struct Touched {
    /// When the session ends. For a retry of a touch that named no lifetime, its current end.
    pub lifetime: Lifetime,
    /// Version of the data at the touch. `None` if an earlier attempt was applied, and the data changed
    /// since.
    pub etag: Option<ETag>,
    /// The session at the touch, if it was asked for. `None` also if an earlier attempt was applied, and
    /// others wrote since.
    pub session: Option<Session>,
}

impl SessionStore {
    /// Slides the expiry of a live session and changes its attributes (one `UpdateItem`). The version of
    /// the data does not change. `returns_session` asks for the session with its data.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; if the touch releases the lock, also [`StoreError::Locked`] or
    /// [`StoreError::NotLockHolder`].
    pub async fn touch(
        &self,
        id: &SessionId,
        write: &Write,
        returns_session: bool,
        now: Timestamp,
    ) -> Result<Touched, StoreError> {
        let required = write.requires(Version::Data(&ETagCondition::Any), self.liveness(now));
        let update = write.apply(required.condition(), now);
        let (update, returned) = if returns_session {
            (update, ReturnValue::AllNew)
        } else {
            (update.return_etag_and_deadline(), ReturnValue::UpdatedNew)
        };
        match self.update_item(id.handle(), update, &write.id, returned).await? {
            WriteOutcome::Applied(item) => Ok(Touched {
                lifetime: item::lifetime(&item)?,
                etag: Some(item::etag(&item)?),
                session: returns_session.then(|| item::open(id, item)).transpose()?,
            }),
            WriteOutcome::AppliedBefore(item) => {
                let writes = item::recent_writes(&item)?;
                let is_known = returns_session && *writes.revision() == write.id;
                Ok(Touched {
                    lifetime: write.lifetime_before(&item, now)?,
                    etag: item::etag_at(&item, &write.id)?,
                    session: is_known.then(|| item::open(id, item)).transpose()?,
                })
            }
            WriteOutcome::Refused(item) => Err(required.refusal_reason(item)),
        }
    }
}
