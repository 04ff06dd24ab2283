//! Session ids, and the handles that stand for them in the table.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};

use crate::random::{self, NoRandomness};

/// A session id: the credential for a session.
///
/// Deliberately without `Display`, and `Debug` hides the id.
///
/// ```
/// use session_api::session::SessionId;
///
/// let id = SessionId::parse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap();
/// assert_eq!(format!("{id:?}"), "SessionId([redacted])");
/// assert!(SessionId::parse("too-short").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId {
    text: String,
    /// Computed once, because a request needs it for the item's key, the seal, and the log.
    handle: Handle,
}

impl SessionId {
    /// Minimum length, in characters. 22 characters of base64url hold 128 bits, twice what OWASP ASVS 5.0, 7.2.3
    /// requires for a reference token.
    pub const MIN_LENGTH: usize = 22;
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Generates an unguessable id: 32 random bytes as 43 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system returns no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        random::base64url::<32>().map(Self::new)
    }

    /// Parses an id that a client sent. Returns `None` unless it matches `[A-Za-z0-9_,-]{22,128}`, which covers
    /// the ids of PHP, Express, Rails, and Django.
    pub fn parse(text: &str) -> Option<Self> {
        let length = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        (length && is_of_id_alphabet(text)).then(|| Self::new(text.to_owned()))
    }

    fn new(text: String) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        Self { handle: Handle(URL_SAFE_NO_PAD.encode(hash)), text }
    }

    /// Returns the id in the clear, for the response that hands it out and for deriving keys.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the session's key in the table.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Derives a value that nobody can compute without the id: the first 16 bytes of an HMAC-SHA-256 with the id
    /// as its key, as 22 characters of base64url.
    pub(super) fn derive(&self, purpose: &str, parts: &[&[u8]]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.text.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // Without the lengths, two different lists of parts could concatenate to the same bytes.
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        URL_SAFE_NO_PAD.encode(tag.as_ref().first_chunk::<16>().unwrap_or(&[0; 16]))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([redacted])")
    }
}

/// A session's public name: base64url(SHA-256(session id)), 43 characters.
///
/// It's enough to find the session in the table, but doesn't reveal the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    /// Parses a handle. Returns `None` if it's malformed.
    pub fn parse(text: &str) -> Option<Self> {
        is_base64url(text, 43).then(|| Self(text.to_owned()))
    }

    /// Returns the whole handle.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 8 characters, which are enough to follow a session through the logs.
    pub fn prefix(&self) -> &str {
        self.0.get(..8).unwrap_or_default()
    }
}

/// Whether all characters are allowed in session ids.
pub(super) fn is_of_id_alphabet(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b'-'))
}

/// Whether the text is `length` characters of base64url without padding.
pub(super) fn is_base64url(text: &str, length: usize) -> bool {
    text.len() == length
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn generated_ids_are_distinct_and_parse() {
        let (a, b) = (SessionId::generate().unwrap(), SessionId::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), 43);
        assert_eq!(SessionId::parse(a.expose()), Some(a));
    }

    #[test]
    fn handle_is_base64url_of_sha_256_of_the_id() {
        // printf abcdefghijklmnopqrstuv | openssl dgst -sha256 -binary | basenc --base64url
        let id = SessionId::parse("abcdefghijklmnopqrstuv").unwrap();
        assert_eq!(id.handle().as_str(), "9p-bcNHJpUQiWMp2-LCnpF_LTjHDYUG2NX7FkTKLBiQ");
        assert_eq!(id.handle().prefix(), "9p-bcNHJ");
    }

    proptest! {
        #[test]
        fn every_id_that_fits_the_grammar_parses(text in "[A-Za-z0-9_,-]{22,128}") {
            prop_assert!(SessionId::parse(&text).is_some());
        }

        #[test]
        fn ids_with_one_character_outside_the_grammar_do_not_parse(
            start in "[A-Za-z0-9_,-]{0,60}", wrong in "[^A-Za-z0-9_,-]", end in "[A-Za-z0-9_,-]{22,60}",
        ) {
            let text = format!("{start}{wrong}{end}");
            prop_assert!(SessionId::parse(&text).is_none());
        }

        #[test]
        fn ids_of_other_lengths_do_not_parse(text in "[A-Za-z0-9_,-]{0,21}|[A-Za-z0-9_,-]{129,200}") {
            prop_assert!(SessionId::parse(&text).is_none());
        }
    }
}
