//! The model: the sessions that exist according to the contract.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::operation::{Attributes, Change, IfMatch, LABELS, Token, USERS};

/// The sessions' absolute lifetime, in seconds.
pub(super) const MAX_LIFETIME: u32 = 120;

/// How many writes a session remembers.
const REMEMBERED: usize = 4;

/// A lock token that was never issued.
const WRONG_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) data: Value,
    pub(super) is_json: bool,
    pub(super) etag: String,
    pub(super) ttl: u64,
    pub(super) expires: u64,
    /// When it was created, in seconds after the start.
    pub(super) created: u64,
    pub(super) user: Option<&'static str>,
    /// When it got its owner, and when a write last named that owner, in seconds after the start.
    pub(super) owned: (u64, u64),
    pub(super) label: Option<&'static str>,
    /// The lock's token and expiry.
    pub(super) lock: Option<(String, u64)>,
    /// The id that it was rotated to.
    pub(super) successor: Option<String>,
    /// The id that it was rotated from, unless its owner has logged out since.
    pub(super) predecessor: Option<String>,
    /// The last writes, oldest first, each with the tag of the data after it.
    pub(super) writes: Vec<(String, String)>,
}

impl Session {
    /// A session with the examples' data.
    pub(super) fn new(time: u64) -> Self {
        Self {
            data: json!({ "cart": ["apple"] }),
            is_json: true,
            etag: String::new(),
            ttl: 0,
            expires: 0,
            created: time,
            user: None,
            owned: (time, time),
            label: None,
            lock: None,
            successor: None,
            predecessor: None,
            writes: Vec::new(),
        }
    }

    /// Applies a write's attributes and extends the expiry.
    pub(super) fn apply(&mut self, attributes: Attributes, time: u64) {
        let Attributes { ttl, user, label } = attributes;
        self.ttl = ttl.unwrap_or(self.ttl);
        self.expires = time + self.ttl;
        let owner = self.user;
        change(&mut self.user, user, &USERS);
        match user {
            Change::Keep => {}
            Change::Set(_) if self.user == owner => self.owned.1 = time,
            Change::Set(_) => self.owned = (time, time),
            Change::Remove => self.predecessor = None,
        }
        change(&mut self.label, label, &LABELS);
    }

    /// Remembers a write. Call this after applying it.
    pub(super) fn remember(&mut self, write: &str) {
        self.writes.push((write.to_owned(), self.etag.clone()));
        if self.writes.len() > REMEMBERED {
            self.writes.remove(0);
        }
    }

    /// Returns the data's tag after this write, if the session remembers the write. A rotation between the same two ids
    /// may be there twice; the last one counts.
    pub(super) fn etag_after(&self, write: &str) -> Option<&String> {
        self.writes.iter().rfind(|(known, _)| known == write).map(|(_, etag)| etag)
    }

    pub(super) fn ends(&self) -> u64 {
        self.expires.min(self.created + u64::from(MAX_LIFETIME))
    }

    pub(super) fn seconds_left(&self, time: u64) -> u64 {
        self.ends() - time
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
    /// The items, including expired ones.
    pub(super) sessions: BTreeMap<String, Session>,
    /// Every id ever used, oldest first.
    pub(super) ids: Vec<String>,
    /// Each id's latest lock token.
    pub(super) tokens: BTreeMap<String, String>,
    /// Seconds since the start.
    pub(super) time: u64,
}

impl State {
    /// The id that an operation selects.
    pub(super) fn id(&self, on: usize) -> String {
        self.ids[on % self.ids.len()].clone()
    }

    /// The session under this id, unless it has ended.
    fn live(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id).filter(|session| session.ends() > self.time)
    }

    /// The live session under this id, unless it was rotated away.
    pub(super) fn current(&self, id: &str) -> Option<&Session> {
        self.live(id).filter(|session| session.successor.is_none())
    }

    /// The session that a read of this id returns. An id that was rotated away is readable until its successor ends, is
    /// rotated again, or loses its owner.
    pub(super) fn readable(&self, id: &str) -> Option<&Session> {
        let session = self.live(id)?;
        let Some(successor) = &session.successor else { return Some(session) };
        (self.current(successor)?.predecessor.as_deref() == Some(id)).then_some(session)
    }

    /// The ids of a user's sessions.
    pub(super) fn sessions_of(&self, user: usize) -> Vec<String> {
        let is_theirs = |session: &Session| session.user == Some(USERS[user]);
        let ids = self.sessions.keys();
        ids.filter(|id| self.current(id).is_some_and(is_theirs)).cloned().collect()
    }

    /// The ids in their grace period that belong to a user.
    pub(super) fn rotated_ids_of(&self, user: usize) -> Vec<String> {
        let is_theirs =
            |session: &Session| session.successor.is_some() && session.user == Some(USERS[user]);
        let ids = self.sessions.keys();
        ids.filter(|id| self.live(id).is_some_and(is_theirs)).cloned().collect()
    }

    /// The value of `If-Match`.
    pub(super) fn if_match(&self, id: &str, if_match: IfMatch) -> Option<String> {
        let current = self.sessions.get(id).map_or("\"none\"", |session| &session.etag);
        match if_match {
            IfMatch::Absent => None,
            IfMatch::Current => Some(current.to_owned()),
            IfMatch::Stale => Some("\"stale\"".to_owned()),
        }
    }

    /// The value of `Session-Lock` or `Session-Unlock`.
    pub(super) fn token(&self, id: &str, token: Token) -> Option<String> {
        match token {
            Token::Absent => None,
            Token::Latest => self.tokens.get(id).cloned(),
            Token::Wrong => Some(WRONG_TOKEN.to_owned()),
        }
    }

    /// The lock's token, if somebody holds it.
    pub(super) fn held<'a>(&self, session: &'a Session) -> Option<&'a String> {
        session.lock.as_ref().filter(|(_, until)| *until > self.time).map(|(token, _)| token)
    }

    /// Why the lock refuses a write with this token, or `None` if it doesn't.
    pub(super) fn lock_refusal(
        &self,
        session: &Session,
        token: Option<&String>,
    ) -> Option<&'static str> {
        let is_held = self.held(session).is_some();
        match (token, &session.lock) {
            (None, _) => is_held.then_some("423 session-locked"),
            (Some(token), Some((holder, _))) if token == holder => None,
            (Some(_), _) if is_held => Some("423 session-locked"),
            (Some(_), _) => Some("412 not-lock-holder"),
        }
    }

    pub(super) fn insert(&mut self, id: &str, session: Session) {
        self.sessions.insert(id.to_owned(), session);
        if !self.ids.iter().any(|known| known == id) {
            self.ids.push(id.to_owned());
        }
    }
}
