//! Reads sessions.

use super::SessionStore;
use super::condition::Version;
use super::error::StoreError;
use super::item::{self, Item};
use super::write::Write;
use crate::session::{
    ETagCondition, Handle, Metadata, RecentWrites, Session, SessionId, Timestamp,
};

/// A session that is about to be changed.
pub struct Snapshot {
    /// The session.
    pub session: Session,
    /// Its last writes.
    pub writes: RecentWrites,
}

impl SessionStore {
    /// Reads a session with its data (one strongly consistent `GetItem`, and another one for an id in its grace
    /// period).
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

    /// Reads a session that a write is about to change (one strongly consistent `GetItem`). If an earlier attempt at
    /// the write was applied and the session is still live, returns the session without checking the write's
    /// requirements.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], even during a grace period; [`StoreError::Locked`] or
    /// [`StoreError::NotLockHolder`] if the lock isn't as required; [`StoreError::ETagMismatch`] if the data
    /// doesn't have the required version.
    pub async fn read_for_update(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        write: &Write,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let item = self.get_item(id.handle(), &[]).await?.ok_or(StoreError::NotFound)?;
        let live = self.liveness(now);
        let writes = item::recent_writes(&item)?;
        if !(writes.contains(&write.id) && item::is_current(&item, live)?)
            && let Some(reason) = write.requires(Version::Data(required), live).refusal(&item)?
        {
            return Err(reason);
        }
        Ok(Snapshot { session: item::open(id, item)?, writes })
    }

    /// Reads a live item: these attributes, or all of them if the list is empty.
    pub(super) async fn live_item(
        &self,
        handle: &Handle,
        attributes: &[&str],
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.get_item(handle, attributes).await?.ok_or(StoreError::NotFound)?;
        if item::is_live(&item, self.liveness(now))? { Ok(item) } else { Err(StoreError::NotFound) }
    }

    /// Returns an error if the id was rotated away and its grace period is over.
    async fn ensure_successor_live(
        &self,
        handle: &Handle,
        item: &Item,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.is_grace_over(handle, item, now).await? {
            return Err(StoreError::NotFound);
        }
        Ok(())
    }

    /// Whether the id was rotated away and its grace period ended early: the session that the rotation made has ended,
    /// was rotated again, or lost its owner (one `GetItem` for an id that was rotated away). A session that was created
    /// under the new id later doesn't count.
    pub(super) async fn is_grace_over(
        &self,
        handle: &Handle,
        item: &Item,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(successor) = item::successor(item)? else {
            return Ok(false);
        };
        let Some(successor) = self.get_item(&successor, item::STATE).await? else {
            return Ok(true);
        };
        let is_same_session = item::predecessor(&successor)?.as_ref() == Some(handle);
        Ok(!is_same_session || !item::is_current(&successor, self.liveness(now))?)
    }
}
