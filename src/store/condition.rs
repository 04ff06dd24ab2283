//! Conditions for writes, and why they weren't met. DynamoDB returns the item with a refusal; we work out the
//! reason from that.

use super::error::StoreError;
use super::expression::Expression;
use super::item::{
    self, CREATED, CorruptItem, ETAG, EXPIRES, ID, Item, LOCK, LOCK_UNTIL, Lock, OWNED,
    PREDECESSOR, SUCCESSOR, SealedSession, USER, WRITES,
};
use crate::session::{
    ETagCondition, Handle, Liveness, LockCondition, MAX_CLOCK_SKEW, Timestamp, User, WriteId,
};

/// Requires that no live session has the id, not even one that was rotated away and is still in its grace period.
pub(super) fn if_absent(live: Liveness) -> Expression {
    Expression::default()
        .push_condition(&format!(
            "attribute_not_exists(#{ID}) OR #{EXPIRES} <= :now OR #{CREATED} < :live_from"
        ))
        .value(":now", item::number(live.now.seconds()))
        .value(":live_from", item::number(live.live_from.millis()))
}

/// Requires that no live session has the id, unless the session was rotated away to the handle `successor`: then it may
/// return.
pub(super) fn if_absent_or_left_for(live: Liveness, successor: &Handle) -> Expression {
    if_absent(live)
        .push_condition(&format!(" OR #{SUCCESSOR} = :successor"))
        .value(":successor", item::text(successor.as_str()))
}

/// Requires that no live session has the id, or that the item has this revision.
pub(super) fn if_absent_or_as_read(live: Liveness, revision: &WriteId) -> Expression {
    if_absent(live)
        .push_condition(&format!(" OR #{} = :revision", WRITES[0]))
        .value(":revision", item::text(revision.as_str()))
}

/// Returns why [`if_absent`] was refused. An id in its grace period counts as taken, but we don't reveal its data.
pub(super) fn reason_not_absent(item: Option<Item>) -> StoreError {
    let item = item.unwrap_or_default();
    match item::lifetime(&item).and_then(|_| item::successor(&item)) {
        Ok(None) => StoreError::AlreadyExists(Some(Box::new(SealedSession(item)))),
        Ok(Some(_)) => StoreError::AlreadyExists(None),
        Err(corrupt) => corrupt.into(),
    }
}

/// Requires that no live session has the id, or else that the session wasn't rotated away, was created before the
/// request arrived, and has the required version of its data. That way, a late attempt doesn't destroy a session
/// created after the request.
pub(super) fn if_absent_or_matching(etag: &ETagCondition, live: Liveness) -> Expression {
    let current = format!(" OR (attribute_not_exists(#{SUCCESSOR}) AND #{CREATED} <= :arrived");
    and_etag(if_absent(live).push_condition(&current), etag)
        .push_condition(")")
        .value(":arrived", item::number(live.arrived.millis()))
}

/// Requires a session of this user, live or not, that was created no later than `by` and isn't the successor of
/// `keep`.
pub(super) fn if_owned(user: &User, keep: Option<&Handle>, by: Timestamp) -> Expression {
    let owned = Expression::default()
        .push_condition(&format!("#{USER} = :user AND #{CREATED} <= :by"))
        .value(":user", item::text(user.expose()))
        .value(":by", item::number(by.millis()));
    match keep {
        None => owned,
        Some(keep) => owned
            .push_condition(&format!(
                " AND (attribute_not_exists(#{PREDECESSOR}) OR #{PREDECESSOR} <> :keep)"
            ))
            .value(":keep", item::text(keep.as_str())),
    }
}

/// Requires a session that has belonged to this user since exactly this moment, in epoch milliseconds.
pub(super) fn if_owned_since(user: &User, owned: u64) -> Expression {
    Expression::default()
        .push_condition(&format!("#{USER} = :user AND #{OWNED} = :owned"))
        .value(":user", item::text(user.expose()))
        .value(":owned", item::number(owned))
}

/// Requires a live session that belongs to this user.
pub(super) fn if_live_and_owned(user: &User, live: Liveness) -> Expression {
    if_live(live)
        .push_condition(&format!(" AND #{USER} = :user"))
        .value(":user", item::text(user.expose()))
}

/// Requires a live session that wasn't rotated away and was created before the request arrived. That way, a late
/// attempt never changes a new session under the same id.
fn if_live(live: Liveness) -> Expression {
    Expression::default()
        .push_condition(&format!(
            "#{EXPIRES} > :now AND #{CREATED} >= :live_from AND #{CREATED} <= :arrived AND \
             attribute_not_exists(#{SUCCESSOR})"
        ))
        .value(":now", item::number(live.now.seconds()))
        .value(":live_from", item::number(live.live_from.millis()))
        .value(":arrived", item::number(live.arrived.millis()))
}

/// Returns why the item can't be the live session that the request means, or `None` if it can.
pub(super) fn reason_not_live(
    item: &Item,
    live: Liveness,
) -> Result<Option<StoreError>, CorruptItem> {
    if !item::is_current(item, live)? {
        return Ok(Some(StoreError::NotFound));
    }
    let created = item::lifetime(item)?.created;
    Ok(if created <= live.arrived {
        None
    } else if created <= live.now || created.since(live.arrived) > MAX_CLOCK_SKEW {
        // It was created while the request was waiting here, or well after it arrived.
        Some(StoreError::NotFound)
    } else {
        // Either the attempt is late, or the clock of the machine that created the session is ahead.
        Some(StoreError::OutcomeUnknown)
    })
}

/// The version of the session that a write requires.
#[derive(Clone, Copy)]
pub(super) enum Version<'a> {
    /// The version of the data that the caller requires.
    Data(&'a ETagCondition),
    /// The session exactly as it was read before: the item has this revision.
    AsRead(&'a WriteId),
}

/// What a change to a live session requires.
#[derive(Clone, Copy)]
pub(super) struct Requirements<'a> {
    pub(super) live: Liveness,
    pub(super) version: Version<'a>,
    pub(super) lock: &'a LockCondition,
}

impl Requirements<'_> {
    /// Requires a live session that wasn't rotated away, with the required version and lock.
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

    /// Returns why the item doesn't meet [`Self::condition`], or `None` if it does. Every write checks in the same
    /// order: whether the session exists, then its lock, then its version.
    pub(super) fn refusal(&self, item: &Item) -> Result<Option<StoreError>, CorruptItem> {
        if let Some(reason) = reason_not_live(item, self.live)? {
            return Ok(Some(reason));
        }
        let lock = item::lock(item)?;
        if !admits(self.lock, lock.as_ref(), self.live.now) {
            return Ok(Some(match lock.filter(|lock| lock.until > self.live.now) {
                Some(lock) => StoreError::Locked { until: lock.until },
                None => StoreError::NotLockHolder,
            }));
        }
        Ok(match self.version {
            Version::Data(etag) if !etag.matches(&item::etag(item)?) => {
                Some(StoreError::ETagMismatch(Box::new(SealedSession(item.clone()))))
            }
            Version::AsRead(revision) if item::recent_writes(item)?.revision() != revision => {
                Some(StoreError::Changed)
            }
            _ => None,
        })
    }
}

/// Adds the condition on the lock. An expired lease doesn't keep others from writing, but its holder may still
/// write too, until another request takes the lock.
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

/// Whether an item's lock meets the condition: the same check that [`and_lock`] leaves to DynamoDB.
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
    if etags.is_empty() {
        // DynamoDB refuses an empty list. Every session has a version, so this condition is never met.
        return expression.push_condition(&format!(" AND attribute_not_exists(#{ETAG})"));
    }
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
    fn expired_lease_allows_its_holder_and_anyone_without_a_token() {
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
