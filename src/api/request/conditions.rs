//! What a request requires of the session's data and lock.

use super::Request;
use crate::api::header::{IF_MATCH, IF_NONE_MATCH, SESSION_LOCK, SESSION_UNLOCK};
use crate::api::problem::Problem;
use crate::session::{ETag, ETagCondition, LockCondition, LockToken};

/// Maximum number of entity tags in a header. DynamoDB's `IN` accepts 100.
const MAX_ETAGS: usize = 100;

/// Description of valid values for `Session-Lock` and `Session-Unlock`.
const LOCK_TOKEN: &str = "the token that came with the lock";

impl Request {
    /// Reads `Session-Lock`.
    pub(in crate::api) fn lock(&self) -> Result<Option<LockToken>, Problem> {
        self.parse(SESSION_LOCK, LockToken::parse, || LOCK_TOKEN.into())
    }

    /// Reads `Session-Unlock`.
    pub(in crate::api) fn unlock(&self) -> Result<Option<LockToken>, Problem> {
        self.parse(SESSION_UNLOCK, LockToken::parse, || LOCK_TOKEN.into())
    }

    /// Reads `Session-Unlock`, which is required.
    pub(in crate::api) fn required_unlock(&self) -> Result<LockToken, Problem> {
        let missing =
            || Problem::InvalidHeader { header: SESSION_UNLOCK, expected: LOCK_TOKEN.into() };
        self.unlock()?.ok_or_else(missing)
    }

    /// Reads what `Session-Lock` or `Session-Unlock` requires of the lock.
    pub(in crate::api) fn lock_condition(&self) -> Result<LockCondition, Problem> {
        match (self.lock()?, self.unlock()?) {
            (None, None) => Ok(LockCondition::NotLocked),
            (Some(token), None) => Ok(LockCondition::HeldBy(token)),
            (None, Some(token)) => Ok(LockCondition::HeldByThenRelease(token)),
            (Some(_), Some(_)) => Err(Problem::InvalidHeader {
                header: SESSION_LOCK,
                expected: "absent if Session-Unlock is present, which implies it".into(),
            }),
        }
    }

    /// Refuses lock headers on a request that creates the session.
    pub(in crate::api) fn refuse_lock(&self) -> Result<(), Problem> {
        for (header, token) in [(SESSION_LOCK, self.lock()?), (SESSION_UNLOCK, self.unlock()?)] {
            if token.is_some() {
                let expected = "absent on a request that creates the session".into();
                return Err(Problem::InvalidHeader { header, expected });
            }
        }
        Ok(())
    }

    /// Reads `If-Match`. Without it, any version matches. Strong comparison: a weak tag never matches.
    pub(in crate::api) fn if_match(&self) -> Result<ETagCondition, Problem> {
        let condition = self.etag_condition(IF_MATCH, |is_weak| !is_weak)?;
        Ok(condition.unwrap_or(ETagCondition::Any))
    }

    /// Reads `If-None-Match`. Weak comparison: a weak tag matches too.
    pub(in crate::api) fn if_none_match(&self) -> Result<Option<ETagCondition>, Problem> {
        self.etag_condition(IF_NONE_MATCH, |_| true)
    }

    /// Whether a PUT creates a session: it does with `If-None-Match: *` and without `If-Match`.
    pub(in crate::api) fn creates(&self) -> Result<bool, Problem> {
        let invalid = |header, expected: &'static str| {
            Err(Problem::InvalidHeader { header, expected: expected.into() })
        };
        match self.if_none_match()? {
            None => Ok(false),
            Some(ETagCondition::OneOf(_)) => {
                invalid(IF_NONE_MATCH, "'*' on a PUT, to create the session")
            }
            Some(ETagCondition::Any) if self.http.headers().contains_key(IF_MATCH) => {
                invalid(IF_MATCH, "absent if If-None-Match is present")
            }
            Some(ETagCondition::Any) => Ok(true),
        }
    }

    fn etag_condition(
        &self,
        name: &'static str,
        can_match: impl Fn(bool) -> bool,
    ) -> Result<Option<ETagCondition>, Problem> {
        let parse = |text: &str| {
            if text.trim() == "*" {
                return Some(ETagCondition::Any);
            }
            let tags = entity_tags(text)?;
            let is_allowed = (1..=MAX_ETAGS).contains(&tags.len());
            let tags = tags.into_iter().map(|(is_weak, tag)| Some((is_weak, ETag::parse(tag)?)));
            let tags: Vec<_> = tags.collect::<Option<_>>()?;
            let matching = tags.into_iter().filter(|(is_weak, _)| can_match(*is_weak));
            is_allowed.then(|| ETagCondition::OneOf(matching.map(|(_, tag)| tag).collect()))
        };
        self.parse(name, parse, || {
            format!("'*' or at most {MAX_ETAGS} entity tags in double quotes, as the API sent them")
        })
    }
}

/// Splits a list of entity tags (RFC 9110, 8.8.3 and 5.6.1). For each tag, returns whether it's weak, and the tag
/// without its quotes.
pub(super) fn entity_tags(list: &str) -> Option<Vec<(bool, &str)>> {
    let mut tags = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        // The RFC allows empty elements.
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push((is_weak, tag));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
}
