//! Conditions of writes. Next to each is the reason for its refusal, derived from the item that
//! DynamoDB returns with the refusal.

use super::error::StoreError;
use super::expression::Expression;
use super::item::{
    self, CREATED, CorruptItem, DEADLINE, ETAG, EXPIRES, ID, Item, LOCK, LOCK_UNTIL, Lock,
    PREDECESSOR, SUCCESSOR, SealedSession, USER, WRITES,
};
use crate::session::{ETagCondition, Handle, Liveness, LockCondition, Timestamp, User, WriteId};

/// Requires that no live session has the id, not even one that was rotated away and is in its grace
/// period.
pub(super) fn if_absent(live: Liveness) -> Expression {
    let absent = Expression::default()
        .push_condition(&format!(
            "attribute_not_exists(#{ID}) OR #{EXPIRES} <= :now OR #{DEADLINE} <= :now"
        ))
        .value(":now", item::number(live.now.seconds()));
    match live.revoked_before {
        None => absent,
        Some(moment) => absent
            .push_condition(&format!(" OR #{CREATED} < :revoked_before"))
            .value(":revoked_before", item::number(moment.millis())),
    }
}

/// Returns the reason why [`if_absent`] was refused. An id in its grace period is taken, but its data is
/// not given away.
pub(super) fn reason_not_absent(item: Option<Item>) -> StoreError {
    let item = item.unwrap_or_default();
    match item::lifetime(&item).and_then(|_| item::successor(&item)) {
        Ok(None) => StoreError::AlreadyExists(Some(Box::new(SealedSession(item)))),
        Ok(Some(_)) => StoreError::AlreadyExists(None),
        Err(corrupt) => corrupt.into(),
    }
}

/// Requires that no live session has the id, or that it was not rotated away, was created by `now`, and
/// its data has the required version. So a late attempt does not destroy a session that was created
/// after the request.
pub(super) fn if_absent_or_matching(etag: &ETagCondition, live: Liveness) -> Expression {
    let current = format!(" OR (attribute_not_exists(#{SUCCESSOR}) AND #{CREATED} <= :arrived");
    and_etag(if_absent(live).push_condition(&current), etag)
        .push_condition(")")
        .value(":arrived", item::number(live.now.millis()))
}

/// Requires a session of this user that was created by `now`, whether it is live or not, and that is not
/// the successor of `keep`.
pub(super) fn if_owned(user: &User, keep: Option<&Handle>, now: Timestamp) -> Expression {
    let owned = Expression::default()
        .push_condition(&format!("#{USER} = :user AND #{CREATED} <= :arrived"))
        .value(":user", item::text(user.expose()))
        .value(":arrived", item::number(now.millis()));
    match keep {
        None => owned,
        Some(keep) => owned
            .push_condition(&format!(
                " AND (attribute_not_exists(#{PREDECESSOR}) OR #{PREDECESSOR} <> :keep)"
            ))
            .value(":keep", item::text(keep.as_str())),
    }
}

/// Requires a live session of this user. If it is refused, the user has no such session.
pub(super) fn if_live_and_owned(user: &User, live: Liveness) -> Expression {
    if_live(live)
        .push_condition(&format!(" AND #{USER} = :user"))
        .value(":user", item::text(user.expose()))
}

/// Requires a live session that was not rotated away, and that was created by `now`. So a late attempt
/// never changes a session that was created again under the same id.
fn if_live(live: Liveness) -> Expression {
    let expression = Expression::default()
        .push_condition(&format!(
            "#{EXPIRES} > :now AND (attribute_not_exists(#{DEADLINE}) OR #{DEADLINE} > :now) AND \
             attribute_not_exists(#{SUCCESSOR}) AND #{CREATED} <= :arrived"
        ))
        .value(":now", item::number(live.now.seconds()))
        .value(":arrived", item::number(live.now.millis()));
    match live.revoked_before {
        None => expression,
        Some(moment) => expression
            .push_condition(&format!(" AND #{CREATED} >= :revoked_before"))
            .value(":revoked_before", item::number(moment.millis())),
    }
}

/// What a write requires of the version of the session.
#[derive(Clone, Copy)]
pub(super) enum Version<'a> {
    /// A version of the data, as the caller requires it.
    Data(&'a ETagCondition),
    /// The session exactly as it was read before: the item has this revision.
    AsRead(&'a WriteId),
}

/// What a change of a live session requires.
#[derive(Clone, Copy)]
pub(super) struct Requirements<'a> {
    pub(super) live: Liveness,
    pub(super) version: Version<'a>,
    pub(super) lock: &'a LockCondition,
}

impl Requirements<'_> {
    /// Requires a live session that was not rotated away, in the required version and with the lock as
    /// required.
    pub(super) fn condition(&self) -> Expression {
        let live = if_live(self.live);
        let versioned = match self.version {
            Version::Data(etag) => and_etag(live, etag),
            Version::AsRead(revision) => live
                .push_condition(&format!(" AND #{} = :revision", WRITES[0]))
                .value(":revision", item::text(revision.as_str())),
        };
        and_lock(versioned, self.lock, self.live.now)
    }

    /// Returns the reason why [`Self::condition`] was refused.
    pub(super) fn refusal_reason(&self, item: Option<Item>) -> StoreError {
        let Some(item) = item else { return StoreError::NotFound };
        self.reason(item).unwrap_or_else(Into::into)
    }

    fn reason(&self, item: Item) -> Result<StoreError, CorruptItem> {
        if !item::is_live(&item, self.live)? || item::successor(&item)?.is_some() {
            return Ok(StoreError::NotFound);
        }
        if item::created(&item)? > self.live.now {
            // The attempt is late, or the clock of the machine that created the session is ahead.
            return Ok(StoreError::OutcomeUnknown);
        }
        let lock = item::lock(&item)?;
        if admits(self.lock, lock.as_ref(), self.live.now) {
            return Ok(match self.version {
                Version::Data(_) => StoreError::ETagMismatch(Box::new(SealedSession(item))),
                Version::AsRead(_) => StoreError::Changed,
            });
        }
        Ok(match lock.filter(|lock| lock.until > self.live.now) {
            Some(lock) => StoreError::Locked { until: lock.until },
            None => StoreError::NotLockHolder,
        })
    }
}

/// Adds the condition on the lock. An expired lease does not keep others from writing. Its holder may
/// still write until another request takes the lock.
fn and_lock(expression: Expression, condition: &LockCondition, now: Timestamp) -> Expression {
    match condition {
        LockCondition::Any => expression,
        LockCondition::NotLocked => expression
            .push_condition(&format!(
                " AND (attribute_not_exists(#{LOCK}) OR #{LOCK_UNTIL} <= :now_ms)"
            ))
            .value(":now_ms", item::number(now.millis())),
        LockCondition::HeldBy(token) | LockCondition::HeldByThenRelease(token) => expression
            .push_condition(&format!(" AND #{LOCK} = :held"))
            .value(":held", item::text(token.expose())),
    }
}

/// Whether the lock of an item meets the condition: what [`and_lock`] has DynamoDB check.
fn admits(condition: &LockCondition, lock: Option<&Lock>, now: Timestamp) -> bool {
    match condition {
        LockCondition::Any => true,
        LockCondition::NotLocked => lock.is_none_or(|lock| lock.until <= now),
        LockCondition::HeldBy(token) | LockCondition::HeldByThenRelease(token) => {
            lock.is_some_and(|lock| lock.token == *token)
        }
    }
}

/// Adds the condition on the version of the data.
fn and_etag(expression: Expression, condition: &ETagCondition) -> Expression {
    let ETagCondition::OneOf(etags) = condition else {
        return expression;
    };
    let keys: Vec<_> = (0..etags.len()).map(|n| format!(":etag{n}")).collect();
    let clause = format!(" AND #{ETAG} IN ({})", keys.join(", "));
    keys.iter().zip(etags).fold(expression.push_condition(&clause), |expression, (key, etag)| {
        expression.value(key, item::text(etag.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::LockToken;

    #[test]
    fn expired_leases_admit_their_holder_and_everybody_without_a_token() {
        let (held, other) = (LockToken::generate().unwrap(), LockToken::generate().unwrap());
        let until = Timestamp::from_millis(1_000);
        let lock = Lock { token: held.clone(), until };
        let before = Timestamp::from_millis(999);
        for (condition, now, expected) in [
            (LockCondition::NotLocked, before, false),
            (LockCondition::NotLocked, until, true),
            (LockCondition::HeldBy(held.clone()), before, true),
            (LockCondition::HeldByThenRelease(held), until, true),
            (LockCondition::HeldBy(other.clone()), before, false),
            (LockCondition::HeldBy(other), until, false),
        ] {
            assert_eq!(admits(&condition, Some(&lock), now), expected, "{condition:?} at {now:?}");
        }
        assert!(admits(&LockCondition::NotLocked, None, before));
    }
}
