//! The sessions of a user, found through an index.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SessionStore;
use super::call::Refusal;
use super::condition;
use super::error::StoreError;
use super::item::{self, CREATED, CorruptItem, ID, USER, USER_INDEX};
use crate::session::{Handle, Metadata, Timestamp, User};

/// Number of items that are read or deleted concurrently.
const CONCURRENCY: usize = 16;

/// Wait between two queries of the index, which follows the table within a fraction of a second.
const INDEX_LAG: Duration = Duration::from_millis(200);

/// A session in the list of its owner.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// Public name.
    pub handle: Handle,
    /// Handle of the id that the session was rotated from, if it was.
    pub predecessor: Option<Handle>,
    /// Everything but the data.
    pub metadata: Metadata,
}

impl SessionStore {
    /// Lists the live sessions of a user, newest first (one `Query` for each 1 MB of the index, one
    /// `GetItem` for each session). The index does not contain the expiry, or every touch would
    /// write to it.
    ///
    /// An item that cannot be read is logged and left out.
    ///
    /// # Errors
    /// Errors of the calls.
    pub async fn list(
        &self,
        user: &User,
        now: Timestamp,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let handles = self.handles(user, None).await?;
        let summaries: Vec<_> = stream::iter(handles)
            .map(|handle| self.summary(handle, user, now))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(summaries.into_iter().flatten().collect())
    }

    /// Reads the summary of a session. Returns `None` if it is not live, was rotated away, no longer
    /// belongs to the user or is corrupt.
    async fn summary(
        &self,
        handle: Handle,
        user: &User,
        now: Timestamp,
    ) -> Result<Option<SessionSummary>, StoreError> {
        let item = match self.live_item(&handle, item::METADATA, now).await {
            Err(StoreError::NotFound) => return Ok(None),
            Err(StoreError::Corrupt(cause)) => {
                log_unreadable(handle.prefix(), &cause);
                return Ok(None);
            }
            item => item?,
        };
        let read =
            || Ok((item::metadata(&item)?, item::successor(&item)?, item::predecessor(&item)?));
        Ok(match read() {
            Ok((metadata, None, predecessor)) if metadata.user.as_ref() == Some(user) => {
                Some(SessionSummary { handle, predecessor, metadata })
            }
            Ok(_) => None,
            Err(cause) => {
                log_unreadable(handle.prefix(), &cause);
                None
            }
        })
    }

    /// Destroys all sessions of a user that were created by `now`, except `keep` and the session that
    /// `keep` was rotated to. Returns how many there were (at least two `Query`, one `DeleteItem` for
    /// each session). A session that is rotated meanwhile is found under its new id.
    ///
    /// The index is eventually consistent, so this queries until a query finds nothing more, or until the
    /// caller's time limit. Throttled deletions are retried as long as others succeed: all sessions of a user
    /// share a partition of the index, which admits 1,000 deletions a second.
    ///
    /// # Errors
    /// Errors of the calls. Some sessions may be destroyed by then.
    pub async fn revoke_all(
        &self,
        user: &User,
        keep: Option<&Handle>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut spared: Vec<Handle> = keep.cloned().into_iter().collect();
        let mut destroyed = 0_usize;
        let mut is_first = true;
        loop {
            let mut handles = self.handles(user, Some(now)).await?;
            handles.retain(|handle| !spared.contains(handle));
            if handles.is_empty() && !is_first {
                return Ok(destroyed);
            }
            is_first = false;
            let revocations: Vec<_> = stream::iter(handles)
                .map(|handle| self.revoke_any(user, handle, keep, now))
                .buffer_unordered(CONCURRENCY)
                .try_collect()
                .await?;
            let mut has_progress = false;
            let mut throttled = None;
            for revocation in revocations {
                has_progress |= !matches!(revocation, Revocation::Throttled(_));
                match revocation {
                    Revocation::Session => destroyed = destroyed.saturating_add(1),
                    Revocation::NoSession => {}
                    Revocation::Spared(handle) => spared.push(handle),
                    Revocation::Throttled(error) => throttled = Some(error),
                }
            }
            if let Some(error) = throttled.filter(|_| !has_progress) {
                return Err(error);
            }
            tokio::time::sleep(INDEX_LAG).await;
        }
    }

    /// Deletes an item of a user, live or not, unless it is the successor of `keep`.
    async fn revoke_any(
        &self,
        user: &User,
        handle: Handle,
        keep: Option<&Handle>,
        now: Timestamp,
    ) -> Result<Revocation, StoreError> {
        let condition = condition::if_owned(user, keep, now);
        let deletion = match self.delete_item(&handle, condition, ReturnValue::AllOld).await {
            Err(error @ StoreError::Throttled(_)) => return Ok(Revocation::Throttled(error)),
            deletion => deletion?,
        };
        Ok(match deletion {
            // An id in its grace period is deleted too, but is not a session. Neither is a corrupt item.
            Ok(item) => match (item::is_live(&item, self.liveness(now)), item::successor(&item)) {
                (Ok(true), Ok(None)) => Revocation::Session,
                _ => Revocation::NoSession,
            },
            Err(Refusal { item: Some(_), .. }) => Revocation::Spared(handle),
            // An earlier attempt whose response was lost has deleted it.
            Err(Refusal { item: None, is_in_doubt: true }) => Revocation::Session,
            Err(Refusal { item: None, is_in_doubt: false }) => Revocation::NoSession,
        })
    }

    /// Destroys one session of a user that was created by `now` (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the user has no live session with this handle.
    pub async fn revoke(
        &self,
        user: &User,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = condition::if_live_and_owned(user, self.liveness(now));
        match self.delete_item(handle, condition, ReturnValue::None).await? {
            // An earlier attempt may have destroyed the session. It is gone either way.
            Err(Refusal { item: None, is_in_doubt: true }) | Ok(_) => Ok(()),
            Err(Refusal { is_in_doubt: true, .. }) => Err(StoreError::OutcomeUnknown),
            Err(_) => Err(StoreError::NotFound),
        }
    }

    /// Destroys the oldest sessions of a user until at most `limit` are left. `current` is one of those
    /// that are left, however old it is (as many calls as [`Self::list`], and one `DeleteItem` for each
    /// session that is destroyed).
    ///
    /// # Errors
    /// Errors of the calls. Some sessions may be destroyed by then.
    pub async fn limit_sessions(
        &self,
        user: &User,
        current: &Handle,
        limit: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sessions = self.list(user, now).await?;
        let others = sessions.into_iter().filter(|session| session.handle != *current);
        stream::iter(others.skip(limit.saturating_sub(1)))
            .map(|session| async move {
                match self.revoke(user, &session.handle, now).await {
                    Err(StoreError::NotFound) => Ok(()),
                    revoked => revoked,
                }
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Reads the handles of all items of a user that were created by a moment, newest first. A key that is
    /// not a handle is logged and left out.
    async fn handles(
        &self,
        user: &User,
        created_by: Option<Timestamp>,
    ) -> Result<Vec<Handle>, StoreError> {
        let created_by = created_by.map_or(u64::MAX, Timestamp::millis);
        let mut handles = Vec::new();
        let mut from = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&*self.table)
                .index_name(USER_INDEX)
                .key_condition_expression("#user = :user AND #created <= :created_by")
                .expression_attribute_names("#user", USER)
                .expression_attribute_names("#created", CREATED)
                .expression_attribute_names("#id", ID)
                .expression_attribute_values(":user", item::text(user.expose()))
                .expression_attribute_values(":created_by", item::number(created_by))
                .projection_expression("#id")
                .scan_index_forward(false)
                .set_exclusive_start_key(from)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .customize()
                .interceptor(self.meter.clone())
                .send()
                .await?;
            self.meter.add_capacity(output.consumed_capacity())?;
            for item in output.items() {
                match item::handle(item) {
                    Ok(handle) => handles.push(handle),
                    Err(cause) => log_unreadable("-", &cause),
                }
            }
            from = output.last_evaluated_key;
            if from.is_none() {
                return Ok(handles);
            }
        }
    }
}

/// Outcome of [`SessionStore::revoke_all`] for one item.
enum Revocation {
    /// It was a live session, and was destroyed.
    Session,
    /// It was gone, or was no live session and was deleted.
    NoSession,
    /// It is the session to keep, or no longer belongs to the user.
    Spared(Handle),
    /// DynamoDB throttled the deletion. The item may still be there.
    Throttled(StoreError),
}

/// Logs an item that this code did not write.
fn log_unreadable(handle: &str, cause: &CorruptItem) {
    tracing::warn!(handle, %cause, "an item of a user was left out");
}
