//! What all writes to a session have in common.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition::{Requirements, Version};
use super::error::StoreError;
use super::expression::Expression;
use super::item::{self, Item};
use crate::session::{Change, Label, Liveness, LockCondition, SessionId, Timestamp, User, WriteId};

/// Changes to a session's attributes. Any write that extends the expiry can make them.
#[derive(Debug, Clone)]
pub struct AttributeChanges {
    /// New idle lifetime, in whole seconds; `None` keeps the current one.
    pub ttl: Option<Duration>,
    /// Change to the owner.
    pub user: Change<User>,
    /// Change to the label.
    pub label: Change<Label>,
}

/// A write to a live session, apart from what it does to the data.
#[derive(Debug, Clone)]
pub struct Write {
    /// Id of the write. A retry with the same id isn't applied again.
    pub id: WriteId,
    /// Changes to the attributes.
    pub attributes: AttributeChanges,
    /// What the write requires of the lock, and whether it releases it.
    pub lock: LockCondition,
}

impl Write {
    pub(super) fn requires<'a>(&'a self, version: Version<'a>, live: Liveness) -> Requirements<'a> {
        Requirements { live, version, lock: &self.lock }
    }
}

/// The item after a write.
pub(super) enum Written {
    /// The write was applied. Holds the attributes that the call asked for.
    Now(Item),
    /// An earlier attempt at the write was applied.
    Before {
        /// The current item.
        item: Item,
        /// Whether this very call may have made that attempt and lost the response.
        is_in_doubt: bool,
    },
}

impl SessionStore {
    /// Changes a live session: its attributes, its expiry, its lock if the write releases it, and whatever `change`
    /// adds (one `UpdateItem`, and another if `MAX_TTL` or `MAX_LIFETIME` has been lowered since the session got its
    /// idle lifetime).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock isn't as
    /// required; [`StoreError::ETagMismatch`] or [`StoreError::Changed`] if the version isn't.
    pub(super) async fn update(
        &self,
        id: &SessionId,
        write: &Write,
        version: Version<'_>,
        change: impl Fn(Expression) -> Expression,
        returned: ReturnValue,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let required = write.requires(version, self.liveness(now));
        let AttributeChanges { mut ttl, user, label } = write.attributes.clone();
        let max_ttl = self.limits.clamp(Duration::MAX);
        loop {
            let update = required
                .condition()
                .slide_expiry(ttl, max_ttl, now)
                .change_user(&user, now)
                .change_label(&label);
            let update = if write.lock.releases() { update.release_lock() } else { update };
            let sent = self.update_item(
                id.handle(),
                change(update),
                &write.id,
                required.live,
                returned.clone(),
            );
            let item = match sent.await? {
                WriteOutcome::Applied(item) => return Ok(Written::Now(item)),
                WriteOutcome::AppliedBefore { item, is_in_doubt } => {
                    return Ok(Written::Before { item, is_in_doubt });
                }
                WriteOutcome::Refused(item) => item.ok_or(StoreError::NotFound)?,
            };
            match required.refusal(&item)? {
                Some(reason) => return Err(reason),
                None if ttl.is_none() && item::ttl(&item)? > max_ttl => ttl = Some(max_ttl),
                // The item explains every refusal, unless DynamoDB returned a later state of it.
                None => return Err(StoreError::Changed),
            }
        }
    }
}
