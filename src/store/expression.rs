//! DynamoDB's expressions: what to set and on which condition, with the names and values they use.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{self, DEADLINE, ETAG, EXPIRES, ID, LOCK, LOCK_UNTIL, SUCCESSOR, TTL, USER};
use crate::session::{LockClaim, Precondition, Timestamp, Ttl, User};

/// What to set and on which condition. Attributes go by `#name` throughout, since many of ours are
/// reserved words; DynamoDB refuses names and values that no expression uses, so each is added
/// where it comes into use.
#[derive(Debug, Default)]
pub(super) struct Expression {
    condition: String,
    set: Vec<String>,
    remove: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// On condition that the session is live and has not moved to another id.
    pub(super) fn if_live(now: Timestamp) -> Self {
        let live = "#expires > :now AND (attribute_not_exists(#deadline) OR #deadline > :now) \
                    AND attribute_not_exists(#successor)";
        Self { condition: live.to_owned(), ..Self::default() }
            .names(&[EXPIRES, DEADLINE, SUCCESSOR])
            .value(":now", item::number(now.seconds()))
    }

    /// On condition that nothing live has the id, not even a session that has moved away from it.
    pub(super) fn if_free(now: Timestamp) -> Self {
        let free = "attribute_not_exists(#id) OR #expires <= :now OR #deadline <= :now";
        Self { condition: free.to_owned(), ..Self::default() }
            .names(&[ID, EXPIRES, DEADLINE])
            .value(":now", item::number(now.seconds()))
    }

    /// Or if the session has not moved away and its data is of the version asked for.
    pub(super) fn or_current(mut self, precondition: &Precondition) -> Self {
        self.condition.push_str(" OR (attribute_not_exists(#successor)");
        let mut current = self.names(&[SUCCESSOR]).and_version(precondition);
        current.condition.push(')');
        current
    }

    /// And only if the data is of the version asked for.
    pub(super) fn and_version(mut self, precondition: &Precondition) -> Self {
        let Precondition::OneOf(etags) = precondition else {
            return self;
        };
        let keys: Vec<_> = (0..etags.len()).map(|n| format!(":version{n}")).collect();
        self.condition.push_str(&format!(" AND #etag IN ({})", keys.join(", ")));
        let values = keys.into_iter().zip(etags.iter().map(|etag| item::text(etag.as_str())));
        self.values.extend(values);
        self.names(&[ETAG])
    }

    /// And only if the lock is as the writer claims. A lease that has passed is as good as none to
    /// others, and as good as ever to its holder until somebody else has taken the lock.
    pub(super) fn and_lock(mut self, claim: &LockClaim, now: Timestamp) -> Self {
        match claim {
            LockClaim::Unlocked => {
                let unlocked = " AND (attribute_not_exists(#lock) OR #lock_until <= :now_ms)";
                self.condition.push_str(unlocked);
                self.names(&[LOCK, LOCK_UNTIL]).value(":now_ms", item::number(now.millis()))
            }
            LockClaim::Held(token) | LockClaim::Released(token) => {
                self.condition.push_str(" AND #lock = :held");
                self.names(&[LOCK]).value(":held", item::text(token.expose()))
            }
        }
    }

    /// On condition that the session belongs to this user.
    pub(super) fn if_user(user: &User) -> Self {
        Self { condition: "#user = :user".to_owned(), ..Self::default() }
            .names(&[USER])
            .value(":user", item::text(user.expose()))
    }

    /// And only if the session belongs to this user.
    pub(super) fn and_user(mut self, user: &User) -> Self {
        self.condition.push_str(" AND #user = :user");
        self.names(&[USER]).value(":user", item::text(user.expose()))
    }

    /// Sets an attribute.
    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.set.push(format!("#{name} = :{name}"));
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
                self.set.push("#expires = #ttl + :now".to_owned());
                self.names(&[TTL, EXPIRES]).value(":now", item::number(now.seconds()))
            }
        }
    }

    /// Sets the deadline to what it is. An update gives back what it sets and no more, so this
    /// brings the deadline along without the data; where there is none, [`item::NEVER`].
    pub(super) fn keep_deadline(mut self) -> Self {
        self.set.push("#deadline = if_not_exists(#deadline, :never)".to_owned());
        self.names(&[DEADLINE]).value(":never", item::number(item::NEVER))
    }

    /// Takes the lock away.
    pub(super) fn unlock(mut self) -> Self {
        self.remove.extend([format!("#{LOCK}"), format!("#{LOCK_UNTIL}")]);
        self.names(&[LOCK, LOCK_UNTIL])
    }

    /// The `ConditionExpression`.
    pub(super) fn condition(&self) -> &str {
        &self.condition
    }

    /// The `UpdateExpression`.
    pub(super) fn update(&self) -> String {
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        clause("SET", &self.set) + &clause("REMOVE", &self.remove)
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
