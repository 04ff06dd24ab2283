//! A request, and what its headers mean.

use std::ops::RangeInclusive;
use std::time::Duration;

use lambda_http::RequestExt as _;

use super::header::{
    CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, PREFER, SESSION_GRACE, SESSION_ID,
    SESSION_LOCK, SESSION_LOCK_LEASE, SESSION_LOCK_RELEASE, SESSION_LOCK_WAIT, SESSION_TTL,
    SESSION_USER,
};
use super::problem::{MERGE_PATCH, Problem};
use crate::config::Limits;
use crate::session::{
    ETag, ETagCondition, Handle, LockCondition, LockToken, MediaType, SessionId, User,
};

/// Maximum and default lease of a lock, in seconds.
const MAX_LEASE: u64 = 60;
const DEFAULT_LEASE: u64 = 10;
/// Maximum wait for a lock, in seconds. With the calls around it, it is well within the time limit of
/// the function.
const MAX_WAIT: u64 = 10;
/// Maximum time that an id stays readable after a rotation, in seconds.
const MAX_GRACE: u64 = 300;

/// Maximum number of entity tags in a header. DynamoDB's `IN` takes 100.
const MAX_ETAGS: usize = 100;

/// A request to one of the routes. Methods that read a header return an error that names the header
/// and its valid values.
///
/// It has no `Debug`, which would print ids and data.
pub(super) struct Request {
    http: lambda_http::Request,
    /// Parsed and hashed once.
    session_id: Option<SessionId>,
}

impl Request {
    pub(super) fn new(http: lambda_http::Request) -> Self {
        let value = http.headers().get(SESSION_ID).and_then(|value| value.to_str().ok());
        let session_id = value.and_then(SessionId::parse);
        Self { http, session_id }
    }

    /// Returns the body, decoded.
    pub(super) fn body(&self) -> &[u8] {
        self.http.body()
    }

    /// Returns the handle that the path ends with. Returns `None` if its last segment is malformed.
    pub(super) fn path_handle(&self) -> Option<Handle> {
        self.http.raw_http_path().rsplit('/').next().and_then(Handle::parse)
    }

    /// Whether the body has the length that `Content-Length` states. `true` without that header.
    pub(super) fn has_stated_length(&self) -> bool {
        let length = self.body().len();
        let stated = self.http.headers().get(CONTENT_LENGTH);
        stated.is_none_or(|value| value.to_str().is_ok_and(|text| text.parse() == Ok(length)))
    }

    /// Reads `Session-Id`, which is required.
    pub(super) fn session_id(&self) -> Result<&SessionId, Problem> {
        self.session_id.as_ref().ok_or(Problem::InvalidSessionId)
    }

    /// Reads `Session-Id` if the request has it, to name the caller's own session.
    pub(super) fn own_session_id(&self) -> Result<Option<&SessionId>, Problem> {
        let is_sent = self.http.headers().contains_key(SESSION_ID);
        if is_sent { self.session_id().map(Some) } else { Ok(None) }
    }

    /// Reads `Session-TTL`.
    pub(super) fn ttl(&self, limits: &Limits) -> Result<Option<Duration>, Problem> {
        self.seconds(SESSION_TTL, 1..=limits.max_ttl.as_secs())
    }

    /// Reads `Session-Grace`. 0 means none.
    pub(super) fn grace(&self) -> Result<Option<Duration>, Problem> {
        Ok(self.seconds(SESSION_GRACE, 0..=MAX_GRACE)?.filter(|grace| !grace.is_zero()))
    }

    /// Reads `Session-Lock-Lease`, with its default.
    pub(super) fn lease(&self) -> Result<Duration, Problem> {
        let lease = self.seconds(SESSION_LOCK_LEASE, 1..=MAX_LEASE)?;
        Ok(lease.unwrap_or(Duration::from_secs(DEFAULT_LEASE)))
    }

    /// Reads `Session-Lock-Wait`, which is 0 by default.
    pub(super) fn wait(&self) -> Result<Duration, Problem> {
        Ok(self.seconds(SESSION_LOCK_WAIT, 0..=MAX_WAIT)?.unwrap_or_default())
    }

    /// Reads `Session-Lock`, which is required.
    pub(super) fn required_lock(&self) -> Result<LockToken, Problem> {
        self.lock()?.ok_or_else(missing_lock)
    }

    /// Reads what `Session-Lock` and `Session-Lock-Release` require of the lock.
    pub(super) fn lock_condition(&self) -> Result<LockCondition, Problem> {
        let is_true = |text: &str| (text == "true").then_some(());
        let release = self.parse(SESSION_LOCK_RELEASE, is_true, || "'true'".into())?;
        match (self.lock()?, release) {
            (None, None) => Ok(LockCondition::NotLocked),
            (None, Some(())) => Err(missing_lock()),
            (Some(token), None) => Ok(LockCondition::HeldBy(token)),
            (Some(token), Some(())) => Ok(LockCondition::HeldByThenRelease(token)),
        }
    }

    fn lock(&self) -> Result<Option<LockToken>, Problem> {
        self.parse(SESSION_LOCK, LockToken::parse, || LOCK_TOKEN.into())
    }

    /// Whether `Prefer` asks for the representation (RFC 7240, 4.2). Unknown and malformed preferences
    /// are ignored.
    pub(super) fn prefers_representation(&self) -> bool {
        let preferences = self.http.headers().get_all(PREFER).iter();
        let preferences = preferences.filter_map(|value| value.to_str().ok());
        preferences.flat_map(|value| value.split(',')).any(|preference| {
            let preference = preference.split(';').next().unwrap_or_default();
            preference.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("return")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("representation")
            })
        })
    }

    /// Whether `Content-Type` is that of a merge patch.
    pub(super) fn is_merge_patch(&self) -> bool {
        let value = self.http.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(MERGE_PATCH)
    }

    /// Reads `Session-User`.
    pub(super) fn user(&self) -> Result<Option<User>, Problem> {
        self.parse(SESSION_USER, User::parse, || {
            format!("1 to {} visible ASCII characters", User::MAX_LENGTH)
        })
    }

    /// Reads `Session-User`, which is required.
    pub(super) fn required_user(&self) -> Result<User, Problem> {
        self.user()?.ok_or(Problem::InvalidHeader {
            header: SESSION_USER,
            expected: "present, to name the owner of the sessions".into(),
        })
    }

    /// Reads `Content-Type`, with the default for unlabelled data.
    pub(super) fn media_type(&self) -> Result<MediaType, Problem> {
        let media_type = self.parse(CONTENT_TYPE, MediaType::parse, || {
            format!("a media type of at most {} characters", MediaType::MAX_LENGTH)
        })?;
        Ok(media_type.unwrap_or_default())
    }

    /// Reads `If-Match`. Without it, any version matches. Strong comparison: a weak tag keeps its `W/`
    /// prefix and never matches.
    pub(super) fn if_match(&self) -> Result<ETagCondition, Problem> {
        let condition = self.etag_condition(IF_MATCH, |is_weak| if is_weak { "W/" } else { "" })?;
        Ok(condition.unwrap_or(ETagCondition::Any))
    }

    /// Reads `If-None-Match`. Weak comparison: a weak tag loses its `W/` prefix.
    pub(super) fn if_none_match(&self) -> Result<Option<ETagCondition>, Problem> {
        self.etag_condition(IF_NONE_MATCH, |_| "")
    }

    /// Whether a PUT creates a session: with `If-None-Match: *`, and without `If-Match`.
    pub(super) fn creates(&self) -> Result<bool, Problem> {
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
        prefix: impl Fn(bool) -> &'static str,
    ) -> Result<Option<ETagCondition>, Problem> {
        let parse = |text: &str| {
            if text.trim() == "*" {
                return Some(ETagCondition::Any);
            }
            let tags = entity_tags(text)?;
            let etag = |(is_weak, tag)| ETag::parse(&format!("{}{tag}", prefix(is_weak)));
            let etags: Vec<_> = tags.into_iter().map(etag).collect::<Option<_>>()?;
            (1..=MAX_ETAGS).contains(&etags.len()).then_some(ETagCondition::OneOf(etags))
        };
        self.parse(name, parse, || {
            format!("'*' or at most {MAX_ETAGS} entity tags in double quotes, as the API sent them")
        })
    }

    fn seconds(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<Duration>, Problem> {
        let parse = |text: &str| {
            let is_digits = text.bytes().all(|b| b.is_ascii_digit());
            let seconds = is_digits.then(|| text.parse().ok()).flatten();
            seconds.filter(|seconds| range.contains(seconds)).map(Duration::from_secs)
        };
        let (min, max) = (range.start(), range.end());
        self.parse(name, parse, || format!("a whole number of seconds from {min} to {max}"))
    }

    /// Parses the value of a header if the request has it.
    fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        expected: impl FnOnce() -> String,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.http.headers().get(name) else {
            return Ok(None);
        };
        match value.to_str().ok().and_then(parse) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::InvalidHeader { header: name, expected: expected().into() }),
        }
    }
}

/// Description of valid values of `Session-Lock`.
const LOCK_TOKEN: &str = "the token that came with the lock";

fn missing_lock() -> Problem {
    Problem::InvalidHeader { header: SESSION_LOCK, expected: LOCK_TOKEN.into() }
}

/// Splits a list of entity tags (RFC 9110, 8.8.3 and 5.6.1). Returns each tag without its quotes, and
/// whether it is weak.
fn entity_tags(list: &str) -> Option<Vec<(bool, &str)>> {
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

#[cfg(test)]
mod tests;
