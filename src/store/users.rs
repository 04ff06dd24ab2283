//! A user's sessions, found through an index.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::SessionStore;
use super::call::Sent;
use super::condition;
use super::error::StoreError;
use super::expression::Expression;
use super::item::{self, CREATED, CorruptItem, ID, Item, USER, USER_INDEX};
use crate::session::{Handle, Liveness, MAX_CLOCK_SKEW, Metadata, Timestamp, User};

/// How many items to read or delete concurrently.
const CONCURRENCY: usize = 16;

/// How many sessions to read before ending those beyond the limit. That way, every call makes progress, even if the
/// user has more sessions than one call can read.
const CHUNK: usize = 256;

/// How long queries of the index must keep finding nothing new. The index lags the table by a fraction of a second.
const INDEX_LAG: Duration = Duration::from_secs(1);
/// Wait between two queries of the index.
const QUERY_DELAY: Duration = Duration::from_millis(250);

/// One of a user's sessions.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// Public name.
    pub handle: Handle,
    /// Handle of the id that the session was rotated from, if it was.
    pub predecessor: Option<Handle>,
    /// When it got its owner, in epoch milliseconds.
    owned: u64,
    /// Everything but the data.
    pub metadata: Metadata,
}

/// Which of a user's sessions to end.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// All except this one and the one that it was rotated to.
    AllBut(Option<&'a Handle>),
    /// The oldest ones beyond a limit: those that got their owner first or, in a tie, have the smaller handle. All
    /// requests agree on this order, so simultaneous logins never end each other.
    Oldest {
        /// How many sessions to leave.
        limit: usize,
    },
}

/// An item that the index lists for a user.
enum Found {
    Live(SessionSummary),
    /// It has ended, and DynamoDB's TTL hasn't deleted it yet.
    Ended(SessionSummary),
    /// It belongs to another user, is an id in its grace period, or can't be read.
    Other(Handle),
    /// It's gone, but the index still shows it.
    Nothing,
}

/// The outcome of one query of the index and the deletions that follow.
#[derive(Default)]
struct Pass {
    /// How many live sessions ended.
    ended: usize,
    /// Items that the request leaves alone.
    spared: Vec<Handle>,
}

/// The outcome of one deletion.
enum Deletion {
    /// The item was a live session, and was deleted.
    Session,
    /// The item was already gone, or was deleted but wasn't a live session.
    NoSession,
    /// The item didn't meet the condition.
    Refused(Handle),
    /// DynamoDB throttled the deletion. The item may still be there.
    Throttled(StoreError),
}

impl SessionStore {
    /// Lists a user's live sessions, newest first (one `Query` per 1 MB of the index, one `GetItem` per session).
    /// The index doesn't contain the expiry: if it did, every touch would write to it.
    ///
    /// An item that can't be read is logged and left out.
    ///
    /// # Errors
    /// Only those that any method can return.
    pub async fn list(&self, user: &User) -> Result<Vec<SessionSummary>, StoreError> {
        let found = self.find(user, &self.handles(user, None).await?).await?;
        Ok(found
            .into_iter()
            .filter_map(|found| match found {
                Found::Live(session) => Some(session),
                _ => None,
            })
            .collect())
    }

    /// Ends sessions that a user has when the request arrives (at least five `Query` calls, one `DeleteItem` per
    /// session that ends, and with a limit also one `GetItem` per item). Returns how many ended. A session that's
    /// being rotated is found under its new id.
    ///
    /// The index is eventually consistent, so we keep querying until we've found nothing new for a second, or until
    /// the caller's time limit. Clocks differ, so sessions created up to [`MAX_CLOCK_SKEW`] after the request
    /// arrived count too. Throttled deletions are retried as long as others succeed: all of a user's sessions share
    /// a partition of the index, which allows 1,000 deletions a second.
    ///
    /// # Errors
    /// Only those that any method can return. Some sessions may already have ended.
    pub async fn end_sessions(&self, user: &User, ending: Ending<'_>) -> Result<usize, StoreError> {
        let by = self.arrived.after(MAX_CLOCK_SKEW);
        let mut spared: Vec<Handle> = match ending {
            Ending::AllBut(keep) => keep.cloned().into_iter().collect(),
            Ending::Oldest { .. } => Vec::new(),
        };
        let mut ended = 0_usize;
        let mut quiet_since: Option<Instant> = None;
        loop {
            let mut handles = self.handles(user, Some(by)).await?;
            if handles.iter().all(|handle| spared.contains(handle)) {
                if quiet_since.get_or_insert_with(Instant::now).elapsed() >= INDEX_LAG {
                    return Ok(ended);
                }
            } else {
                quiet_since = None;
                let pass = match ending {
                    Ending::AllBut(keep) => {
                        handles.retain(|handle| !spared.contains(handle));
                        let condition = || condition::if_owned(user, keep, by);
                        self.delete(handles.into_iter().map(|handle| (handle, condition()))).await?
                    }
                    Ending::Oldest { limit } => self.end_oldest(user, &handles, limit).await?,
                };
                ended = ended.saturating_add(pass.ended);
                spared.extend(pass.spared);
            }
            tokio::time::sleep(QUERY_DELAY).await;
        }
    }

    /// Ends a user's oldest sessions beyond a limit, and deletes sessions that are no longer live.
    async fn end_oldest(
        &self,
        user: &User,
        handles: &[Handle],
        limit: usize,
    ) -> Result<Pass, StoreError> {
        let mut newest: Vec<SessionSummary> = Vec::new();
        let mut pass = Pass::default();
        for chunk in handles.chunks(CHUNK) {
            let mut too_old = Vec::new();
            for found in self.find(user, chunk).await? {
                match found {
                    Found::Live(session) => newest.push(session),
                    Found::Ended(session) => too_old.push(session),
                    Found::Other(handle) => pass.spared.push(handle),
                    Found::Nothing => {}
                }
            }
            // A session that's being rotated may have been read under both its ids.
            let former: Vec<_> = newest.iter().filter_map(|new| new.predecessor.clone()).collect();
            newest.retain(|session| !former.contains(&session.handle));
            newest.sort_by(|a, b| (b.owned, b.handle.as_str()).cmp(&(a.owned, a.handle.as_str())));
            too_old.extend(newest.drain(limit.min(newest.len())..));
            // If a session's owner has been set again since the read, the next pass looks at it again.
            let deletions = too_old.into_iter().map(|session| {
                let condition = condition::if_owned_since(user, session.owned);
                (session.handle, condition)
            });
            pass.ended = pass.ended.saturating_add(self.delete(deletions).await?.ended);
        }
        pass.spared.extend(newest.into_iter().map(|session| session.handle));
        Ok(pass)
    }

    /// Ends one of a user's sessions, if it was created before the request arrived (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the user has no live session with this handle.
    pub async fn revoke(&self, user: &User, handle: &Handle) -> Result<(), StoreError> {
        let live = self.liveness(self.arrived);
        let condition = condition::if_live_and_owned(user, live);
        match self.delete_item(handle, condition, ReturnValue::None).await? {
            // An earlier attempt may have ended the session. Either way, it's gone.
            Sent::Applied(_) | Sent::Refused { item: None, is_in_doubt: true } => Ok(()),
            Sent::Refused { is_in_doubt: true, .. } => Err(StoreError::OutcomeUnknown),
            Sent::Refused { item: Some(item), .. } if item::user(&item)?.as_ref() == Some(user) => {
                Err(condition::reason_not_live(&item, live)?.unwrap_or(StoreError::NotFound))
            }
            Sent::Refused { .. } => Err(StoreError::NotFound),
        }
    }

    /// Reads items that the index lists for a user.
    async fn find(&self, user: &User, handles: &[Handle]) -> Result<Vec<Found>, StoreError> {
        stream::iter(handles.iter().cloned())
            .map(|handle| self.find_one(user, handle))
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn find_one(&self, user: &User, handle: Handle) -> Result<Found, StoreError> {
        let Some(item) = self.get_item(&handle, item::METADATA).await? else {
            return Ok(Found::Nothing);
        };
        let found = found(&item, &handle, user, self.liveness(self.arrived));
        Ok(found.unwrap_or_else(|cause| {
            log_unreadable(handle.prefix(), &cause);
            Found::Other(handle)
        }))
    }

    /// Deletes items, each under its own condition.
    async fn delete(
        &self,
        items: impl Iterator<Item = (Handle, Expression)>,
    ) -> Result<Pass, StoreError> {
        let deletions: Vec<_> = stream::iter(items)
            .map(|(handle, condition)| self.delete_one(handle, condition))
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut pass = Pass::default();
        let mut has_progress = false;
        let mut throttled = None;
        for deletion in deletions {
            has_progress |= !matches!(deletion, Deletion::Throttled(_));
            match deletion {
                Deletion::Session => pass.ended = pass.ended.saturating_add(1),
                Deletion::NoSession => {}
                Deletion::Refused(handle) => pass.spared.push(handle),
                Deletion::Throttled(error) => throttled = Some(error),
            }
        }
        match throttled {
            Some(error) if !has_progress => Err(error),
            _ => Ok(pass),
        }
    }

    async fn delete_one(
        &self,
        handle: Handle,
        condition: Expression,
    ) -> Result<Deletion, StoreError> {
        let sent = match self.delete_item(&handle, condition, ReturnValue::AllOld).await {
            Err(error @ StoreError::Throttled(_)) => return Ok(Deletion::Throttled(error)),
            sent => sent?,
        };
        Ok(match sent {
            // An id in its grace period is deleted too, but doesn't count as a session. Neither does a corrupt
            // item.
            Sent::Applied(item) => match item::is_current(&item, self.liveness(self.arrived)) {
                Ok(true) => Deletion::Session,
                _ => Deletion::NoSession,
            },
            Sent::Refused { item: Some(_), .. } => Deletion::Refused(handle),
            // Presumably, an earlier attempt whose response was lost has deleted it.
            Sent::Refused { item: None, is_in_doubt: true } => Deletion::Session,
            Sent::Refused { item: None, is_in_doubt: false } => Deletion::NoSession,
        })
    }

    /// Reads the handles of a user's items that were created up to some moment, newest first. Keys that aren't
    /// handles are logged and skipped.
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

/// Works out what kind of item the index has listed for a user.
fn found(item: &Item, handle: &Handle, user: &User, live: Liveness) -> Result<Found, CorruptItem> {
    let metadata = item::metadata(item)?;
    if metadata.user.as_ref() != Some(user) {
        return Ok(Found::Other(handle.clone()));
    }
    let (handle, predecessor) = (handle.clone(), item::predecessor(item)?);
    let session = SessionSummary { handle, predecessor, owned: item::owned(item)?, metadata };
    Ok(match (item::is_live(item, live)?, item::successor(item)?) {
        (false, _) => Found::Ended(session),
        (true, None) => Found::Live(session),
        (true, Some(_)) => Found::Other(session.handle),
    })
}

/// Logs an item that this code didn't write.
fn log_unreadable(handle: &str, cause: &CorruptItem) {
    tracing::warn!(handle, %cause, "left an unreadable item out of a user's sessions");
}
