//! The sessions of one user, found through the index.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::expression::{self, Expression};
use super::item::{self, ID, USER};
use super::{SessionStore, StoreError, Update};
use crate::session::{Handle, Lifetime, Timestamp, User};

/// The index of the table.
pub(super) const USER_INDEX: &str = "user-index";

/// How many items are read or deleted at a time.
const AT_ONCE: usize = 16;

/// A session as its owner sees it in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its public name.
    pub handle: Handle,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub lifetime: Lifetime,
}

impl SessionStore {
    /// The live sessions of a user, newest first (one `Query` for each 1 MB of the index, one
    /// `GetItem` for each session: the index knows no expiry, or every touch would write to it).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an item that this code did not write.
    pub async fn list(&self, user: &User, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let handles = self.handles(user).await?;
        let listed: Vec<_> = stream::iter(handles)
            .map(|handle| self.listed(handle, user, now))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(listed.into_iter().flatten().collect())
    }

    /// What the index does not know of a session, unless it is gone, is another's now or has moved.
    async fn listed(
        &self,
        handle: Handle,
        user: &User,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        let item = match self.get(&handle, item::METADATA, now).await {
            Err(StoreError::NotFound) => return Ok(None),
            got => got?,
        };
        let metadata = item::metadata(&item)?;
        let is_listed = metadata.user.as_ref() == Some(user) && item::successor(&item)?.is_none();
        Ok(is_listed.then_some(Listed {
            handle,
            created: metadata.created,
            lifetime: metadata.lifetime,
        }))
    }

    /// Ends every session of a user but one, and says how many it were (one `Query` for each 1 MB of
    /// the index, one `DeleteItem` for each session).
    ///
    /// The index follows the table after a moment, so a session that was only just made may be
    /// missed: calling a second time finds it.
    ///
    /// # Errors
    /// Those of the store; some sessions may have ended then.
    pub async fn revoke_all(
        &self,
        user: &User,
        keep: Option<&Handle>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut handles = self.handles(user).await?;
        handles.retain(|handle| Some(handle) != keep);
        let revoked: Vec<_> = stream::iter(handles)
            .map(|handle| self.revoke_any(user, handle, now))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(revoked.into_iter().filter(|&was_session| was_session).count())
    }

    /// Ends one session of a user by its handle (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where it is no live session of this user.
    pub async fn revoke(
        &self,
        user: &User,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.delete(handle, Expression::if_live(now).and_user(user)).await? {
            Update::Done(_) => Ok(()),
            Update::Refused(_) => Err(StoreError::NotFound),
        }
    }

    /// Ends what is under a handle if it is this user's, and says whether it was a session: an id
    /// that the session moved away from is ended too, and is none.
    async fn revoke_any(
        &self,
        user: &User,
        handle: Handle,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match self.delete(&handle, Expression::if_live(now).and_user(user)).await? {
            Update::Done(_) => Ok(true),
            Update::Refused(Some(item)) if item::successor(&item)?.is_some() => {
                self.delete(&handle, Expression::if_user(user)).await?;
                Ok(false)
            }
            Update::Refused(_) => Ok(false),
        }
    }

    /// The handles of all items of a user, newest first.
    async fn handles(&self, user: &User) -> Result<Vec<Handle>, StoreError> {
        let (projection, mut names) = expression::projection(&[ID]);
        names.insert(format!("#{USER}"), USER.to_owned());
        let mut handles = Vec::new();
        let mut from = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&*self.table)
                .index_name(USER_INDEX)
                .key_condition_expression("#user = :user")
                .expression_attribute_values(":user", item::text(user.expose()))
                .set_expression_attribute_names(Some(names.clone()))
                .projection_expression(&projection)
                .scan_index_forward(false)
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .customize()
                .interceptor(self.meter.clone())
                .send()
                .await?;
            self.meter.consumed(output.consumed_capacity());
            for item in output.items() {
                handles.push(item::handle(item)?);
            }
            from = output.last_evaluated_key;
            if from.is_none() {
                return Ok(handles);
            }
        }
    }
}
