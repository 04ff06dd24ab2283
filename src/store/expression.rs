//! DynamoDB expressions, with the attribute names and values they use.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{
    self, CREATED, ETAG, EXPIRES, LABEL, LOCK, LOCK_UNTIL, OWNED, PREDECESSOR, TTL, USER, WRITES,
};
use crate::session::{Change, Label, Timestamp, User, WriteId};

/// A condition and the changes to make if it is met.
///
/// Attributes are written as `#name` throughout, since many of the names are reserved words. DynamoDB
/// refuses names and values that no expression uses, so each is added where it is used.
#[derive(Debug, Default)]
pub(super) struct Expression {
    condition: String,
    set: Vec<String>,
    remove: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Appends text to the condition.
    pub(super) fn push_condition(mut self, text: &str) -> Self {
        self.condition.push_str(text);
        self.with_names(text)
    }

    pub(super) fn value(mut self, key: &str, value: AttributeValue) -> Self {
        let other = self.values.insert(key.to_owned(), value);
        debug_assert!(other.is_none_or(|other| self.values.get(key) == Some(&other)), "{key}");
        self
    }

    pub(super) fn set(self, name: &str, value: AttributeValue) -> Self {
        self.set_to(name, &format!(":{name}")).value(&format!(":{name}"), value)
    }

    /// Sets or removes the owner. Without an owner, a session also forgets the id that it was rotated from, which ends
    /// that id's grace period. So even a logout that keeps the session ends the grace period.
    pub(super) fn change_user(self, change: &Change<User>, now: Timestamp) -> Self {
        match change {
            Change::Keep => self,
            Change::Set(user) => {
                self.set(USER, item::text(user.expose())).set(OWNED, item::number(now.millis()))
            }
            Change::Remove => self.remove(USER).remove(OWNED).remove(PREDECESSOR),
        }
    }

    pub(super) fn change_label(self, change: &Change<Label>) -> Self {
        match change {
            Change::Keep => self,
            Change::Set(label) => self.set(LABEL, item::text(label.expose())),
            Change::Remove => self.remove(LABEL),
        }
    }

    /// Makes the write apply only once: requires that it hasn't been applied before, and adds its id to the last
    /// write ids.
    pub(super) fn once(self, write: &WriteId) -> Self {
        let [w0, w1, w2, w3] = WRITES;
        self.push_condition(&format!(" AND NOT :own IN (#{w0}, #{w1}, #{w2}, #{w3})"))
            .push_write(write)
    }

    /// Adds a write id to the last write ids. In a `SET`, all operands are values from before the update.
    pub(super) fn push_write(self, write: &WriteId) -> Self {
        let [w0, w1, w2, w3] = WRITES;
        self.set_to(w3, &format!("#{w2}"))
            .set_to(w2, &format!("#{w1}"))
            .set_to(w1, &format!("#{w0}"))
            .set_to(w0, ":own")
            .value(":own", item::text(write.as_str()))
    }

    /// Extends the expiry by `ttl` or, without one, by the item's own idle lifetime. Only DynamoDB knows the latter, so
    /// the condition requires that it's at most `max`.
    pub(super) fn slide_expiry(self, ttl: Option<Duration>, max: Duration, now: Timestamp) -> Self {
        match ttl {
            Some(ttl) => self
                .set(TTL, item::number(ttl.as_secs()))
                .set(EXPIRES, item::number(now.after(ttl).seconds())),
            None => self
                .push_condition(&format!(" AND #{TTL} <= :max_ttl"))
                .value(":max_ttl", item::number(max.as_secs()))
                .set_to(EXPIRES, &format!("#{TTL} + :now"))
                .value(":now", item::number(now.seconds())),
        }
    }

    /// Has the update return the data's version and the time of creation, but not the data: an update returns only
    /// the attributes that it sets, so this sets both to themselves.
    pub(super) fn return_etag_and_created(self) -> Self {
        self.set_to(ETAG, &format!("#{ETAG}")).set_to(CREATED, &format!("#{CREATED}"))
    }

    pub(super) fn release_lock(self) -> Self {
        self.remove(LOCK).remove(LOCK_UNTIL)
    }

    fn remove(mut self, name: &str) -> Self {
        let key = format!("#{name}");
        self = self.with_names(&key);
        self.remove.push(key);
        self
    }

    /// Returns the `ConditionExpression`.
    pub(super) fn condition(&self) -> &str {
        &self.condition
    }

    /// Returns the `UpdateExpression`.
    pub(super) fn update(&self) -> String {
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        clause("SET", &self.set) + &clause("REMOVE", &self.remove)
    }

    fn set_to(mut self, name: &str, operand: &str) -> Self {
        let assignment = format!("#{name} = {operand}");
        self = self.with_names(&assignment);
        self.set.push(assignment);
        self
    }

    /// Adds the attribute names used in the text.
    fn with_names(mut self, text: &str) -> Self {
        let names = text.split('#').skip(1).filter_map(|after| {
            after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
        });
        self.names.extend(names.map(|name| (format!("#{name}"), name.to_owned())));
        self
    }
}

/// Returns a `ProjectionExpression` for these attributes, and the names it uses.
pub(super) fn projection(attributes: &[&str]) -> (String, HashMap<String, String>) {
    let mut keys: Vec<_> = attributes.iter().map(|name| format!("#{name}")).collect();
    keys.sort_unstable();
    let projection = keys.join(", ");
    let names = Expression::default().with_names(&projection).names;
    (projection, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_name_every_attribute_they_use_and_no_other() {
        let expression = Expression::default()
            .push_condition("attribute_not_exists(#id) OR #lock_until <= :now")
            .slide_expiry(None, Duration::from_secs(1), Timestamp::from_seconds(1))
            .release_lock();
        let mut names: Vec<_> = expression.names.into_values().collect();
        names.sort_unstable();
        assert_eq!(names, ["expires", "id", "lock", "lock_until", "ttl"]);
    }
}
