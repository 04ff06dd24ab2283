//! The sessions of the model.

use std::collections::{BTreeMap, BTreeSet};

use crate::operation::{
    Change, Id, Keep, Kind, LockHeader, Metadata, Moment, Operation, Origin, SECOND, Write,
};

/// Idle lifetime of a session that is created without one, in seconds.
pub(crate) const DEFAULT_TTL: u64 = 86_400;
/// Grace period of a rotation that has one, in seconds.
pub(crate) const GRACE: u64 = 300;
/// Lease of a lock, in seconds.
pub(crate) const LEASE: u64 = 50;
/// Number of writes that an item remembers.
const REMEMBERED: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    /// Operations that made the data's members, in order.
    pub(crate) data: Vec<Origin>,
    pub(crate) ttl: u64,
    pub(crate) expires: Moment,
    pub(crate) owner: Option<Owner>,
    pub(crate) label: Option<Origin>,
    pub(crate) lock: Option<Lock>,
    pub(crate) successor: Option<Id>,
    pub(crate) predecessor: Option<Id>,
    /// When the request that created the session arrived.
    pub(crate) created: Moment,
    /// The last writes, oldest first, each with the version of the data that it left behind.
    pub(crate) writes: Vec<(WriteId, Origin)>,
}

/// Who a session belongs to, and since when: some moment between a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner {
    pub(crate) user: u8,
    pub(crate) from: Moment,
    pub(crate) to: Moment,
}

/// The operation that took the lock, and the end of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lock {
    pub(crate) token: Origin,
    pub(crate) until: Moment,
}

/// What identifies a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WriteId {
    /// An operation's key.
    Of(Origin),
    /// A lock's token, which is released only once.
    Release(Origin),
}

/// What a response can show. Parts that the contract doesn't define are `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    pub(crate) data: Option<Vec<Origin>>,
    /// The operation that made the tag's version of the data.
    pub(crate) version: Option<Origin>,
    pub(crate) ttl: Option<u64>,
    pub(crate) metadata: Option<Metadata>,
}

impl Session {
    pub(crate) fn new(creation: &Operation, write: &Write) -> Self {
        let mut session = Self {
            data: vec![creation.origin],
            ttl: DEFAULT_TTL,
            expires: 0,
            owner: None,
            label: None,
            lock: None,
            successor: None,
            predecessor: None,
            created: creation.sent,
            writes: Vec::new(),
        };
        session.apply(write, creation);
        session.remember(WriteId::Of(creation.origin));
        session
    }

    /// The operation that made this version of the data.
    pub(crate) fn version(&self) -> Origin {
        self.data[self.data.len() - 1]
    }

    pub(crate) fn user(&self) -> Option<u8> {
        self.owner.map(|owner| owner.user)
    }

    pub(crate) fn is_live(&self, at: Moment) -> bool {
        self.expires > at
    }

    /// The lock, if somebody holds it.
    pub(crate) fn held(&self, at: Moment) -> Option<Lock> {
        self.lock.filter(|lock| lock.until > at)
    }

    /// Makes the changes that any write can make.
    pub(crate) fn apply(&mut self, write: &Write, operation: &Operation) {
        let (from, to) = (operation.sent, operation.returned);
        self.ttl = write.ttl.unwrap_or(self.ttl);
        self.expires = from + self.ttl * SECOND;
        if write.user == Change::Remove {
            // A logout that keeps the session ends its former id's grace period.
            self.predecessor = None;
        }
        self.owner = match (write.user, self.owner) {
            (Change::Keep, owner) => owner,
            // The contract doesn't say whether this counts as getting the owner again.
            (Change::Set(user), Some(owner)) if owner.user == user => Some(Owner { to, ..owner }),
            (Change::Set(user), _) => Some(Owner { user, from, to }),
            (Change::Remove, _) => None,
        };
        self.label = write.label.apply(self.label);
        if let LockHeader::Unlock(_) = write.lock {
            self.lock = None;
        }
    }

    pub(crate) fn remember(&mut self, write: WriteId) {
        self.writes.push((write, self.version()));
        if self.writes.len() > REMEMBERED {
            self.writes.remove(0);
        }
    }

    /// What a response can show of the session.
    pub(crate) fn expected(&self, at: Moment) -> Expected {
        Expected {
            data: Some(self.data.clone()),
            version: Some(self.version()),
            ttl: Some(self.expires.saturating_sub(at) / SECOND),
            metadata: Some(Metadata { user: self.user(), label: self.label }),
        }
    }
}

/// The items that exist, including expired ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) sessions: BTreeMap<Id, Session>,
    /// How many sessions each `DELETE /sessions` in progress has destroyed so far.
    pub(crate) destroyed: BTreeMap<Moment, u64>,
    /// Former owners of sessions, each with the moment by which they had certainly lost the session, and the limit that
    /// ended it (0 if none did).
    pub(crate) former: BTreeSet<(Owner, Moment, usize)>,
}

impl State {
    /// The live session with this id, unless it was rotated away.
    pub(crate) fn current(&self, id: Id, at: Moment) -> Option<&Session> {
        let session = self.sessions.get(&id)?;
        (session.is_live(at) && session.successor.is_none()).then_some(session)
    }

    /// The session that a read of this id shows. An id in its grace period stays readable until its successor
    /// ends or is rotated again, or its owner logs out.
    pub(crate) fn readable(&self, id: Id, at: Moment) -> Option<&Session> {
        let session = self.sessions.get(&id).filter(|session| session.is_live(at))?;
        let Some(new) = session.successor else { return Some(session) };
        (self.current(new, at)?.predecessor == Some(id)).then_some(session)
    }

    /// Returns the state with this session, or none, under the id.
    pub(crate) fn with(&self, id: Id, session: Option<Session>) -> Self {
        let mut after = self.clone();
        match session {
            Some(session) => after.sessions.insert(id, session),
            None => after.sessions.remove(&id),
        };
        after
    }

    /// Returns the state after an operation has ended a session.
    pub(crate) fn without(&self, id: Id, operation: &Operation) -> Self {
        let mut after = self.with(id, None);
        after.leave(self.sessions[&id].owner, operation);
        after
    }

    /// Notes that a session no longer belongs to its owner.
    pub(crate) fn leave(&mut self, owner: Option<Owner>, operation: &Operation) {
        let limit = match operation.kind {
            Kind::RevokeAll { keep: Keep::Newest(limit), .. } => limit,
            _ => 0,
        };
        self.former.extend(owner.map(|owner| (owner, operation.returned, limit)));
    }
}
