//! Requests, and what their headers mean.

mod attributes;
mod conditions;

use std::ops::RangeInclusive;
use std::time::Duration;

use lambda_http::RequestExt as _;
use lambda_http::http::{HeaderName, HeaderValue, header};
use ring::digest;

use super::header::{
    CONTENT_LENGTH, CONTENT_SHA256, CONTENT_TYPE, IDEMPOTENCY_KEY, PREFER, SESSION_GRACE,
    SESSION_ID, SESSION_LEASE, SESSION_LIMIT, SESSION_NEW_ID, SESSION_WAIT,
};
use super::problem::{MERGE_PATCH, Problem};
use crate::session::{Handle, IdempotencyKey, MediaType, SessionId};

/// Maximum and default lease of a lock, in seconds.
const MAX_LEASE: u64 = 60;
const DEFAULT_LEASE: u64 = 10;
/// Maximum wait for a lock, in seconds. Even with the calls around it, that's well within the function's time
/// limit.
const MAX_WAIT: u64 = 10;
/// Maximum grace period after a rotation, in seconds.
const MAX_GRACE: u64 = 300;

/// The highest limit on the number of a user's sessions.
const MAX_LIMIT: u64 = 100;

/// A request to one of the routes. A method that reads a header fails with an error that names the header and
/// its valid values.
///
/// Deliberately not `Debug`: that would print ids and data.
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

    /// Returns the handle at the end of the path, or `None` if it's malformed.
    pub(super) fn path_handle(&self) -> Option<Handle> {
        self.http.raw_http_path().rsplit('/').next().and_then(Handle::parse)
    }

    /// Whether the body matches `Content-Length` and the SHA-256 that the caller signed, if the request has those
    /// headers. Callers that sign with SigV4 may send the hash in
    /// [`x-amz-content-sha256`](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
    pub(super) fn is_unaltered(&self) -> bool {
        let header = |name| self.http.headers().get(name).map(HeaderValue::as_bytes);
        let length = self.body().len().to_string();
        let has_length = header(CONTENT_LENGTH).is_none_or(|stated| stated == length.as_bytes());
        // Other values, such as UNSIGNED-PAYLOAD, aren't hashes.
        let signed = header(CONTENT_SHA256).filter(|hash| hash.len() == 64);
        has_length && signed.is_none_or(|signed| signed == sha256_hex(self.body()).as_bytes())
    }

    /// Reads `Session-Id`, which is required.
    pub(super) fn session_id(&self) -> Result<&SessionId, Problem> {
        self.session_id.as_ref().ok_or(Problem::InvalidSessionId)
    }

    /// Reads the caller's own session from `Session-Id`, where that header is optional.
    pub(super) fn own_session_id(&self) -> Result<Option<&SessionId>, Problem> {
        let is_sent = self.http.headers().contains_key(SESSION_ID);
        if is_sent { self.session_id().map(Some) } else { Ok(None) }
    }

    /// Refuses any `Session-*` header or precondition that isn't in the list: a caller whose header was silently
    /// ignored would think it had worked.
    pub(super) fn accept_only(&self, known: &'static [&'static str]) -> Result<(), Problem> {
        let is_unknown = |name: &HeaderName| {
            let is_checked = name.as_str().starts_with("session-")
                || *name == header::IF_MATCH
                || *name == header::IF_NONE_MATCH;
            is_checked && !known.iter().any(|known| known.eq_ignore_ascii_case(name.as_str()))
        };
        if self.http.headers().keys().any(is_unknown) {
            return Err(Problem::UnknownHeader { known });
        }
        Ok(())
    }

    /// Reads `Session-New-Id`, which must not be the session's own id.
    pub(super) fn new_id(&self) -> Result<Option<SessionId>, Problem> {
        let own = self.session_id()?;
        self.parse(SESSION_NEW_ID, |text| SessionId::parse(text).filter(|id| id != own), || {
            "a different id than Session-Id, in the same form: 22 to 128 characters of A-Z, a-z, 0-9, \
             '_', ',' and '-'"
                .into()
        })
    }

    /// Reads `Idempotency-Key`.
    pub(super) fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        self.parse(IDEMPOTENCY_KEY, IdempotencyKey::parse, || {
            let (min, max) = (IdempotencyKey::MIN_LENGTH, IdempotencyKey::MAX_LENGTH);
            format!("{min} to {max} characters of A-Z, a-z, 0-9, '_', ',' and '-', bare or in double quotes")
        })
    }

    /// Reads `Session-Grace`. 0 means none.
    pub(super) fn grace(&self) -> Result<Option<Duration>, Problem> {
        Ok(self.seconds(SESSION_GRACE, 0..=MAX_GRACE)?.filter(|grace| !grace.is_zero()))
    }

    /// Reads `Session-Limit`.
    pub(super) fn limit(&self) -> Result<Option<usize>, Problem> {
        let limit = self.number(SESSION_LIMIT, "number", 1..=MAX_LIMIT)?;
        Ok(limit.and_then(|limit| usize::try_from(limit).ok()))
    }

    /// Reads `Session-Lease`, with its default.
    pub(super) fn lease(&self) -> Result<Duration, Problem> {
        let lease = self.seconds(SESSION_LEASE, 1..=MAX_LEASE)?;
        Ok(lease.unwrap_or(Duration::from_secs(DEFAULT_LEASE)))
    }

    /// Reads `Session-Wait`, which is 0 by default.
    pub(super) fn wait(&self) -> Result<Duration, Problem> {
        Ok(self.seconds(SESSION_WAIT, 0..=MAX_WAIT)?.unwrap_or_default())
    }

    /// Whether `Prefer` asks for the representation. The first `return` preference decides (RFC 7240, 2 and 4.2);
    /// unknown and malformed preferences are ignored.
    pub(super) fn prefers_representation(&self) -> bool {
        let values = self.http.headers().get_all(PREFER).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let first = values.flat_map(preferences).find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let is_return = name.trim().eq_ignore_ascii_case("return");
            is_return.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
        });
        first.as_deref() == Some("representation")
    }

    /// Whether `Content-Type` says that the body is a merge patch.
    pub(super) fn is_merge_patch(&self) -> bool {
        let value = self.http.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(MERGE_PATCH)
    }

    /// Reads `Content-Type`, with the default for unlabeled data.
    pub(super) fn media_type(&self) -> Result<MediaType, Problem> {
        let media_type = self.parse(CONTENT_TYPE, MediaType::parse, || {
            format!("a media type of at most {} characters", MediaType::MAX_LENGTH)
        })?;
        Ok(media_type.unwrap_or_default())
    }

    fn seconds(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<Duration>, Problem> {
        Ok(self.number(name, "number of seconds", range)?.map(Duration::from_secs))
    }

    fn number(
        &self,
        name: &'static str,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let parse = |text: &str| {
            let is_digits = text.bytes().all(|b| b.is_ascii_digit());
            let number = is_digits.then(|| text.parse().ok()).flatten();
            number.filter(|number| range.contains(number))
        };
        let (min, max) = (range.start(), range.end());
        self.parse(name, parse, || format!("a whole {what} from {min} to {max}"))
    }

    /// Parses a header if the request has it.
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

/// Returns the SHA-256 in lowercase hex.
fn sha256_hex(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.extend(
            [byte >> 4, byte & 15]
                .map(|digit| char::from_digit(digit.into(), 16))
                .into_iter()
                .flatten(),
        );
        hex
    })
}

/// Splits a list of preferences at its commas, except for commas in quoted strings.
fn preferences(list: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    list.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
}

#[cfg(test)]
mod tests;
