//! The lock of a session.

use std::fmt;

use super::id::{SessionId, is_base64url};
use crate::random::{self, NoRandomness};

/// Token of a lock's holder. It is secret, so its `Debug` hides it.
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

    /// Derives the token of a request from what identifies it among the requests on a session. A retry
    /// of the request has the same token. Without the session's id, nobody can compute it.
    pub fn derive(id: &SessionId, request: &[&[u8]]) -> Self {
        Self(id.derive("lock", request))
    }

    /// Parses a token that a client sent. Returns `None` unless it has the form of a generated one.
    pub fn parse(text: &str) -> Option<Self> {
        is_base64url(text, 22).then(|| Self(text.to_owned()))
    }

    /// Returns the token in clear.
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
