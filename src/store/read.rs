//! Reads of a session.

use super::SessionStore;
use super::error::StoreError;
use super::item::{self, Item, SealedSession};
use crate::session::{ETagCondition, Handle, Metadata, Session, SessionId, Timestamp};

impl SessionStore {
    /// Reads a session with its data (one `GetItem`, strongly consistent). An id in its grace period
    /// takes one more call for each rotation since.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn read(&self, id: &SessionId, now: Timestamp) -> Result<Session, StoreError> {
        let item = self.live_item(id.handle(), &[], now).await?;
        self.ensure_successor_live(&item, now).await?;
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
        self.ensure_successor_live(&item, now).await?;
        Ok(item::metadata(&item)?)
    }

    /// Reads a session that is about to be changed (one `GetItem`, strongly consistent). An id that
    /// was rotated away is not found, even during its grace period.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version.
    pub async fn read_for_update(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        Ok(item::open(id, self.item_for_update(id, required, now).await?)?)
    }

    /// Reads the item for [`Self::read_for_update`].
    pub(super) async fn item_for_update(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.live_item(id.handle(), &[], now).await?;
        if item::successor(&item)?.is_some() {
            return Err(StoreError::NotFound);
        }
        if !required.matches(&item::etag(&item)?) {
            return Err(StoreError::ETagMismatch(Box::new(SealedSession(item))));
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
        if item::lifetime(&item)?.is_live(now) { Ok(item) } else { Err(StoreError::NotFound) }
    }

    /// Returns an error unless the session that an id was rotated to is still live. That session may
    /// have been rotated since.
    async fn ensure_successor_live(&self, item: &Item, now: Timestamp) -> Result<(), StoreError> {
        let mut successor = item::successor(item)?;
        while let Some(handle) = successor {
            let item = self.live_item(&handle, item::METADATA, now).await?;
            successor = item::successor(&item)?;
        }
        Ok(())
    }
}
