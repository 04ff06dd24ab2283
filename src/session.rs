//! The domain: what a session is, without AWS and without HTTP.
//!
//! Values that came from outside are parsed once, into types that can hold nothing else. The ones
//! that are secret or personal print as `[redacted]`, so that no log line can show them by accident.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The operating system gave no randomness, so nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A session id: the credential that whoever holds it reads and changes the session with.
///
/// It has no `Display`, and its `Debug` hides it.
///
/// ```
/// use session_api::session::SessionId;
///
/// let id = SessionId::parse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap();
/// assert_eq!(format!("{id:?}"), "SessionId([redacted])");
/// assert!(SessionId::parse("too-short").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// The shortest id that is taken, in characters: 22 of base64url hold 128 bits, twice what
    /// OWASP ASVS 5.0, 7.2.3 asks of a reference token.
    pub const MIN_LENGTH: usize = 22;
    /// The longest id that is taken, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// An id that nobody can guess: 32 random bytes as 43 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] where the operating system has none to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<32>()?)))
    }

    /// An id as a client sent it, or `None` unless it is `[A-Za-z0-9_,-]{22,128}`, which takes in
    /// the ids of PHP, Express, Rails and Django.
    pub fn parse(text: &str) -> Option<Self> {
        let length = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b'-');
        (length && text.bytes().all(alphabet)).then(|| Self(text.to_owned()))
    }

    /// The id in clear, for the answer that hands it to its owner and for deriving keys.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The name that the table knows the session by.
    pub fn handle(&self) -> Handle {
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        Handle(URL_SAFE_NO_PAD.encode(hash))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([redacted])")
    }
}

/// The public name of a session: base64url(SHA-256(session id)), 43 characters.
///
/// It finds the session in the table and cannot be turned back into the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    /// A handle as a client sent it, or `None` unless it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        is_base64url(text, 43).then(|| Self(text.to_owned()))
    }

    /// The whole handle.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first 8 characters: enough to follow a session through the logs.
    pub fn prefix(&self) -> &str {
        self.0.get(..8).unwrap_or_default()
    }
}

/// The token of whoever holds a session's lock. Secret, so its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct LockToken(String);

impl LockToken {
    /// A token that nobody can guess: 16 random bytes as 22 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] where the operating system has none to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<16>()?)))
    }

    /// A token as a client sent it, or `None` unless it has the form of a generated one.
    pub fn parse(text: &str) -> Option<Self> {
        is_base64url(text, 22).then(|| Self(text.to_owned()))
    }

    /// The token in clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockToken([redacted])")
    }
}

/// Who may write to a session that is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockClaim {
    /// Nobody holds the lock, says the writer.
    Unlocked,
    /// The writer holds it by this token.
    Held(LockToken),
    /// The writer holds it by this token, and gives it back with the write.
    Released(LockToken),
}

/// The version of a session's data: random, and new at each change of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// A tag that no version had before: 16 random bytes as 22 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] where the operating system has none to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<16>()?)))
    }

    /// A tag that was made before, from the table or from a client. One that was never made simply
    /// matches nothing.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The tag without HTTP's quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which version of the data a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever version is there.
    Any,
    /// One of these.
    OneOf(Vec<ETag>),
}

impl Precondition {
    /// Whether a change is meant for this version.
    pub fn admits(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.contains(etag),
        }
    }
}

/// Whom a session belongs to. Personal, so its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct User(String);

impl User {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 256;

    /// A name, or `None` unless it is 1 to [`Self::MAX_LENGTH`] visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let length = (1..=Self::MAX_LENGTH).contains(&text.len());
        (length && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The name in clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User([redacted])")
    }
}

/// The media type of a session's data, kept and given back letter for letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// The longest media type, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// A media type, or `None` unless it is `type/subtype` in tokens, parameters after a `;` in
    /// printable ASCII, and no longer than [`Self::MAX_LENGTH`] (RFC 9110, 8.3.1).
    pub fn parse(text: &str) -> Option<Self> {
        let token = |part: &str| !part.is_empty() && part.bytes().all(is_token);
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let (kind, subtype) = essence.split_once('/')?;
        let printable = |b: u8| b.is_ascii_graphic() || b == b' ' || b == b'\t';
        (text.len() <= Self::MAX_LENGTH
            && token(kind)
            && token(subtype)
            && text.bytes().all(printable))
        .then(|| Self(text.to_owned()))
    }

    /// The media type as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MediaType {
    /// Whether the data is JSON: `application/json` or any type with the suffix `+json` (RFC 6839).
    pub fn is_json(&self) -> bool {
        let essence = self.0.split(';').next().unwrap_or_default().trim_end().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }
}

impl Default for MediaType {
    /// What data is that nobody named (RFC 9110, 8.3).
    fn default() -> Self {
        Self("application/octet-stream".to_owned())
    }
}

fn is_base64url(text: &str, length: usize) -> bool {
    text.len() == length
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A `tchar` of RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A moment, in milliseconds since 1970 UTC. It is read once per request and handed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// This moment, by the machine's clock.
    pub fn now() -> Self {
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
    }

    /// So many milliseconds after 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds after 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The moment that is so much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// To the second and in UTC, as in `2026-11-24T10:00:00Z` (RFC 3339). A moment past the year
    /// 9999, which the format cannot say, is the last one that it can.
    pub fn to_rfc3339(self) -> String {
        const LAST: u64 = 253_402_300_799;
        i64::try_from(self.seconds().min(LAST))
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .unwrap_or_default()
    }
}

/// How long a session lives when nobody uses it, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// So many seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The second at which a session ends that was last used at `now`.
    pub const fn expires(self, now: Timestamp) -> u64 {
        now.seconds().saturating_add(self.0 as u64)
    }
}

/// When a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The epoch second at which it ends when nobody uses it until then.
    pub expires: u64,
    /// The epoch second at which it ends however much it is used.
    pub deadline: Option<u64>,
}

impl Lifetime {
    /// The epoch second at which the session ends as things stand.
    pub fn ends(&self) -> u64 {
        self.deadline.map_or(self.expires, |deadline| deadline.min(self.expires))
    }

    /// Whether it has not ended. In the very second of its end it has.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ends() > now.seconds()
    }

    /// Seconds until it ends, 0 when it has.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        self.ends().saturating_sub(now.seconds())
    }
}

/// What is known of a session without opening its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The version of the data.
    pub etag: ETag,
    /// What the data is.
    pub media_type: MediaType,
    /// When the session was made.
    pub created: Timestamp,
    /// When it ends.
    pub lifetime: Lifetime,
    /// Whom it belongs to.
    pub user: Option<User>,
}

/// A session, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// All but the data.
    pub metadata: Metadata,
    /// The data, byte for byte as it was sent.
    pub data: Vec<u8>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("metadata", &self.metadata)
            .field("data", &format_args!("[{} bytes]", self.data.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_id_is_43_characters_that_parse_and_never_the_same() {
        let (a, b) = (SessionId::generate().unwrap(), SessionId::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), 43);
        assert_eq!(SessionId::parse(a.expose()), Some(a));
    }

    #[test]
    fn the_handle_is_the_base64url_of_the_sha_256_of_the_id() {
        // printf abcdefghijklmnopqrstuv | openssl dgst -sha256 -binary | basenc --base64url
        let id = SessionId::parse("abcdefghijklmnopqrstuv").unwrap();
        assert_eq!(id.handle().as_str(), "9p-bcNHJpUQiWMp2-LCnpF_LTjHDYUG2NX7FkTKLBiQ");
        assert_eq!(id.handle().prefix(), "9p-bcNHJ");
    }

    #[test]
    fn secrets_do_not_print() {
        let id = SessionId::parse("abcdefghijklmnopqrstuv").unwrap();
        let user = User::parse("grace").unwrap();
        let session = Session {
            metadata: Metadata {
                etag: ETag::from_text("e"),
                media_type: MediaType::default(),
                created: Timestamp::from_seconds(0),
                lifetime: Lifetime { expires: 1, deadline: None },
                user: Some(user),
            },
            data: b"secret".to_vec(),
        };
        let printed = format!("{id:?} {session:?}");
        for secret in ["abcdef", "grace", "secret", "115, 101"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn a_session_has_ended_in_the_second_it_expires() {
        let lifetime = Lifetime { expires: 100, deadline: None };
        assert!(lifetime.is_live(Timestamp::from_millis(99_999)));
        assert!(!lifetime.is_live(Timestamp::from_seconds(100)));
        assert!(!lifetime.is_live(Timestamp::from_seconds(101)));
    }

    #[test]
    fn the_deadline_ends_a_session_that_is_in_use() {
        let lifetime = Lifetime { expires: 200, deadline: Some(100) };
        assert!(lifetime.is_live(Timestamp::from_seconds(99)));
        assert!(!lifetime.is_live(Timestamp::from_seconds(100)));
        assert_eq!(lifetime.seconds_left(Timestamp::from_seconds(90)), 10);
        assert_eq!(lifetime.seconds_left(Timestamp::from_seconds(150)), 0);
    }

    #[test]
    fn times_are_rfc_3339_to_the_second() {
        assert_eq!(Timestamp::from_millis(1_795_514_400_999).to_rfc3339(), "2026-11-24T10:00:00Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_rfc3339(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn media_types_are_checked_and_not_changed() {
        for good in ["text/plain", "application/vnd.api+json; charset=\"utf-8\"", "a/b ;c=d"] {
            assert_eq!(MediaType::parse(good).map(|m| m.0).as_deref(), Some(good));
        }
        let parameter = |length: usize| format!("a/b;{}", "c".repeat(length - 4));
        assert!(MediaType::parse(&parameter(255)).is_some());
        assert!(MediaType::parse(&parameter(256)).is_none());
        for bad in ["", "text", "/", "text/", "/plain", "te xt/plain", "a/b\r\nX: y", "a/b;é"] {
            assert!(MediaType::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_id_of_the_grammar_parses(text in "[A-Za-z0-9_,-]{22,128}") {
            prop_assert!(SessionId::parse(&text).is_some());
        }

        #[test]
        fn no_id_with_one_character_outside_the_grammar_parses(
            start in "[A-Za-z0-9_,-]{0,60}", wrong in "[^A-Za-z0-9_,-]", end in "[A-Za-z0-9_,-]{22,60}",
        ) {
            let text = format!("{start}{wrong}{end}");
            prop_assert!(SessionId::parse(&text).is_none());
        }

        #[test]
        fn ids_outside_the_lengths_do_not_parse(text in "[A-Za-z0-9_,-]{0,21}|[A-Za-z0-9_,-]{129,200}") {
            prop_assert!(SessionId::parse(&text).is_none());
        }

        #[test]
        fn users_are_visible_ascii(text in "\\PC{0,300}") {
            let visible = text.bytes().all(|b| (0x21..=0x7e).contains(&b));
            prop_assert_eq!(User::parse(&text).is_some(), visible && (1..=256).contains(&text.len()));
        }
    }
}
