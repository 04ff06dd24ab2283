//! Operations of a history: what a client asked for, and what it learned.

/// A session id, by its number in the history. Every rotation and every `POST` has one for its new id,
/// whether the history learns that id or not.
pub(crate) type Id = usize;
/// Number of an operation. It also names what the operation makes: data, a label, a lock.
pub(crate) type Origin = usize;

/// Moment after which nothing happens: the response of an operation that has none.
pub(crate) const NEVER: u64 = u64::MAX;

/// Change of an optional attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change<T> {
    Keep,
    Set(T),
    Remove,
}

impl<T> Change<T> {
    pub(crate) fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Set(new) => Some(new),
            Self::Remove => None,
        }
    }
}

/// Lock header of a request, with the operation that took the lock whose token it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockHeader {
    Absent,
    /// `Session-Lock`
    Lock(Origin),
    /// `Session-Unlock`
    Unlock(Origin),
}

/// What a write requires of the session and changes in it, apart from its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) if_match: Option<String>,
    pub(crate) lock: LockHeader,
    pub(crate) ttl: Option<u64>,
    pub(crate) user: Change<u8>,
    pub(crate) label: Change<Origin>,
}

impl Write {
    /// A write that requires and changes nothing.
    pub(crate) const PLAIN: Self = Self {
        if_match: None,
        lock: LockHeader::Absent,
        ttl: None,
        user: Change::Keep,
        label: Change::Keep,
    };
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `POST /session`
    Post(Write),
    /// `PUT /session` with `If-None-Match: *`
    Create(Write),
    Read,
    Head,
    Replace(Write),
    Patch(Write),
    Touch(Write),
    Rotate {
        new: Id,
        /// Whether the request has a body, which replaces the data.
        has_data: bool,
        has_grace: bool,
        write: Write,
    },
    Lock {
        /// The lock whose lease the request renews.
        renewed: Option<Origin>,
        ttl: Option<u64>,
    },
    Unlock {
        token: Origin,
    },
    Destroy {
        if_match: Option<String>,
    },
    /// `GET /sessions`. The operation's id is the one that the request sends, if it sends one.
    List {
        user: u8,
        sends_id: bool,
    },
    /// `DELETE /sessions`. The operation's id is the one to keep, if there is one.
    RevokeAll {
        user: u8,
        keeps_id: bool,
    },
    /// `DELETE /sessions/{handle}`
    Revoke {
        user: u8,
    },
}

/// What a response shows. Parts that it does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Operations that made the members of the data, in order. The last one made this version of it.
    pub(crate) data: Option<Vec<Origin>>,
    pub(crate) etag: Option<String>,
    /// Seconds left.
    pub(crate) ttl: Option<u64>,
    /// Owner and label, of a response that shows the session's metadata.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) destroyed: Option<u64>,
    pub(crate) listed: Option<Vec<Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) user: Option<u8>,
    pub(crate) label: Option<Origin>,
}

/// An entry of the list of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) handle: String,
    /// The id with this handle. `None` if the history never learned that id.
    pub(crate) id: Option<Id>,
    pub(crate) ttl: u64,
    pub(crate) label: Option<Origin>,
    pub(crate) is_current: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No response, or `503`: the operation takes effect at some later time, or never.
    Unknown,
    Success(Seen),
    /// Status and problem. It may show the current session instead of the problem.
    Refused(String, Seen),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) origin: Origin,
    pub(crate) client: usize,
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// Whether an attempt of it may have been repeated after its response was lost. A repeated attempt
    /// responds as far as the item still shows what the first one did.
    pub(crate) may_be_repeated: bool,
    /// When the client sent the request, and when it sent it again, on the clock of the history.
    pub(crate) sent: Vec<u64>,
    /// When the last response arrived, or [`NEVER`].
    pub(crate) returned: u64,
    pub(crate) outcome: Outcome,
}

impl Operation {
    pub(crate) fn invoked(&self) -> u64 {
        self.sent[0]
    }

    pub(crate) fn is_retried(&self) -> bool {
        self.sent.len() > 1
    }

    /// Whether the operation makes a new version of the data if it is applied.
    pub(crate) fn makes_data(&self) -> bool {
        matches!(
            self.kind,
            Kind::Post(_)
                | Kind::Create(_)
                | Kind::Replace(_)
                | Kind::Patch(_)
                | Kind::Rotate { has_data: true, .. }
        )
    }

    /// Returns what the response shows.
    pub(crate) fn seen(&self) -> Option<&Seen> {
        match &self.outcome {
            Outcome::Success(seen) | Outcome::Refused(_, seen) => Some(seen),
            Outcome::Unknown => None,
        }
    }

    /// Returns the entries of a list.
    pub(crate) fn listed_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let listed = match &mut self.outcome {
            Outcome::Success(seen) => seen.listed.as_mut(),
            Outcome::Refused(..) | Outcome::Unknown => None,
        };
        listed.into_iter().flatten()
    }
}
