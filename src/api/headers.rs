//! The headers of the API: their names, and what a request may say in them.

use std::ops::RangeInclusive;
use std::time::Duration;

use lambda_http::http::HeaderMap;

use super::problem::Problem;
use crate::config::Limits;
use crate::session::{ETag, LockClaim, LockToken, MediaType, Precondition, SessionId, Ttl, User};

pub(super) const ACCEPT_ENCODING: &str = "Accept-Encoding";
pub(super) const ACCEPT_PATCH: &str = "Accept-Patch";
pub(super) const CACHE_CONTROL: &str = "Cache-Control";
pub(super) const CONTENT_TYPE: &str = "Content-Type";
pub(super) const ETAG: &str = "ETag";
pub(super) const RETRY_AFTER: &str = "Retry-After";
pub(super) const SESSION_CREATED: &str = "Session-Created";
pub(super) const SESSION_EXPIRES: &str = "Session-Expires";
pub(super) const SESSION_ID: &str = "Session-Id";
pub(super) const SESSION_TTL: &str = "Session-TTL";
pub(super) const SESSION_USER: &str = "Session-User";
pub(super) const PREFERENCE_APPLIED: &str = "Preference-Applied";
pub(super) const SESSION_LOCK: &str = "Session-Lock";
const SESSION_GRACE: &str = "Session-Grace";
const SESSION_LOCK_LEASE: &str = "Session-Lock-Lease";
const SESSION_LOCK_RELEASE: &str = "Session-Lock-Release";
const SESSION_LOCK_WAIT: &str = "Session-Lock-Wait";
const CONTENT_ENCODING: &str = "Content-Encoding";
const CONTENT_LENGTH: &str = "Content-Length";
const PREFER: &str = "Prefer";
const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";

/// The media type of a patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The longest lease of a lock, and the one that is given to who asks for none, in seconds.
const MAX_LEASE: u32 = 60;
const DEFAULT_LEASE: u32 = 10;
/// The longest wait for a lock, in seconds. With the calls around it, it stays well within the
/// time limit of the function.
const MAX_WAIT: u32 = 10;
/// The longest time that an id stays readable after a rotation, in seconds.
const MAX_GRACE: u32 = 300;

/// The most entity tags in one header. DynamoDB's `IN` takes 100.
const MAX_ETAGS: usize = 100;

/// What `If-Match` and `If-None-Match` may say (RFC 9110, 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Versions {
    /// `*`: whatever version there is.
    Any,
    /// Any of these.
    OneOf(Vec<ETag>),
}

/// The headers of a request, read as what they mean. Each method gives an error that names the
/// header and what it may hold.
#[derive(Default)]
pub(super) struct Headers(HeaderMap);

impl Headers {
    pub(super) fn new(headers: HeaderMap) -> Self {
        Self(headers)
    }

    /// Whether the request has a `Content-Encoding`.
    pub(super) fn has_content_encoding(&self) -> bool {
        self.0.contains_key(CONTENT_ENCODING)
    }

    /// Whether a body of this many bytes agrees with `Content-Length`, where that is sent.
    pub(super) fn agree_with_length(&self, bytes: usize) -> bool {
        let stated = self.0.get(CONTENT_LENGTH);
        stated.is_none_or(|value| value.to_str().is_ok_and(|text| text.parse() == Ok(bytes)))
    }

    /// `Session-Id`, which must be there.
    pub(super) fn session_id(&self) -> Result<SessionId, Problem> {
        let value = self.0.get(SESSION_ID).and_then(|value| value.to_str().ok());
        value.and_then(SessionId::parse).ok_or(Problem::InvalidSessionId)
    }

    /// `Session-TTL`, where it is sent.
    pub(super) fn ttl(&self, limits: &Limits) -> Result<Option<Ttl>, Problem> {
        let seconds = self.seconds(SESSION_TTL, 1..=limits.max_ttl.seconds())?;
        Ok(seconds.map(Ttl::from_seconds))
    }

    /// `Session-Grace`, where there is any.
    pub(super) fn grace(&self) -> Result<Option<Ttl>, Problem> {
        let seconds = self.seconds(SESSION_GRACE, 0..=MAX_GRACE)?;
        Ok(seconds.filter(|&seconds| seconds > 0).map(Ttl::from_seconds))
    }

    /// `Session-Lock-Lease`, or what a lease is by default.
    pub(super) fn lease(&self) -> Result<Duration, Problem> {
        let seconds = self.seconds(SESSION_LOCK_LEASE, 1..=MAX_LEASE)?;
        Ok(Duration::from_secs(seconds.unwrap_or(DEFAULT_LEASE).into()))
    }

    /// `Session-Lock-Wait`, or no wait.
    pub(super) fn wait(&self) -> Result<Duration, Problem> {
        let seconds = self.seconds(SESSION_LOCK_WAIT, 0..=MAX_WAIT)?;
        Ok(Duration::from_secs(seconds.unwrap_or_default().into()))
    }

    /// `Session-Lock`, where it is sent.
    pub(super) fn lock(&self) -> Result<Option<LockToken>, Problem> {
        self.parse(SESSION_LOCK, LockToken::parse, || "the token that came with the lock".into())
    }

    /// `Session-Lock` where it must be there.
    pub(super) fn required_lock(&self) -> Result<LockToken, Problem> {
        self.lock()?.ok_or(Problem::InvalidHeader {
            header: SESSION_LOCK,
            expected: "the token that came with the lock".into(),
        })
    }

    /// What `Session-Lock` and `Session-Lock-Release` say of the lock.
    pub(super) fn claim(&self) -> Result<LockClaim, Problem> {
        let is_true = |text: &str| (text == "true").then_some(());
        let release = self.parse(SESSION_LOCK_RELEASE, is_true, || "'true'".into())?;
        match (self.lock()?, release) {
            (None, None) => Ok(LockClaim::Unlocked),
            (None, Some(())) => self.required_lock().map(LockClaim::Released),
            (Some(token), None) => Ok(LockClaim::Held(token)),
            (Some(token), Some(())) => Ok(LockClaim::Released(token)),
        }
    }

    /// Whether `Prefer` asks for the representation (RFC 7240, 4.2). Preferences that are not ours
    /// are to be ignored, and so are malformed ones.
    pub(super) fn prefers_representation(&self) -> bool {
        let preferences = self.0.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        preferences.flat_map(|value| value.split(',')).any(|preference| {
            let preference = preference.split(';').next().unwrap_or_default();
            preference.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("return")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("representation")
            })
        })
    }

    /// Whether the body says that it is a merge patch.
    pub(super) fn is_merge_patch(&self) -> bool {
        let value = self.0.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(MERGE_PATCH)
    }

    fn seconds(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Problem> {
        self.parse(
            name,
            |text| {
                let digits = text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse().ok()).flatten().filter(|n| range.contains(n))
            },
            || format!("a whole number of seconds from {} to {}", range.start(), range.end()),
        )
    }

    /// `Session-User`, where it is sent.
    pub(super) fn user(&self) -> Result<Option<User>, Problem> {
        self.parse(SESSION_USER, User::parse, || {
            format!("1 to {} visible ASCII characters", User::MAX_LENGTH)
        })
    }

    /// `Session-User` where it must be there.
    pub(super) fn required_user(&self) -> Result<User, Problem> {
        self.user()?.ok_or(Problem::InvalidHeader {
            header: SESSION_USER,
            expected: "there, to say whose sessions are meant".into(),
        })
    }

    /// `Session-Id`, where it is sent to say which session is the caller's own.
    pub(super) fn own_session_id(&self) -> Result<Option<SessionId>, Problem> {
        if self.0.contains_key(SESSION_ID) { self.session_id().map(Some) } else { Ok(None) }
    }

    /// `Content-Type`, or what data is that nobody named.
    pub(super) fn media_type(&self) -> Result<MediaType, Problem> {
        let media_type = self.parse(CONTENT_TYPE, MediaType::parse, || {
            format!("a media type of at most {} characters", MediaType::MAX_LENGTH)
        })?;
        Ok(media_type.unwrap_or_default())
    }

    /// `If-Match`. It compares strongly, so a weak tag keeps its mark and matches nothing.
    pub(super) fn if_match(&self) -> Result<Precondition, Problem> {
        Ok(match self.versions(IF_MATCH, |weak| if weak { "W/" } else { "" })? {
            None | Some(Versions::Any) => Precondition::Any,
            Some(Versions::OneOf(etags)) => Precondition::OneOf(etags),
        })
    }

    /// `If-None-Match`, where it is sent. It compares weakly, so the mark of a weak tag is dropped.
    pub(super) fn if_none_match(&self) -> Result<Option<Versions>, Problem> {
        self.versions(IF_NONE_MATCH, |_| "")
    }

    /// Whether a PUT creates: `If-None-Match` must be `*` there, and stand without an `If-Match`.
    pub(super) fn creates(&self) -> Result<bool, Problem> {
        let invalid = |header, expected: &'static str| {
            Err(Problem::InvalidHeader { header, expected: expected.into() })
        };
        match self.if_none_match()? {
            None => Ok(false),
            Some(Versions::OneOf(_)) => {
                invalid(IF_NONE_MATCH, "'*' on a PUT, to create the session")
            }
            Some(Versions::Any) if self.0.contains_key(IF_MATCH) => {
                invalid(IF_MATCH, "left out where If-None-Match is sent")
            }
            Some(Versions::Any) => Ok(true),
        }
    }

    fn versions(
        &self,
        name: &'static str,
        mark: impl Fn(bool) -> &'static str,
    ) -> Result<Option<Versions>, Problem> {
        self.parse(
            name,
            |text| {
                if text.trim() == "*" {
                    return Some(Versions::Any);
                }
                let tags = entity_tags(text)?;
                (1..=MAX_ETAGS).contains(&tags.len()).then(|| {
                    let etag = |(weak, tag)| ETag::from_text(format!("{}{tag}", mark(weak)));
                    Versions::OneOf(tags.into_iter().map(etag).collect())
                })
            },
            || {
                format!(
                    "'*' or at most {MAX_ETAGS} entity tags in double quotes, as the API gave them"
                )
            },
        )
    }

    /// The value of a header, where it is sent, as `read` understands it.
    fn parse<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
        expected: impl FnOnce() -> String,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        match value.to_str().ok().and_then(read) {
            Some(read) => Ok(Some(read)),
            None => Err(Problem::InvalidHeader { header: name, expected: expected().into() }),
        }
    }
}

/// A list of entity tags (RFC 9110, 8.8.3 and 5.6.1), each with whether it is weak.
fn entity_tags(list: &str) -> Option<Vec<(bool, &str)>> {
    let is_etagc = |b: u8| b == 0x21 || (0x23..=0x7e).contains(&b);
    let mut tags = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        // Empty elements are to be skipped.
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !tag.bytes().all(is_etagc) {
            return None;
        }
        tags.push((weak, tag));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        default_ttl: Ttl::from_seconds(60),
        max_ttl: Ttl::from_seconds(3600),
        max_lifetime: None,
    };

    fn headers(name: &'static str, value: &[u8]) -> Headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        Headers::new([(name, HeaderValue::from_bytes(value).unwrap())].into_iter().collect())
    }

    fn tags(tags: &[&str]) -> Versions {
        Versions::OneOf(tags.iter().map(|tag| ETag::from_text(*tag)).collect())
    }

    #[test]
    fn what_is_not_sent_is_not_an_error_but_for_the_id() {
        let none = Headers::default();
        assert!(matches!(none.session_id(), Err(Problem::InvalidSessionId)));
        assert_eq!(none.ttl(&LIMITS).unwrap(), None);
        assert_eq!(none.user().unwrap(), None);
        assert_eq!(none.media_type().unwrap(), MediaType::default());
        assert_eq!(none.if_match().unwrap(), Precondition::Any);
        assert_eq!(none.if_none_match().unwrap(), None);
    }

    #[test]
    fn a_ttl_is_whole_seconds_within_the_limit() {
        let ttl = |value: &str| headers(SESSION_TTL, value.as_bytes()).ttl(&LIMITS);
        for (value, seconds) in [("1", 1), ("3600", 3600), ("0060", 60)] {
            assert_eq!(ttl(value).unwrap(), Some(Ttl::from_seconds(seconds)));
        }
        for bad in ["", "0", "3601", "-1", "+1", "1.5", "1e3", "one", "1 ", "99999999999999999999"]
        {
            let Problem::InvalidHeader { header, expected } = ttl(bad).unwrap_err() else {
                panic!("{bad}");
            };
            assert_eq!(header, "Session-TTL");
            assert_eq!(expected, "a whole number of seconds from 1 to 3600");
        }
    }

    #[test]
    fn entity_tags_are_read_as_rfc_9110_writes_them() {
        let parse = |value: &str| headers(IF_NONE_MATCH, value.as_bytes()).if_none_match();
        for (value, expected) in [
            ("*", Versions::Any),
            (" * ", Versions::Any),
            ("\"a\"", tags(&["a"])),
            ("W/\"a\"", tags(&["a"])),
            ("\"\"", tags(&[""])),
            ("\"a,b\" ,, W/\"c\",", tags(&["a,b", "c"])),
        ] {
            assert_eq!(parse(value).unwrap(), Some(expected), "{value}");
        }
        for bad in
            ["", ",", "a", "\"a", "a\"", "\"a\" \"b\"", "w/\"a\"", "\"a b\"", "*, \"a\"", "'a'"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let many = |n| vec!["\"a\""; n].join(",");
        assert!(parse(&many(100)).is_ok());
        assert!(parse(&many(101)).is_err());
    }

    #[test]
    fn a_weak_tag_matches_nothing_in_if_match() {
        let parsed = headers(IF_MATCH, b"W/\"a\", \"b\"").if_match().unwrap();
        let expected = ["W/a", "b"].map(ETag::from_text).to_vec();
        assert_eq!(parsed, Precondition::OneOf(expected));
    }

    proptest! {
        #[test]
        fn no_header_value_is_a_panic_or_passes_what_its_type_forbids(
            value in prop_oneof![
                "[A-Za-z0-9_,-]{20,130}".prop_map(String::into_bytes),
                "[!-~]{0,10}/?[ -~]{0,300}".prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 0..300),
            ],
        ) {
            let of = |name| headers(name, &value);
            let all = |allowed: fn(&u8) -> bool| value.iter().all(allowed);
            match of(SESSION_ID).session_id() {
                Ok(id) => prop_assert_eq!(id.expose().as_bytes(), &value),
                Err(_) => prop_assert!(
                    !(22..=128).contains(&value.len())
                        || !all(|b| b.is_ascii_alphanumeric() || b"_,-".contains(b))
                ),
            }
            match of(SESSION_USER).user() {
                Ok(user) => {
                    let user = user.unwrap();
                    prop_assert_eq!(user.expose().as_bytes(), &value);
                }
                Err(_) => prop_assert!(
                    !(1..=256).contains(&value.len()) || !all(|b| (0x21..=0x7e).contains(b))
                ),
            }
            if let Ok(media_type) = of(CONTENT_TYPE).media_type() {
                prop_assert_eq!(media_type.as_str().as_bytes(), &value);
            }
            if let Ok(Some(ttl)) = of(SESSION_TTL).ttl(&LIMITS) {
                prop_assert!((1..=3600).contains(&ttl.seconds()));
            }
            let _ = of(IF_MATCH).if_match();
            let _ = of(IF_NONE_MATCH).if_none_match();
        }

        #[test]
        fn every_list_of_tags_is_read_back(
            list in prop::collection::vec((any::<bool>(), "[!#-~]{0,30}"), 1..20), space in "[ \t]{0,3}",
        ) {
            let mark = |weak: bool| if weak { "W/" } else { "" };
            let written: Vec<_> = list.iter().map(|(w, tag)| format!("{}\"{tag}\"", mark(*w))).collect();
            let written = written.join(&format!("{space},{space}"));
            let expected: Vec<_> = list.iter().map(|(w, tag)| (*w, tag.as_str())).collect();
            prop_assert_eq!(entity_tags(&written), Some(expected));
        }
    }
}
