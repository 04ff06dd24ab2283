//! The model: the sessions that the contract says exist.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::operation::{Attributes, Change, IfMatch, LABELS, Token, USERS};

/// Absolute lifetime of sessions, in seconds.
pub(super) const MAX_LIFETIME: u32 = 120;

/// A lock token that was never issued.
const WRONG_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) data: Value,
    pub(super) is_json: bool,
    pub(super) etag: String,
    pub(super) ttl: u64,
    pub(super) expires: u64,
    pub(super) deadline: u64,
    /// Seconds after the start at which it was created.
    pub(super) created: u64,
    pub(super) user: Option<&'static str>,
    pub(super) label: Option<&'static str>,
    /// Token and expiry of the lock.
    pub(super) lock: Option<(String, u64)>,
    /// The id that it was rotated to.
    pub(super) successor: Option<String>,
    /// The id that it was rotated from.
    pub(super) predecessor: Option<String>,
}

impl Session {
    /// Makes the changes of a write, and slides the expiry.
    pub(super) fn apply(&mut self, attributes: Attributes, time: u64) {
        let Attributes { ttl, user, label } = attributes;
        self.ttl = ttl.unwrap_or(self.ttl);
        self.expires = time + self.ttl;
        change(&mut self.user, user, &USERS);
        change(&mut self.label, label, &LABELS);
    }

    /// Seconds until it ends.
    pub(super) fn seconds_left(&self, time: u64) -> u64 {
        self.expires.min(self.deadline) - time
    }
}

fn change(value: &mut Option<&'static str>, change: Change, values: &[&'static str]) {
    match change {
        Change::Keep => {}
        Change::Set(n) => *value = Some(values[n]),
        Change::Remove => *value = None,
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) sessions: BTreeMap<String, Session>,
    /// Every id that was ever used, oldest first.
    pub(super) ids: Vec<String>,
    /// The latest lock token of each id.
    pub(super) tokens: BTreeMap<String, String>,
    /// Seconds since the start.
    pub(super) time: u64,
}

impl State {
    /// The id that an operation selects.
    pub(super) fn id(&self, on: usize) -> String {
        self.ids[on % self.ids.len()].clone()
    }

    /// The session under this id, unless it has expired.
    pub(super) fn live(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id).filter(|s| s.expires > self.time && s.deadline > self.time)
    }

    /// The live session under this id, unless it was rotated.
    pub(super) fn current(&self, id: &str) -> Option<&Session> {
        self.live(id).filter(|session| session.successor.is_none())
    }

    /// The session that a read of this id returns. A rotated id is readable until its successor ends or
    /// is rotated again.
    pub(super) fn readable(&self, id: &str) -> Option<&Session> {
        let session = self.live(id)?;
        match &session.successor {
            None => Some(session),
            Some(successor) => self
                .current(successor)
                .filter(|session| session.predecessor.as_deref() == Some(id))
                .map(|_| session),
        }
    }

    /// Ids of a user's sessions.
    pub(super) fn sessions_of(&self, user: usize) -> Vec<String> {
        let is_theirs = |session: &Session| session.user == Some(USERS[user]);
        let ids = self.sessions.keys();
        ids.filter(|id| self.current(id).is_some_and(is_theirs)).cloned().collect()
    }

    /// Ids that a user's sessions were rotated from and that are in their grace period.
    pub(super) fn rotated_ids_of(&self, user: usize) -> Vec<String> {
        let is_theirs =
            |session: &Session| session.successor.is_some() && session.user == Some(USERS[user]);
        self.ids.iter().filter(|id| self.live(id).is_some_and(is_theirs)).cloned().collect()
    }

    /// Value of `If-Match`.
    pub(super) fn if_match(&self, id: &str, if_match: IfMatch) -> Option<String> {
        let current = self.sessions.get(id).map_or("\"none\"", |session| &session.etag);
        match if_match {
            IfMatch::Absent => None,
            IfMatch::Current => Some(current.to_owned()),
            IfMatch::Stale => Some("\"stale\"".to_owned()),
        }
    }

    /// Value of `Session-Lock` or `Session-Unlock`.
    pub(super) fn token(&self, id: &str, token: Token) -> Option<String> {
        match token {
            Token::Absent => None,
            Token::Latest => self.tokens.get(id).cloned(),
            Token::Wrong => Some(WRONG_TOKEN.to_owned()),
        }
    }

    /// Why the lock refuses a write with this token, or `None` if it does not.
    pub(super) fn lock_refusal(
        &self,
        session: &Session,
        token: Option<&String>,
    ) -> Option<&'static str> {
        let is_held = session.lock.as_ref().is_some_and(|(_, until)| *until > self.time);
        match (token, &session.lock) {
            (None, _) => is_held.then_some("423 session-locked"),
            (Some(token), Some((holder, _))) if token == holder => None,
            (Some(_), _) if is_held => Some("423 session-locked"),
            (Some(_), _) => Some("412 not-lock-holder"),
        }
    }

    /// Adds a session with the data of the event files.
    pub(super) fn insert(&mut self, id: String, etag: &str, attributes: Attributes) {
        let mut session = Session {
            data: json!({ "cart": ["apple"] }),
            is_json: true,
            etag: etag.to_owned(),
            ttl: 0,
            expires: 0,
            deadline: self.time + u64::from(MAX_LIFETIME),
            created: self.time,
            user: None,
            label: None,
            lock: None,
            successor: None,
            predecessor: None,
        };
        session.apply(attributes, self.time);
        self.sessions.insert(id.clone(), session);
        self.ids.push(id);
    }

    /// Makes the changes of a write to the session under this id, which must exist.
    pub(super) fn write(
        &mut self,
        id: &str,
        attributes: Attributes,
        releases_lock: bool,
    ) -> &mut Session {
        let time = self.time;
        let session = self.session_mut(id);
        session.lock = session.lock.take().filter(|_| !releases_lock);
        session.apply(attributes, time);
        session
    }

    /// The session under this id, which must exist.
    pub(super) fn session_mut(&mut self, id: &str) -> &mut Session {
        self.sessions.get_mut(id).unwrap()
    }
}
