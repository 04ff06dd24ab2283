//! The sessions of a user, found through an index.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use super::expression::projection;
use super::item::{self, ID, USER, USER_INDEX};
use crate::session::{Handle, Lifetime, Timestamp, User};

/// Number of items that are read or deleted concurrently.
const CONCURRENCY: usize = 16;

/// A session in the list of its owner.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// Public name.
    pub handle: Handle,
    /// Moment of creation.
    pub created: Timestamp,
    /// When the session ends.
    pub lifetime: Lifetime,
}

impl SessionStore {
    /// Lists the live sessions of a user, newest first (one `Query` for each 1 MB of the index, one
    /// `GetItem` for each session). The index does not contain the expiry, or every touch would
    /// write to it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an item that this code did not write.
    pub async fn list(
        &self,
        user: &User,
        now: Timestamp,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let handles = self.handles(user).await?;
        let summaries: Vec<_> = stream::iter(handles)
            .map(|handle| self.summary(handle, user, now))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(summaries.into_iter().flatten().collect())
    }

    /// Reads the summary of a session. Returns `None` if it is not live, was rotated away or no
    /// longer belongs to the user.
    async fn summary(
        &self,
        handle: Handle,
        user: &User,
        now: Timestamp,
    ) -> Result<Option<SessionSummary>, StoreError> {
        let item = match self.live_item(&handle, item::METADATA, now).await {
            Err(StoreError::NotFound) => return Ok(None),
            item => item?,
        };
        let metadata = item::metadata(&item)?;
        let is_listed = metadata.user.as_ref() == Some(user) && item::successor(&item)?.is_none();
        Ok(is_listed.then_some(SessionSummary {
            handle,
            created: metadata.created,
            lifetime: metadata.lifetime,
        }))
    }

    /// Destroys all of a user's sessions except `keep`, and returns how many there were (one `Query`
    /// for each 1 MB of the index, one `DeleteItem` for each session).
    ///
    /// The index is eventually consistent, so this may miss a session that was created a moment ago.
    /// A second call finds it.
    ///
    /// # Errors
    /// Errors of the calls. Some sessions may be destroyed by then.
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
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(revoked.into_iter().filter(|&was_session| was_session).count())
    }

    /// Destroys one session of a user (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the user has no live session with this handle.
    pub async fn revoke(
        &self,
        user: &User,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.delete_item(handle, condition::if_live_and_owned(user, now)).await? {
            WriteOutcome::Applied(_) => Ok(()),
            WriteOutcome::Refused(_) => Err(StoreError::NotFound),
        }
    }

    /// Deletes an item of a user, and returns whether it was a live session. An id in its grace period
    /// is deleted too, but is not a session.
    async fn revoke_any(
        &self,
        user: &User,
        handle: Handle,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match self.delete_item(&handle, condition::if_live_and_owned(user, now)).await? {
            WriteOutcome::Applied(_) => Ok(true),
            WriteOutcome::Refused(Some(item)) if item::successor(&item)?.is_some() => {
                self.delete_item(&handle, condition::if_owned(user)).await?;
                Ok(false)
            }
            WriteOutcome::Refused(_) => Ok(false),
        }
    }

    /// Reads the handles of all items of a user, newest first.
    async fn handles(&self, user: &User) -> Result<Vec<Handle>, StoreError> {
        let (projection, mut names) = projection(&[ID]);
        names.insert(format!("#{USER}"), USER.to_owned());
        let mut handles = Vec::new();
        let mut from = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&*self.table)
                .index_name(USER_INDEX)
                .key_condition_expression(format!("#{USER} = :user"))
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
            self.meter.add_capacity(output.consumed_capacity());
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
