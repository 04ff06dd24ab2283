//! Write ids, which tell us whether a write has been applied before.

use std::fmt;

use super::id::{SessionId, is_of_id_alphabet};
use crate::random::{self, NoRandomness};

/// Identifies a write to a session. All attempts at the write share it, and no other write has it.
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

    /// Derives a request's write id from whatever distinguishes that request from the session's other requests. Nobody
    /// can compute it without the session's id.
    pub fn derive(id: &SessionId, request: &[&[u8]]) -> Self {
        Self(id.derive("write", request))
    }

    /// Parses a write id from the table. Returns `None` if it has a character that entity tags can't have.
    pub fn parse(text: &str) -> Option<Self> {
        is_tag(text).then(|| Self(text.to_owned()))
    }

    /// Returns the write id as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether all characters are allowed in entity tags (RFC 9110, 8.8.3).
pub(super) fn is_tag(text: &str) -> bool {
    text.bytes().all(|b| b == 0x21 || (0x23..=0x7e).contains(&b))
}

/// The key that marks a request and its retries as the same. It's secret, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Minimum length, in characters.
    pub const MIN_LENGTH: usize = 16;
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Parses a key, either bare or in double quotes as in the [IETF
    /// draft](https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header). Returns `None`
    /// unless it has [`Self::MIN_LENGTH`] to [`Self::MAX_LENGTH`] characters, all of them allowed in session ids.
    pub fn parse(text: &str) -> Option<Self> {
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = quoted.unwrap_or(text);
        let length = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        (length && is_of_id_alphabet(text)).then(|| Self(text.to_owned()))
    }

    /// Returns the key in the clear.
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
    fn idempotency_keys_have_16_to_128_characters_of_the_ids_alphabet() {
        for (length, is_valid) in [(15, false), (16, true), (128, true), (129, false)] {
            assert_eq!(IdempotencyKey::parse(&"k".repeat(length)).is_some(), is_valid, "{length}");
        }
        for malformed in ["0123456789 abcdef", "\"0123456789abcdef", "\"\"0123456789abcdef\"\""] {
            assert!(IdempotencyKey::parse(malformed).is_none(), "{malformed}");
        }
        let key = IdempotencyKey::parse("0123456789_,-abcdef").unwrap();
        assert!(IdempotencyKey::parse("\"0123456789_,-abcdef\"").as_ref() == Some(&key));
        assert_eq!(format!("{key:?}"), "IdempotencyKey([redacted])");
    }
}
