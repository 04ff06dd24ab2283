//! DynamoDB's expressions: what to set and on which condition, with the names and values they use.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{self, DEADLINE, ETAG, EXPIRES, ID, TTL};
use crate::session::{Precondition, Timestamp, Ttl};

/// What to set and on which condition. Attributes go by `#name` throughout, since many of ours are
/// reserved words; DynamoDB refuses names and values that no expression uses, so each is added
/// where it comes into use.
#[derive(Debug, Default)]
pub(super) struct Expression {
    condition: String,
    assignments: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// On condition that the session is live.
    pub(super) fn if_live(now: Timestamp) -> Self {
        let live = "#expires > :now AND (attribute_not_exists(#deadline) OR #deadline > :now)";
        Self { condition: live.to_owned(), ..Self::default() }
            .names(&[EXPIRES, DEADLINE])
            .value(":now", item::number(now.seconds()))
    }

    /// On condition that the session is not live: the opposite of [`Self::if_live`].
    pub(super) fn if_not_live(now: Timestamp) -> Self {
        let not_live = "attribute_not_exists(#id) OR #expires <= :now OR #deadline <= :now";
        Self { condition: not_live.to_owned(), ..Self::default() }
            .names(&[ID, EXPIRES, DEADLINE])
            .value(":now", item::number(now.seconds()))
    }

    /// And only if the data is of the version asked for.
    pub(super) fn and_version(self, precondition: &Precondition) -> Self {
        self.version(" AND ", precondition)
    }

    /// Or if the data is of the version asked for.
    pub(super) fn or_version(self, precondition: &Precondition) -> Self {
        self.version(" OR ", precondition)
    }

    fn version(mut self, operator: &str, precondition: &Precondition) -> Self {
        let Precondition::OneOf(etags) = precondition else {
            return self;
        };
        let keys: Vec<_> = (0..etags.len()).map(|n| format!(":version{n}")).collect();
        self.condition.push_str(operator);
        self.condition.push_str(&format!("#etag IN ({})", keys.join(", ")));
        let values = keys.into_iter().zip(etags.iter().map(|etag| item::text(etag.as_str())));
        self.values.extend(values);
        self.names(&[ETAG])
    }

    /// Sets an attribute.
    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.assignments.push(format!("#{name} = :{name}"));
        self.names(&[name]).value(&format!(":{name}"), value)
    }

    /// Sets an attribute where there is something to set it to.
    pub(super) fn set_some(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Slides the expiry, by a new idle lifetime or inside DynamoDB by the one that the item has.
    pub(super) fn slide(mut self, ttl: Option<Ttl>, now: Timestamp) -> Self {
        match ttl {
            Some(ttl) => self
                .set(TTL, item::number(ttl.seconds().into()))
                .set(EXPIRES, item::number(ttl.expires(now))),
            None => {
                self.assignments.push("#expires = #ttl + :now".to_owned());
                self.names(&[TTL, EXPIRES])
            }
        }
    }

    /// Sets the deadline to what it is. An update gives back what it sets and no more, so this
    /// brings the deadline along without the data; where there is none, [`item::NEVER`].
    pub(super) fn keep_deadline(mut self) -> Self {
        self.assignments.push("#deadline = if_not_exists(#deadline, :never)".to_owned());
        self.names(&[DEADLINE]).value(":never", item::number(item::NEVER))
    }

    /// The `ConditionExpression`.
    pub(super) fn condition(&self) -> &str {
        &self.condition
    }

    /// The `UpdateExpression`.
    pub(super) fn update(&self) -> String {
        format!("SET {}", self.assignments.join(", "))
    }

    fn names(mut self, attributes: &[&str]) -> Self {
        self.names.extend(attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())));
        self
    }

    fn value(mut self, key: &str, value: AttributeValue) -> Self {
        self.values.insert(key.to_owned(), value);
        self
    }
}

/// A `ProjectionExpression` of these attributes, and the names it uses.
pub(super) fn projection(attributes: &[&str]) -> (String, HashMap<String, String>) {
    let Expression { names, .. } = Expression::default().names(attributes);
    let mut keys: Vec<_> = names.keys().map(String::as_str).collect();
    keys.sort_unstable();
    (keys.join(", "), names)
}
