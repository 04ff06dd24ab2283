//! A session's lock.

use std::fmt;

use super::id::{SessionId, is_base64url};
use crate::random::{self, NoRandomness};

/// The token of a lock's holder. It's secret, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct LockToken(String);

impl LockToken {
    /// Generates an unguessable token: 16 random bytes as 22 characters of base64url.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system returns no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        random::base64url::<16>().map(Self)
    }

    /// Derives a request's token from whatever distinguishes that request from the session's other requests. A retry
    /// gets the same token, and nobody can compute it without the session's id.
    pub fn derive(id: &SessionId, request: &[&[u8]]) -> Self {
        Self(id.derive("lock", request))
    }

    /// Parses a token. Returns `None` unless it looks like a generated one.
    pub fn parse(text: &str) -> Option<Self> {
        is_base64url(text, 22).then(|| Self(text.to_owned()))
    }

    /// Returns the token in the clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockToken([redacted])")
    }
}

/// What a write requires of the session's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockCondition {
    /// Nothing.
    Any,
    /// Nobody holds the lock.
    NotLocked,
    /// The token's owner holds the lock.
    HeldBy(LockToken),
    /// The token's owner holds the lock, and the write releases it.
    HeldByThenRelease(LockToken),
}

impl LockCondition {
    /// Whether the write releases the lock.
    pub fn releases(&self) -> bool {
        matches!(self, Self::HeldByThenRelease(_))
    }
}
