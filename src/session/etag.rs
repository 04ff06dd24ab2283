//! Entity tags: the versions of a session's data (RFC 9110, 8.8.3).

/// Version of a session's data: the write id of the last change of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// Returns the version that a write made, from its write id.
    pub(super) fn of_write(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// Parses a tag from the table or from a client, without HTTP's quotes. Returns `None` if it has a
    /// character that no entity tag has. A tag that was never generated matches nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let etagc = |b: u8| b == 0x21 || (0x23..=0x7e).contains(&b);
        text.bytes().all(etagc).then(|| Self(text.to_owned()))
    }

    /// Returns the tag without HTTP's quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request requires of the version of the data: the value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagCondition {
    /// Any version.
    Any,
    /// One of these versions.
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
