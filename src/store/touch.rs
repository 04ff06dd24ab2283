//! Keeps a session alive.

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::condition::Version;
use super::error::StoreError;
use super::expression::Expression;
use super::item;
use super::write::{Write, Written};
use crate::session::{ETag, ETagCondition, Lifetime, Session, SessionId, Timestamp};

/// A session after a touch.
#[derive(Debug)]
pub struct Touched {
    /// When the session was created, and when it expires.
    pub lifetime: Lifetime,
    /// Version of the data as of the touch. `None` if an earlier attempt was applied and the data has changed
    /// since.
    pub etag: Option<ETag>,
    /// The session as of the touch. `None` if the caller didn't ask for it, or if an earlier attempt was applied and
    /// others have written since.
    pub session: Option<Session>,
}

impl SessionStore {
    /// Extends a live session's expiry and changes its attributes (one `UpdateItem`). The data keeps its version.
    /// `returns_session` asks for the session with its data.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] if the data doesn't have the required version; if
    /// the touch releases the lock, also [`StoreError::Locked`] or [`StoreError::NotLockHolder`].
    pub async fn touch(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        write: &Write,
        returns_session: bool,
        now: Timestamp,
    ) -> Result<Touched, StoreError> {
        let (change, returned): (fn(Expression) -> Expression, _) = if returns_session {
            (|update| update, ReturnValue::AllNew)
        } else {
            (Expression::return_etag_and_created, ReturnValue::UpdatedNew)
        };
        let version = Version::Data(required);
        match self.update(id, write, version, change, returned, now).await? {
            Written::Now(item) => Ok(Touched {
                lifetime: item::lifetime(&item)?,
                etag: Some(item::etag(&item)?),
                session: returns_session.then(|| item::open(id, item)).transpose()?,
            }),
            Written::Before { item, .. } => {
                let writes = item::recent_writes(&item)?;
                let is_known = returns_session && *writes.revision() == write.id;
                Ok(Touched {
                    lifetime: item::lifetime(&item)?,
                    etag: item::etag_at(&item, &write.id)?,
                    session: is_known.then(|| item::open(id, item)).transpose()?,
                })
            }
        }
    }
}
