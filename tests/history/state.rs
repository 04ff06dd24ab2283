//! The sessions of the model.

use std::collections::{BTreeMap, BTreeSet};

use crate::operation::{Id, LockHeader, Metadata, Origin, Seen, Write};

/// Idle lifetime of a session whose creation names none.
pub(crate) const DEFAULT_TTL: u64 = 86_400;
/// Grace period of a rotation that has one.
pub(crate) const GRACE: u64 = 300;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    /// Operations that made the members of the data, in order.
    pub(crate) data: Vec<Origin>,
    pub(crate) ttl: u64,
    pub(crate) user: Option<u8>,
    pub(crate) label: Option<Origin>,
    /// The operation that took the lock.
    pub(crate) lock: Option<Origin>,
    pub(crate) successor: Option<Id>,
    pub(crate) predecessor: Option<Id>,
    /// The operation that created the session, under whatever id.
    pub(crate) creator: Origin,
    /// Operations with repeated requests that were applied to this item.
    pub(crate) remembered: Vec<Origin>,
    /// Locks that a `DELETE /session/lock` of this id has released.
    pub(crate) released: BTreeSet<Origin>,
}

impl Session {
    pub(crate) fn new(creator: Origin, write: &Write) -> Self {
        Self {
            data: vec![creator],
            ttl: write.ttl.unwrap_or(DEFAULT_TTL),
            user: write.user.apply(None),
            label: write.label.apply(None),
            lock: None,
            successor: None,
            predecessor: None,
            creator,
            remembered: Vec::new(),
            released: BTreeSet::new(),
        }
    }

    /// The operation that made this version of the data.
    pub(crate) fn version(&self) -> Origin {
        self.data[self.data.len() - 1]
    }

    /// Changes what every write can change.
    pub(crate) fn apply(&mut self, write: &Write) {
        self.ttl = write.ttl.unwrap_or(self.ttl);
        self.user = write.user.apply(self.user);
        self.label = write.label.apply(self.label);
        if let LockHeader::Unlock(_) = write.lock {
            self.lock = None;
        }
    }

    /// What a response can show of the session. The model knows no tags, only versions.
    pub(crate) fn seen(&self) -> Seen {
        // An id in its grace period has the rest of that as its lifetime.
        let ttl = if self.successor.is_some() { GRACE } else { self.ttl };
        Seen {
            data: Some(self.data.clone()),
            ttl: Some(ttl),
            metadata: Some(Metadata { user: self.user, label: self.label }),
            ..Seen::default()
        }
    }
}

/// The sessions that exist. Lifetimes, leases and grace periods are longer than a history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) sessions: BTreeMap<Id, Session>,
    /// Number of sessions that each `DELETE /sessions` in progress has destroyed.
    pub(crate) destroyed: BTreeMap<Origin, u64>,
}

impl State {
    /// The session with this id, unless it was rotated away.
    pub(crate) fn current(&self, id: Id) -> Option<&Session> {
        self.sessions.get(&id).filter(|session| session.successor.is_none())
    }

    /// The session that a read of this id shows. An id in its grace period is readable until its successor
    /// ends or is rotated again.
    pub(crate) fn readable(&self, id: Id) -> Option<&Session> {
        let session = self.sessions.get(&id)?;
        match session.successor {
            None => Some(session),
            Some(new) => {
                let successor = self.current(new)?;
                (successor.predecessor == Some(id)).then_some(session)
            }
        }
    }

    /// Returns the state with this session under the id, or with none.
    pub(crate) fn with(&self, id: Id, session: Option<Session>) -> Self {
        let mut after = self.clone();
        match session {
            Some(session) => after.sessions.insert(id, session),
            None => after.sessions.remove(&id),
        };
        after
    }
}
