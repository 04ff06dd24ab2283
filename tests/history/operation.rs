//! Operations of a history: what a client asked for, and what it learned.

/// A session id, by its number in the history. Every rotation and every `POST` gets one for its new id, even
/// if the history never learns that id.
pub(crate) type Id = usize;
/// Number of an operation. It also names what the operation makes: data, a label, a lock.
pub(crate) type Origin = usize;

/// A moment on the clock that all of a history's clients and functions share, in milliseconds. No two requests
/// are sent at the same moment.
pub(crate) type Moment = u64;

pub(crate) const SECOND: u64 = 1_000;
/// Later than any other moment: when the response "arrives" if there is none.
pub(crate) const NEVER: Moment = u64::MAX;

/// A change to an optional attribute.
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

/// A request's lock header. Holds the operation that took the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockHeader {
    Absent,
    /// `Session-Lock`
    Lock(Origin),
    /// `Session-Unlock`
    Unlock(Origin),
}

/// What a write requires of the session and changes in it, apart from the data.
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
    /// `GET /session` or `HEAD /session`
    Read {
        if_match: Option<String>,
    },
    Replace(Write),
    Patch(Write),
    Touch(Write),
    Rotate {
        new: Id,
        /// Whether the request has a body that replaces the data.
        has_data: bool,
        has_grace: bool,
        write: Write,
    },
    Lock {
        /// The lock whose lease the request renews.
        renewed: Option<Origin>,
        ttl: Option<u64>,
        /// Whether it waits for the lock.
        waits: bool,
    },
    Unlock {
        token: Origin,
    },
    Destroy {
        if_match: Option<String>,
    },
    /// `GET /sessions`, which may send the operation's id.
    List {
        user: u8,
        sends_id: bool,
    },
    /// `DELETE /sessions`
    RevokeAll {
        user: u8,
        keep: Keep,
    },
    /// `DELETE /sessions/{handle}`
    Revoke {
        user: u8,
    },
}

/// What `DELETE /sessions` spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// The session with the operation's id.
    Id,
    /// This many of the sessions that got their owner last: `Session-Limit`.
    Newest(usize),
}

/// What a response shows. Missing parts are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Operations that made the data's members, in order. The last one made this version.
    pub(crate) data: Option<Vec<Origin>>,
    pub(crate) etag: Option<String>,
    /// Seconds left.
    pub(crate) ttl: Option<u64>,
    /// Owner and label, if the response shows the session's metadata.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) destroyed: Option<u64>,
    pub(crate) listed: Option<Vec<Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) user: Option<u8>,
    pub(crate) label: Option<Origin>,
}

/// An entry in a list of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) handle: String,
    /// The id behind this handle, if the history ever learned it.
    pub(crate) id: Option<Id>,
    pub(crate) ttl: u64,
    pub(crate) label: Option<Origin>,
    pub(crate) is_current: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No response, or `503`: the attempt takes effect some time later, or never.
    Unknown,
    Success(Seen),
    /// Status and problem. The response may show the current session instead of the problem.
    Refused(String, Seen),
}

/// One attempt at an operation. A client repeats an operation blindly, with the same key, and all those attempts have
/// the same origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) origin: Origin,
    pub(crate) client: usize,
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// Whether the function may repeat a call to DynamoDB because the response got lost.
    pub(crate) may_be_repeated: bool,
    /// When the request arrived.
    pub(crate) sent: Moment,
    /// When the response did, or [`NEVER`].
    pub(crate) returned: Moment,
    pub(crate) outcome: Outcome,
}

impl Operation {
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(..))
    }

    /// Whether the attempt certainly changed nothing. A refused lock request may have changed something: it can
    /// take the lock, lose it again, and then be refused when its call is repeated.
    pub(crate) fn has_no_effect(&self) -> bool {
        let is_repeated_lock = matches!(self.kind, Kind::Lock { .. }) && self.may_be_repeated;
        let is_read = matches!(self.kind, Kind::Read { .. } | Kind::List { .. });
        is_read || self.is_refused() && !is_repeated_lock
    }

    /// Whether the operation makes a new version of the data if applied.
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
