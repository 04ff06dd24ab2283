//! Entity tags: the versions of a session's data (RFC 9110, 8.8.3).

use super::write_id::{WriteId, is_tag};
use crate::random::{self, NoRandomness};

/// A version of a session's data: the id of the write that made it, a dot, and 8 random bytes as 11 characters of
/// base64url. A tag is never reused, even if a write is applied again because the session has forgotten it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// Returns a new version, made by this write.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system returns no random bytes.
    pub fn generate(write: &WriteId) -> Result<Self, NoRandomness> {
        Ok(Self(format!("{}.{}", write.as_str(), random::base64url::<8>()?)))
    }

    /// Whether this write made the version.
    pub fn is_made_by(&self, write: &WriteId) -> bool {
        self.0.split_once('.').is_some_and(|(id, _)| id == write.as_str())
    }

    /// Parses a tag from the table or a client, without HTTP's quotes. Returns `None` if it has a character that
    /// entity tags can't have. A tag that we never generated just doesn't match anything.
    pub fn parse(text: &str) -> Option<Self> {
        is_tag(text).then(|| Self(text.to_owned()))
    }

    /// Returns the tag without HTTP's quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A condition on the version of the data: the value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagCondition {
    /// Any version.
    Any,
    /// One of these versions. If the list is empty, nothing matches.
    OneOf(Vec<ETag>),
}

impl ETagCondition {
    /// Whether this version matches.
    pub fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.contains(etag),
        }
    }
}
