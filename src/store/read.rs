//! Reads of a session.

use super::SessionStore;
use super::error::StoreError;
use super::item::{self, Item, SealedSession};
use crate::session::{
    ETagCondition, Handle, Metadata, RecentWrites, Session, SessionId, Timestamp, WriteId,
};

/// A session that is about to be changed.
pub struct Snapshot {
    /// The session.
    pub session: Session,
    /// Its last writes.
    pub writes: RecentWrites,
}

impl SessionStore {
    /// Reads a session with its data (one `GetItem`, strongly consistent, and another one for an id in
    /// its grace period).
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn read(&self, id: &SessionId, now: Timestamp) -> Result<Session, StoreError> {
        let item = self.live_item(id.handle(), &[], now).await?;
        self.ensure_successor_live(id.handle(), &item, now).await?;
        Ok(item::open(id, item)?)
    }

    /// Reads a session without its data (as many calls as [`Self::read`]).
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn read_metadata(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let item = self.live_item(id.handle(), item::METADATA, now).await?;
        self.ensure_successor_live(id.handle(), &item, now).await?;
        Ok(item::metadata(&item)?)
    }

    /// Reads a session that a write is about to change (one `GetItem`, strongly consistent). An id that
    /// was rotated away is not found, even during its grace period. If an earlier attempt of the write was
    /// applied, it returns the session in any state.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version.
    pub async fn read_for_update(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        write: &WriteId,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let item = self.get_item(id.handle(), &[]).await?.ok_or(StoreError::NotFound)?;
        let writes = item::recent_writes(&item)?;
        if !writes.contains(write) {
            if !item::is_live(&item, self.liveness(now))? || item::successor(&item)?.is_some() {
                return Err(StoreError::NotFound);
            }
            if !required.matches(&item::etag(&item)?) {
                return Err(StoreError::ETagMismatch(Box::new(SealedSession(item))));
            }
        }
        Ok(Snapshot { session: item::open(id, item)?, writes })
    }

    /// Reads the item of a live session that was not rotated away.
    pub(super) async fn item_for_update(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.live_item(id.handle(), &[], now).await?;
        if item::successor(&item)?.is_some() {
            return Err(StoreError::NotFound);
        }
        Ok(item)
    }

    /// Reads a live item: these attributes, or all if none is named.
    pub(super) async fn live_item(
        &self,
        handle: &Handle,
        attributes: &[&str],
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.get_item(handle, attributes).await?.ok_or(StoreError::NotFound)?;
        if item::is_live(&item, self.liveness(now))? { Ok(item) } else { Err(StoreError::NotFound) }
    }

    /// Returns an error if the id was rotated away, and the session that the rotation made has ended or
    /// was rotated again. A session that was created under the new id later is another one.
    async fn ensure_successor_live(
        &self,
        handle: &Handle,
        item: &Item,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(successor) = item::successor(item)? else {
            return Ok(());
        };
        let successor = self.live_item(&successor, item::METADATA, now).await?;
        let is_same_session = item::predecessor(&successor)?.as_ref() == Some(handle);
        match item::successor(&successor)? {
            None if is_same_session => Ok(()),
            _ => Err(StoreError::NotFound),
        }
    }
}
