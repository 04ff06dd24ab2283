//! The contract as a sequential model: the sessions that one session became by rotations.

use std::collections::BTreeMap;

use crate::operation::{
    Attributes, ETags, Id, Kind, Lock, Metadata, Operation, Origin, Outcome, Seen,
};

/// Idle lifetime of a new session. Lifetimes are far apart, so that a response shows which one it is.
pub(crate) const CREATED_TTL: u64 = 20_000;
/// Seconds by which a lifetime may have run down while a history runs.
const SLACK: u64 = 100;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    data: Vec<Origin>,
    ttl: u64,
    user: Option<u8>,
    label: Option<Origin>,
    lock: Option<Origin>,
    successor: Option<Id>,
    predecessor: Option<Id>,
}

/// The sessions by id. Leases, grace periods and lifetimes are longer than a history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State(BTreeMap<Id, Session>);

/// What an operation would do to the state at this moment.
enum Effect {
    /// It succeeds, with this state after it, and tells the client this much.
    Applied(State, Seen),
    /// It is refused for one of these reasons.
    Refused(Vec<&'static str>),
}

impl State {
    /// Returns the state after an operation, or `None` if it cannot have had its outcome now.
    pub(crate) fn after(&self, operation: &Operation, etags: &ETags) -> Option<Self> {
        match (self.effect(operation, etags), &operation.outcome) {
            (Effect::Applied(after, _), Outcome::Unknown) => Some(after),
            (Effect::Applied(after, expected), Outcome::Success(seen)) => {
                let shown = match operation.kind {
                    Kind::Rotate { new, .. } => new,
                    _ => operation.id,
                };
                let is_certain = !operation.may_show_later_data();
                let version = after.version(shown).filter(|_| is_certain);
                agree(seen, &expected, version, etags).then_some(after)
            }
            (Effect::Refused(reasons), Outcome::Refused(reason, seen)) => {
                let version = self.version(operation.id);
                let shown = self.0.get(&operation.id).map(self::seen).unwrap_or_default();
                let is_current = seen.data.is_none() || agree(seen, &shown, version, etags);
                (reasons.contains(&reason.as_str()) && is_current).then(|| self.clone())
            }
            _ => None,
        }
    }

    fn version(&self, id: Id) -> Option<Origin> {
        self.0.get(&id).and_then(|session| session.data.last().copied())
    }

    /// The session under this id, unless it was rotated away.
    fn current(&self, id: Id) -> Option<&Session> {
        self.0.get(&id).filter(|session| session.successor.is_none())
    }

    /// The session that a read of this id shows.
    fn readable(&self, id: Id) -> Option<&Session> {
        let session = self.0.get(&id)?;
        match session.successor {
            None => Some(session),
            Some(new) => self.current(new).filter(|s| s.predecessor == Some(id)).map(|_| session),
        }
    }

    fn effect(&self, operation: &Operation, etags: &ETags) -> Effect {
        let Operation { origin, id, kind, .. } = operation;
        let (origin, id) = (*origin, *id);
        let not_found = || Effect::Refused(vec!["404 session-not-found"]);
        match kind {
            Kind::Read | Kind::Head => match self.readable(id) {
                None => not_found(),
                Some(session) => Effect::Applied(self.clone(), seen(session)),
            },
            Kind::Create => {
                if self.0.contains_key(&id) {
                    return Effect::Refused(vec!["412 session-exists"]);
                }
                let session = Session {
                    data: vec![origin],
                    ttl: CREATED_TTL,
                    user: None,
                    label: None,
                    lock: None,
                    successor: None,
                    predecessor: None,
                };
                let expected = Seen { ttl: Some(CREATED_TTL), ..Seen::default() };
                self.applied(id, Some(session), expected)
            }
            Kind::Destroy { if_match } => match self.0.get(&id) {
                None => Effect::Applied(self.clone(), Seen::default()),
                Some(session) if session.successor.is_some() => not_found(),
                Some(session) if !admits(if_match.as_ref(), session, etags) => {
                    Effect::Refused(vec!["412 etag-mismatch"])
                }
                Some(_) => self.applied(id, None, Seen::default()),
            },
            Kind::Revoke { user } => match self.current(id) {
                Some(session) if session.user == Some(*user) => {
                    self.applied(id, None, Seen::default())
                }
                // An attempt whose response was lost is repeated, and finds nothing.
                None if operation.outcome == Outcome::Success(Seen::default())
                    && !self.0.contains_key(&id) =>
                {
                    Effect::Applied(self.clone(), Seen::default())
                }
                _ => not_found(),
            },
            Kind::RevokeAll { user } => {
                let mut after = self.clone();
                after.0.retain(|_, session| session.user != Some(*user));
                let destroyed = (self.0.len() - after.0.len()) as u64;
                let destroyed = (!operation.may_be_repeated).then_some(destroyed);
                Effect::Applied(after, Seen { destroyed, ..Seen::default() })
            }
            _ => match self.current(id) {
                None => not_found(),
                Some(session) => self.change(session, operation, etags),
            },
        }
    }

    /// The effect of a change of a live session.
    fn change(&self, session: &Session, operation: &Operation, etags: &ETags) -> Effect {
        let Operation { origin, id, kind, .. } = operation;
        let (origin, id) = (*origin, *id);
        let mut changed = session.clone();
        let (if_match, lock, attributes) = match kind {
            Kind::Replace { if_match, lock, attributes }
            | Kind::Patch { if_match, lock, attributes }
            | Kind::Rotate { if_match, lock, attributes, .. } => {
                (if_match.as_ref(), *lock, *attributes)
            }
            Kind::Touch { lock, attributes } => (None, *lock, *attributes),
            Kind::Lock { renewed, ttl } => {
                let lock = renewed.map_or(Lock::None, Lock::Held);
                (None, lock, Attributes { ttl: *ttl, ..Attributes::default() })
            }
            Kind::Unlock { token } => (None, Lock::Released(*token), Attributes::default()),
            _ => unreachable!("{kind:?} does not change a session"),
        };
        let mut reasons = Vec::new();
        if !admits(if_match, session, etags) {
            reasons.push("412 etag-mismatch");
        }
        let ignores_lock = matches!(kind, Kind::Touch { lock: Lock::None, .. });
        match (lock, session.lock) {
            (Lock::None, Some(_)) if !ignores_lock => reasons.push("423 session-locked"),
            (Lock::Held(token) | Lock::Released(token), Some(held)) if token != held => {
                let is_unlock = matches!(kind, Kind::Unlock { .. });
                reasons.push(if is_unlock { "412 not-lock-holder" } else { "423 session-locked" });
            }
            (Lock::Held(_) | Lock::Released(_), None) if !matches!(kind, Kind::Unlock { .. }) => {
                reasons.push("412 not-lock-holder");
            }
            _ => {}
        }
        if let Kind::Rotate { new, .. } = kind
            && self.0.contains_key(new)
        {
            reasons.push("412 session-exists");
        }
        if !reasons.is_empty() {
            return Effect::Refused(reasons);
        }
        if let Kind::Unlock { .. } = kind {
            changed.lock = None;
            return self.applied(id, Some(changed), Seen::default());
        }
        changed.ttl = attributes.ttl.unwrap_or(session.ttl);
        changed.user = attributes.user.unwrap_or(session.user);
        changed.label = if attributes.has_label { Some(origin) } else { session.label };
        if let Lock::Released(_) = lock {
            changed.lock = None;
        }
        match kind {
            Kind::Replace { .. } | Kind::Rotate { data: true, .. } => changed.data = vec![origin],
            Kind::Patch { .. } => changed.data.push(origin),
            Kind::Lock { renewed: None, .. } => changed.lock = Some(origin),
            _ => {}
        }
        let mut expected = seen(&changed);
        if operation.may_be_repeated {
            if attributes.ttl.is_none() {
                expected.ttl = None;
            }
            if matches!(kind, Kind::Lock { .. }) {
                expected.metadata = None;
            }
            if operation.may_show_later_data() {
                expected.data = None;
            }
        }
        let Kind::Rotate { new, grace, .. } = kind else {
            return self.applied(id, Some(changed), expected);
        };
        let mut after = self.clone();
        let mut old = session.clone();
        old.successor = Some(*new);
        old.user = changed.user;
        changed.predecessor = Some(id);
        after.0.remove(&id);
        after.0.insert(*new, changed);
        if *grace {
            after.0.insert(id, old);
        }
        Effect::Applied(after, expected)
    }

    fn applied(&self, id: Id, session: Option<Session>, expected: Seen) -> Effect {
        let mut after = self.clone();
        match session {
            Some(session) => after.0.insert(id, session),
            None => after.0.remove(&id),
        };
        Effect::Applied(after, expected)
    }
}

fn admits(if_match: Option<&String>, session: &Session, etags: &ETags) -> bool {
    let version = session.data.last().copied().unwrap_or_default();
    if_match.is_none_or(|tag| etags.is_of(tag, version))
}

/// What a response may show of a session.
fn seen(session: &Session) -> Seen {
    Seen {
        data: Some(session.data.clone()),
        etag: None,
        metadata: Some(Metadata { user: session.user, label: session.label }),
        // An id in its grace period has the rest of that as its lifetime.
        ttl: session.successor.is_none().then_some(session.ttl),
        destroyed: None,
    }
}

/// Whether a response agrees with what the model expects. Both may be silent about something.
fn agree(seen: &Seen, expected: &Seen, version: Option<Origin>, etags: &ETags) -> bool {
    let version = expected.data.as_ref().and_then(|data| data.last().copied()).or(version);
    both(&seen.data, &expected.data, |seen, expected| seen == expected)
        && both(&seen.metadata, &expected.metadata, |seen, expected| seen == expected)
        && both(&seen.destroyed, &expected.destroyed, |seen, expected| seen == expected)
        // Lifetimes are whole seconds, and another request may have slid the expiry a little later.
        && both(&seen.ttl, &expected.ttl, |left, ttl| {
            (ttl.saturating_sub(SLACK)..=ttl + 1).contains(left)
        })
        && both(&seen.etag, &version, |tag, version| etags.is_of(tag, *version))
}

fn both<S, E>(seen: &Option<S>, expected: &Option<E>, agree: impl Fn(&S, &E) -> bool) -> bool {
    seen.as_ref().zip(expected.as_ref()).is_none_or(|(seen, expected)| agree(seen, expected))
}
