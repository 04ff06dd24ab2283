//! A JSON reader that returns values and names exactly as they're spelled.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The text isn't JSON (RFC 8259).
#[derive(Debug)]
pub(super) struct Malformed;

/// A position in JSON text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    /// The text that hasn't been read yet.
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of the text.
    ///
    /// # Errors
    /// [`Malformed`] if the text isn't UTF-8.
    pub(super) fn new(text: &'a [u8]) -> Result<Self, Malformed> {
        let text = str::from_utf8(text).map_err(|_| Malformed)?;
        Ok(Self { text, rest: text })
    }

    /// Returns the number of bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    /// Returns the text between two positions.
    pub(super) fn text(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Reads and returns whitespace.
    pub(super) fn skip_whitespace(&mut self) -> &'a str {
        let start = self.position();
        self.rest = self.rest.trim_start_matches(WHITESPACE);
        self.text(start, self.position())
    }

    /// Reads a value of any depth, without recursion, and returns its text.
    ///
    /// # Errors
    /// [`Malformed`] if the value isn't JSON.
    pub(super) fn value(&mut self) -> Result<&'a str, Malformed> {
        self.skip_whitespace();
        // serde_json checks a raw value without converting it, so numbers may have any size, and
        // surrogates may be unpaired.
        let mut json = serde_json::Deserializer::from_str(self.rest);
        let value = <&RawValue>::deserialize(&mut json).map_err(|_| Malformed)?.get();
        self.rest = self.rest.get(value.len()..).ok_or(Malformed)?;
        Ok(value)
    }

    /// Reads the opening brace if the next value is an object. Returns whether it is.
    pub(super) fn enter_object(&mut self) -> bool {
        self.skip('{')
    }

    /// Reads up to the value of an object's next member and returns the member's name as it's spelled. At the end of
    /// the object, reads the closing brace and returns `None`. `first` means that no member has been read yet.
    ///
    /// # Errors
    /// [`Malformed`] if the start of the member isn't valid JSON.
    pub(super) fn next_name(&mut self, first: bool) -> Result<Option<&'a str>, Malformed> {
        if self.skip('}') {
            return Ok(None);
        }
        if !first && !self.skip(',') {
            return Err(Malformed);
        }
        let name = self.value()?;
        if !self.skip(':') {
            return Err(Malformed);
        }
        self.skip_whitespace();
        Ok(Some(name))
    }

    /// Reads the whitespace at the end.
    ///
    /// # Errors
    /// [`Malformed`] if there's more text after it.
    pub(super) fn end(mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads whitespace, then `token` if it comes next. Returns whether it did.
    fn skip(&mut self, token: char) -> bool {
        self.skip_whitespace();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Strips the comma before the members.
pub(super) fn without_separator(members: &str) -> &str {
    members.trim_start_matches(WHITESPACE).strip_prefix(',').unwrap_or(members)
}

/// A member's name with its escapes decoded, so that all spellings of a name are equal. It's WTF-8, which allows
/// unpaired surrogates.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Name<'a>(Cow<'a, [u8]>);

impl<'a> Name<'a> {
    /// Decodes a name that [`Scanner::next_name`] returned.
    ///
    /// # Errors
    /// [`Malformed`] if the text isn't a string.
    pub(super) fn decode(text: &'a str) -> Result<Self, Malformed> {
        serde_json::from_str(text).map_err(|_| Malformed)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(bytes.to_vec())))
    }
}
