//! Extension of a session's life.

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
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version; if the touch releases the lock, also [`StoreError::Locked`] or
    /// [`StoreError::NotLockHolder`].
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
