//! Session attributes that callers choose: the owner, the label, and the data's media type.

use std::fmt;

/// A session's owner. Owners are personal data, so `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct User(String);

impl User {
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 256;

    /// Parses a name. Returns `None` unless it is 1 to [`Self::MAX_LENGTH`] visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        is_visible(text, Self::MAX_LENGTH).then(|| Self(text.to_owned()))
    }

    /// Returns the name in the clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User([redacted])")
    }
}

/// A session's label: the name shown in a device list, such as `Firefox%20on%20Linux`. Labels are personal data,
/// so `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 256;

    /// Parses a label. Returns `None` unless it is 1 to [`Self::MAX_LENGTH`] visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        is_visible(text, Self::MAX_LENGTH).then(|| Self(text.to_owned()))
    }

    /// Returns the label in the clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Label([redacted])")
    }
}

/// Whether the text is 1 to `max` visible ASCII characters.
fn is_visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A change to an optional attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Keeps the attribute as it is.
    Keep,
    /// Sets the attribute to this value.
    Set(T),
    /// Removes the attribute.
    Remove,
}

impl<T> Change<T> {
    /// Returns the value that the attribute has in a new session.
    pub fn into_new(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Remove => None,
        }
    }
}

/// The media type of a session's data, kept exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// Maximum length, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Parses a media type. Returns `None` unless it's `type/subtype`, both tokens, with any parameters in
    /// printable ASCII after a `;`, and at most [`Self::MAX_LENGTH`] long (RFC 9110, 8.3.1).
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

    /// Returns the media type as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the data is JSON: `application/json` or any type with the suffix `+json` (RFC 6839).
    pub fn is_json(&self) -> bool {
        let essence = self.0.split(';').next().unwrap_or_default().trim_end().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }
}

impl Default for MediaType {
    /// Returns the media type for unlabeled data (RFC 9110, 8.3).
    fn default() -> Self {
        Self("application/octet-stream".to_owned())
    }
}

/// Whether the byte is a `tchar` (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn media_types_are_validated_and_kept_exactly() {
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
        fn users_and_labels_are_visible_ascii(text in "\\PC{0,300}") {
            let visible = text.bytes().all(|b| (0x21..=0x7e).contains(&b));
            let is_valid = visible && (1..=256).contains(&text.len());
            prop_assert_eq!(User::parse(&text).is_some(), is_valid);
            prop_assert_eq!(Label::parse(&text).is_some(), is_valid);
        }
    }
}
