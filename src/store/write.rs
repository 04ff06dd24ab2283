//! What the writes of a session have in common.

use std::time::Duration;

use super::condition::{Requirements, Version};
use super::expression::Expression;
use super::item::{self, CorruptItem, Item, LABEL, USER};
use crate::session::{Change, Label, Lifetime, Liveness, LockCondition, Timestamp, User, WriteId};

/// Changes of a session's attributes, which any write that slides its expiry can make.
#[derive(Debug, Clone)]
pub struct AttributeChanges {
    /// New idle lifetime, in whole seconds; `None` keeps the current one.
    pub ttl: Option<Duration>,
    /// Change of the owner.
    pub user: Change<User>,
    /// Change of the label.
    pub label: Change<Label>,
}

/// A write to a live session, apart from what it does to the data.
#[derive(Debug, Clone)]
pub struct Write {
    /// Id of the write. A retry with the same id is not applied twice.
    pub id: WriteId,
    /// Changes of the attributes.
    pub attributes: AttributeChanges,
    /// What the write requires of the lock, and whether it releases it.
    pub lock: LockCondition,
}

impl Write {
    pub(super) fn requires<'a>(&'a self, version: Version<'a>, live: Liveness) -> Requirements<'a> {
        Requirements { live, version, lock: &self.lock }
    }

    /// Returns the lifetime that the write gave the session, if an earlier attempt was applied. For a
    /// write that names no lifetime, only the current one is known.
    pub(super) fn lifetime_before(
        &self,
        item: &Item,
        now: Timestamp,
    ) -> Result<Lifetime, CorruptItem> {
        let current = item::lifetime(item)?;
        Ok(self.attributes.ttl.map_or(current, |ttl| current.slid(now, ttl)))
    }

    /// Adds the changes of the attributes, the sliding of the expiry and the release of the lock.
    pub(super) fn apply(&self, expression: Expression, now: Timestamp) -> Expression {
        let AttributeChanges { ttl, user, label } = &self.attributes;
        let changed = expression.slide_expiry(*ttl, now).change(USER, user, User::expose).change(
            LABEL,
            label,
            Label::expose,
        );
        if self.lock.releases() { changed.release_lock() } else { changed }
    }
}
