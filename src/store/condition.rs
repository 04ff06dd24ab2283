//! Conditions of writes. Next to each is the reason for its refusal, derived from the item that
//! DynamoDB returns with the refusal.

use super::error::StoreError;
use super::expression::Expression;
use super::item::{
    self, CorruptItem, DEADLINE, ETAG, EXPIRES, ID, Item, LOCK, LOCK_UNTIL, Lock, SUCCESSOR,
    SealedSession, USER,
};
use crate::session::{ETagCondition, LockCondition, Timestamp, User};

/// Requires that no live session has the id, not even one that was rotated away and is in its grace
/// period.
pub(super) fn if_absent(now: Timestamp) -> Expression {
    Expression::default()
        .push_condition(&format!(
            "attribute_not_exists(#{ID}) OR #{EXPIRES} <= :now OR #{DEADLINE} <= :now"
        ))
        .value(":now", item::number(now.seconds()))
}

/// Returns the reason why [`if_absent`] was refused.
pub(super) fn reason_not_absent(item: Option<Item>) -> StoreError {
    let item = item.unwrap_or_default();
    match item::lifetime(&item) {
        Ok(_) => StoreError::AlreadyExists(Box::new(SealedSession(item))),
        Err(corrupt) => corrupt.into(),
    }
}

/// Requires that no live session has the id, or that its data has the required version and it was not
/// rotated away.
pub(super) fn if_absent_or_matching(etag: &ETagCondition, now: Timestamp) -> Expression {
    let matching = format!("attribute_not_exists(#{SUCCESSOR}){}", etag_clause(etag));
    with_etags(if_absent(now).push_condition(&format!(" OR ({matching})")), etag)
}

/// Returns the reason why [`if_absent_or_matching`] was refused.
pub(super) fn reason_not_matching(item: Option<Item>) -> StoreError {
    let Some(item) = item else { return StoreError::NotFound };
    match item::successor(&item) {
        Ok(None) => StoreError::ETagMismatch(Box::new(SealedSession(item))),
        Ok(Some(_)) => StoreError::NotFound,
        Err(corrupt) => corrupt.into(),
    }
}

/// Requires that the item belongs to this user, whether it is live or not.
pub(super) fn if_owned(user: &User) -> Expression {
    Expression::default()
        .push_condition(&format!("#{USER} = :user"))
        .value(":user", item::text(user.expose()))
}

/// Requires a live session of this user. If it is refused, the user has no such session.
pub(super) fn if_live_and_owned(user: &User, now: Timestamp) -> Expression {
    if_live(now)
        .push_condition(&format!(" AND #{USER} = :user"))
        .value(":user", item::text(user.expose()))
}

/// Requires a live session that was not rotated away.
pub(super) fn if_live(now: Timestamp) -> Expression {
    Expression::default()
        .push_condition(&format!(
            "#{EXPIRES} > :now AND (attribute_not_exists(#{DEADLINE}) OR #{DEADLINE} > :now) AND \
             attribute_not_exists(#{SUCCESSOR})"
        ))
        .value(":now", item::number(now.seconds()))
}

/// Returns the reason why [`if_live`] was refused.
pub(super) fn reason_not_live(item: Option<Item>) -> StoreError {
    match item.as_ref().map(item::lifetime) {
        Some(Err(corrupt)) => corrupt.into(),
        Some(Ok(_)) | None => StoreError::NotFound,
    }
}

/// What a change of a live session requires beyond [`if_live`].
#[derive(Clone, Copy)]
pub(super) struct Requirements<'a> {
    pub(super) etag: &'a ETagCondition,
    pub(super) lock: &'a LockCondition,
    pub(super) now: Timestamp,
}

impl Requirements<'_> {
    /// Requires a live session that was not rotated away, with data of the required version and with
    /// the lock as required.
    pub(super) fn condition(&self) -> Expression {
        let live = if_live(self.now).push_condition(&etag_clause(self.etag));
        and_lock(with_etags(live, self.etag), self.lock, self.now)
    }

    /// Returns the reason why [`Self::condition`] was refused.
    pub(super) fn refusal_reason(&self, item: Option<Item>) -> StoreError {
        let Some(item) = item else { return StoreError::NotFound };
        self.reason(item).unwrap_or_else(Into::into)
    }

    fn reason(&self, item: Item) -> Result<StoreError, CorruptItem> {
        if !item::lifetime(&item)?.is_live(self.now) || item::successor(&item)?.is_some() {
            return Ok(StoreError::NotFound);
        }
        let lock = item::lock(&item)?;
        if admits(self.lock, lock.as_ref(), self.now) {
            return Ok(StoreError::ETagMismatch(Box::new(SealedSession(item))));
        }
        Ok(match lock.filter(|lock| lock.until > self.now) {
            Some(lock) => StoreError::Locked { until: lock.until },
            None => StoreError::NotLockHolder,
        })
    }
}

/// Adds the condition on the lock. An expired lease does not keep others from writing. Its holder may
/// still write until another request takes the lock.
fn and_lock(expression: Expression, condition: &LockCondition, now: Timestamp) -> Expression {
    match condition {
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
        LockCondition::NotLocked => lock.is_none_or(|lock| lock.until <= now),
        LockCondition::HeldBy(token) | LockCondition::HeldByThenRelease(token) => {
            lock.is_some_and(|lock| lock.token == *token)
        }
    }
}

/// Returns the condition on the version, to follow another one.
fn etag_clause(condition: &ETagCondition) -> String {
    match condition {
        ETagCondition::Any => String::new(),
        ETagCondition::OneOf(etags) => {
            let keys: Vec<_> = (0..etags.len()).map(|n| format!(":etag{n}")).collect();
            format!(" AND #{ETAG} IN ({})", keys.join(", "))
        }
    }
}

/// Adds the values of [`etag_clause`].
fn with_etags(expression: Expression, condition: &ETagCondition) -> Expression {
    let etags = match condition {
        ETagCondition::Any => &[],
        ETagCondition::OneOf(etags) => etags.as_slice(),
    };
    etags.iter().enumerate().fold(expression, |expression, (n, etag)| {
        expression.value(&format!(":etag{n}"), item::text(etag.as_str()))
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
