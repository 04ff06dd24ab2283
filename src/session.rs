//! The domain: what a session is, without any AWS or HTTP.
//!
//! External values are parsed once, into types that can't hold anything invalid. Secret and personal values
//! print as `[redacted]`, so that they don't end up in a log line by accident.

mod attributes;
mod etag;
mod id;
mod lifetime;
mod lock;
mod recent_writes;
mod write_id;

use std::fmt;
use std::time::Duration;

pub use attributes::{Change, Label, MediaType, User};
pub use etag::{ETag, ETagCondition};
pub use id::{Handle, SessionId};
pub use lifetime::{Lifetime, Limits, Liveness, MAX_CLOCK_SKEW, Timestamp};
pub use lock::{LockCondition, LockToken};
pub use recent_writes::RecentWrites;
pub use write_id::{IdempotencyKey, WriteId};

/// A session's metadata: everything except its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Version of the data.
    pub etag: ETag,
    /// Media type of the data.
    pub media_type: MediaType,
    /// Idle lifetime, in whole seconds: how long the session lives after each use.
    pub ttl: Duration,
    /// When the session was created, and when it expires.
    pub lifetime: Lifetime,
    /// Owner.
    pub user: Option<User>,
    /// Name shown in the user's device list.
    pub label: Option<Label>,
}

impl Metadata {
    /// Returns when the session was last used, that is, when its expiry was last extended.
    pub fn used(&self) -> Timestamp {
        self.lifetime.expires.before(self.ttl)
    }
}

/// A session with its data in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Everything but the data.
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

    #[test]
    fn secrets_are_not_printed() {
        let id = SessionId::parse("abcdefghijklmnopqrstuv").unwrap();
        let user = User::parse("grace").unwrap();
        let session = Session {
            metadata: Metadata {
                etag: ETag::generate(&WriteId::generate().unwrap()).unwrap(),
                media_type: MediaType::default(),
                lifetime: Lifetime::starting(Timestamp::from_seconds(0), Duration::from_secs(1)),
                ttl: Duration::from_secs(1),
                user: Some(user),
                label: Some(Label::parse("lynx").unwrap()),
            },
            data: b"secret".to_vec(),
        };
        let printed = format!("{id:?} {session:?}");
        for secret in ["abcdef", "grace", "lynx", "secret", "115, 101"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
