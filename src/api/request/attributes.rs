//! The session attributes in a request's headers.

use std::time::Duration;

use super::Request;
use crate::api::header::{SESSION_LABEL, SESSION_TTL, SESSION_USER};
use crate::api::problem::Problem;
use crate::session::{Change, Label, Limits, User};
use crate::store::AttributeChanges;

impl Request {
    /// Reads the changes to the session's attributes.
    pub(in crate::api) fn attribute_changes(
        &self,
        limits: &Limits,
    ) -> Result<AttributeChanges, Problem> {
        Ok(AttributeChanges {
            ttl: self.ttl(limits)?,
            user: self.user_change()?,
            label: self.label_change()?,
        })
    }

    /// Reads `Session-TTL`, clamped to the maximum, which clients can't know.
    pub(in crate::api) fn ttl(&self, limits: &Limits) -> Result<Option<Duration>, Problem> {
        let parse = |text: &str| {
            let digits = text.trim_start_matches('0');
            let is_number = !digits.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            // A number that doesn't fit into a `u64` is above the maximum.
            let seconds = || digits.parse().unwrap_or(u64::MAX);
            is_number.then(|| limits.clamp(Duration::from_secs(seconds())))
        };
        self.parse(SESSION_TTL, parse, || "a whole number of seconds, 1 or more".into())
    }

    /// Reads `Session-User`. If it's empty or `""`, it removes the owner.
    pub(in crate::api) fn user_change(&self) -> Result<Change<User>, Problem> {
        self.change(SESSION_USER, User::parse, User::MAX_LENGTH)
    }

    /// Reads `Session-Label`. If it's empty or `""`, it removes the label.
    fn label_change(&self) -> Result<Change<Label>, Problem> {
        self.change(SESSION_LABEL, Label::parse, Label::MAX_LENGTH)
    }

    fn change<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        max_length: usize,
    ) -> Result<Change<T>, Problem> {
        let parse = |text: &str| match text {
            "" | "\"\"" => Some(Change::Remove),
            text => parse(text).map(Change::Set),
        };
        let change = self.parse(name, parse, || {
            format!(
                "1 to {max_length} visible ASCII characters; percent-encode others (RFC 3986). \
                 Send \"\" (two double quotes) to remove it"
            )
        })?;
        Ok(change.unwrap_or(Change::Keep))
    }

    /// Reads `Session-User`, which is required.
    pub(in crate::api) fn required_user(&self) -> Result<User, Problem> {
        self.user_change()?.into_new().ok_or(Problem::InvalidHeader {
            header: SESSION_USER,
            expected: "present: it names the owner of the sessions".into(),
        })
    }
}
