//! Write ids: how a write recognizes that it was applied before.

use std::fmt;

use super::etag::ETag;
use super::id::{SessionId, is_of_id_alphabet};
use crate::random::{self, NoRandomness};

/// Name of a write to a session. Every attempt of the write has the same one, and no other write has
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteId(String);

impl WriteId {
    /// Generates a new write id: 16 random bytes as 22 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system returns no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        random::base64url::<16>().map(Self)
    }

    /// Derives the write id of a request from what identifies it among the requests on a session.
    /// Without the session's id, nobody can compute it.
    pub fn derive(id: &SessionId, request: &[&[u8]]) -> Self {
        Self(id.derive("write", request))
    }

    /// Parses a write id from the table. Returns `None` if it has a character that no entity tag has.
    pub fn parse(text: &str) -> Option<Self> {
        ETag::parse(text).map(|etag| Self(etag.as_str().to_owned()))
    }

    /// Returns the write id as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the version of the data that this write made.
    pub fn etag(&self) -> ETag {
        ETag::of_write(&self.0)
    }
}

/// The last write ids of a session, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentWrites([WriteId; Self::LENGTH]);

impl RecentWrites {
    /// Number of write ids that a session keeps. An attempt that arrives late is recognized if fewer
    /// other writes came in between.
    pub const LENGTH: usize = 4;

    /// Returns the writes in this order, newest first.
    pub fn new(newest_first: [WriteId; Self::LENGTH]) -> Self {
        Self(newest_first)
    }

    /// Returns the session's revision: the write id of the last write.
    pub fn revision(&self) -> &WriteId {
        let Self([newest, ..]) = self;
        newest
    }

    /// Whether this write was applied.
    pub fn contains(&self, write: &WriteId) -> bool {
        self.0.contains(write)
    }

    /// Whether a write after this one made the version `etag` of the data.
    pub fn made_since(&self, write: &WriteId, etag: &ETag) -> bool {
        self.0.iter().take_while(|other| *other != write).any(|other| other.etag() == *etag)
    }
}

/// Key by which a caller marks a request and its retries as one. It is secret, so its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Minimum length, in characters.
    pub const MIN_LENGTH: usize = 16;
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Parses a key. Returns `None` unless it is [`Self::MIN_LENGTH`] to [`Self::MAX_LENGTH`] characters
    /// of the alphabet of session ids.
    pub fn parse(text: &str) -> Option<Self> {
        let length = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        (length && is_of_id_alphabet(text)).then(|| Self(text.to_owned()))
    }

    /// Returns the key in clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str) -> WriteId {
        WriteId::parse(name).unwrap()
    }

    #[test]
    fn write_ids_are_derived_from_the_session_and_the_request() {
        let id = SessionId::parse("abcdefghijklmnopqrstuv").unwrap();
        let other = SessionId::parse("abcdefghijklmnopqrstuw").unwrap();
        let derived = WriteId::derive(&id, &[b"PUT /session", b"key"]);
        assert_eq!(derived, WriteId::derive(&id, &[b"PUT /session", b"key"]));
        assert_eq!(derived.as_str().len(), 22);
        assert_ne!(derived, WriteId::derive(&other, &[b"PUT /session", b"key"]));
        assert_ne!(derived, WriteId::derive(&id, &[b"PUT /sessio", b"nkey"]));
    }

    #[test]
    fn data_changes_after_a_write_are_recognized() {
        let writes = RecentWrites::new(["d", "c", "b", "a"].map(write));
        assert_eq!(writes.revision(), &write("d"));
        for (made, since, expected) in [
            ("d", "c", true),
            ("c", "b", true),
            ("d", "a", true),
            ("d", "d", false),
            ("b", "c", false),
            ("older", "b", false),
        ] {
            assert_eq!(writes.made_since(&write(since), &write(made).etag()), expected);
        }
        assert!(writes.contains(&write("a")));
        assert!(!writes.contains(&write("older")));
    }

    #[test]
    fn idempotency_keys_have_16_to_128_characters_of_the_ids_alphabet() {
        for (length, is_valid) in [(15, false), (16, true), (128, true), (129, false)] {
            assert_eq!(IdempotencyKey::parse(&"k".repeat(length)).is_some(), is_valid, "{length}");
        }
        assert!(IdempotencyKey::parse("0123456789 abcdef").is_none());
        let key = IdempotencyKey::parse("0123456789_,-abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "IdempotencyKey([redacted])");
    }
}
