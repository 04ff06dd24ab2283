//! The contract as a sequential model: what each operation does to the state, and what it responds.

use crate::etags::ETags;
use crate::event::{Event, Step};
use crate::operation::{
    Entry, Id, Kind, LockHeader, NEVER, Operation, Origin, Outcome, Seen, Write,
};
use crate::state::{Session, State};

/// Seconds that a history takes at most. A lifetime in a response may differ by as many: it runs down, and
/// counts from the arrival of a request, while others slide the expiry.
const SLACK: u64 = 100;

const NOT_FOUND: &str = "404 session-not-found";
const ETAG_MISMATCH: &str = "412 etag-mismatch";
const NOT_LOCK_HOLDER: &str = "412 not-lock-holder";
const SESSION_EXISTS: &str = "412 session-exists";
const LOCKED: &str = "423 session-locked";

/// What an operation does at some moment.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It succeeds, with this state after it and a response that shows this. Parts of the response that
    /// the contract does not define are `None`.
    Applied(State, Seen),
    /// It is refused for one of these reasons.
    Refused(Vec<&'static str>),
}

pub(crate) struct Model<'a> {
    pub(crate) operations: &'a [Operation],
    /// Ids that the history never learned.
    pub(crate) unknown_ids: Vec<Id>,
    pub(crate) etags: ETags,
}

impl Model<'_> {
    /// Returns the state after an event, or `None` if it cannot happen in this state.
    pub(crate) fn after(&self, state: &State, event: &Event) -> Option<State> {
        let operation = event.operation;
        match event.step {
            Step::Whole if is_again(state, operation) => None,
            Step::Whole => self.after_whole(state, operation),
            Step::Effect if is_again(state, operation) => None,
            Step::Effect => match self.effect(state, operation) {
                Effect::Applied(mut after, _) => {
                    remember(&mut after, operation);
                    Some(after)
                }
                Effect::Refused(_) => None,
            },
            Step::RepeatedDeletion => {
                let session = state.sessions.get(&operation.id)?;
                match self.effect(state, operation) {
                    Effect::Applied(after, _)
                        if self.creation(session)?.invoked() < operation.returned =>
                    {
                        Some(after)
                    }
                    _ => None,
                }
            }
            Step::Refusal if is_remembered(state, operation) => None,
            Step::Refusal => self.after_whole(state, operation),
            Step::Listed(id, entry) => {
                let listed = listed(state, operation, id);
                let is_right = match (entry, listed) {
                    (Some(entry), Some(session)) => shows(entry, session, operation, id),
                    (entry, listed) => entry.is_none() && listed.is_none(),
                };
                is_right.then(|| state.clone())
            }
            Step::ListedUnknown(entry) => {
                let is_right = |id: &Id| {
                    let session = listed(state, operation, *id);
                    session.is_some_and(|session| shows(entry, session, operation, *id))
                };
                self.unknown_ids.iter().any(is_right).then(|| state.clone())
            }
            Step::Revoked(id) => revoked(state, operation, id),
            Step::AllRevoked => self.all_revoked(state, operation),
        }
    }

    fn after_whole(&self, state: &State, operation: &Operation) -> Option<State> {
        match (self.effect(state, operation), &operation.outcome) {
            (Effect::Applied(after, expected), Outcome::Success(seen)) => {
                self.agrees(seen, &expected).then_some(after)
            }
            (Effect::Refused(reasons), Outcome::Refused(reason, seen)) => {
                let session = state.sessions.get(&operation.id);
                let shown = session.map(Session::seen).unwrap_or_default();
                let is_right = reasons.contains(&reason.as_str()) && self.agrees(seen, &shown);
                is_right.then(|| state.clone())
            }
            _ => None,
        }
    }

    /// Returns the effect of an operation in a state.
    pub(crate) fn effect(&self, state: &State, operation: &Operation) -> Effect {
        let Operation { id, kind, origin, .. } = operation;
        let session = state.sessions.get(id);
        let unchanged = |seen: Seen| Effect::Applied(state.clone(), seen);
        match kind {
            Kind::Read | Kind::Head => match state.readable(*id) {
                None => Effect::Refused(vec![NOT_FOUND]),
                Some(session) => unchanged(session.seen()),
            },
            Kind::Post(write) | Kind::Create(write) => match session {
                // An earlier attempt created it.
                Some(session) if session.creator == *origin && session.predecessor.is_none() => {
                    unchanged(Seen::default())
                }
                Some(_) => Effect::Refused(vec![SESSION_EXISTS]),
                None => applied(state, *id, Session::new(*origin, write)),
            },
            Kind::Destroy { if_match } => match session {
                None => unchanged(Seen::default()),
                Some(session) if session.successor.is_some() => Effect::Refused(vec![NOT_FOUND]),
                Some(session) if !self.matches(if_match.as_ref(), session, operation) => {
                    Effect::Refused(vec![ETAG_MISMATCH])
                }
                Some(_) => Effect::Applied(state.with(*id, None), Seen::default()),
            },
            Kind::Revoke { user } => match session {
                Some(session) if session.user == Some(*user) && session.successor.is_none() => {
                    Effect::Applied(state.with(*id, None), Seen::default())
                }
                // An earlier attempt may have destroyed it.
                None if operation.may_be_repeated
                    && matches!(operation.outcome, Outcome::Success(_)) =>
                {
                    unchanged(Seen::default())
                }
                _ => Effect::Refused(vec![NOT_FOUND]),
            },
            Kind::List { .. } | Kind::RevokeAll { .. } => Effect::Refused(Vec::new()),
            // A lock is released once, so that every request with its token is a retry of the first one.
            Kind::Unlock { token }
                if session.is_some_and(|session| session.released.contains(token))
                    && matches!(operation.outcome, Outcome::Success(_)) =>
            {
                unchanged(Seen::default())
            }
            _ => match state.current(*id) {
                None => Effect::Refused(vec![NOT_FOUND]),
                Some(session) => self.change(state, session, operation),
            },
        }
    }

    /// Returns the effect of an operation that changes a live session.
    fn change(&self, state: &State, session: &Session, operation: &Operation) -> Effect {
        let Operation { id, kind, origin, .. } = operation;
        let write = requirements(kind);
        let mut reasons = lock_refusal(kind, write.lock, session.lock);
        if !self.matches(write.if_match.as_ref(), session, operation) {
            reasons.push(ETAG_MISMATCH);
        }
        if let Kind::Rotate { new, .. } = kind
            && state.sessions.contains_key(new)
        {
            reasons.push(SESSION_EXISTS);
        }
        if !reasons.is_empty() {
            return Effect::Refused(reasons);
        }
        let mut changed = session.clone();
        changed.apply(&write);
        match kind {
            Kind::Replace(_) | Kind::Rotate { has_data: true, .. } => changed.data = vec![*origin],
            Kind::Patch(_) => changed.data.push(*origin),
            Kind::Lock { renewed: None, .. } => changed.lock = Some(*origin),
            Kind::Unlock { token } if session.lock.is_some() => {
                changed.released.insert(*token);
            }
            _ => {}
        }
        match kind {
            Kind::Unlock { .. } => Effect::Applied(state.with(*id, Some(changed)), Seen::default()),
            Kind::Rotate { new, has_grace, .. } => {
                let seen = seen_after(operation, &changed);
                let old = has_grace.then(|| Session {
                    successor: Some(*new),
                    user: changed.user,
                    lock: None,
                    ..session.clone()
                });
                changed.predecessor = Some(*id);
                changed.remembered.clear();
                changed.released.clear();
                Effect::Applied(state.with(*id, old).with(*new, Some(changed)), seen)
            }
            _ => {
                let seen = seen_after(operation, &changed);
                Effect::Applied(state.with(*id, Some(changed)), seen)
            }
        }
    }

    /// Returns the operation that created a session.
    fn creation(&self, session: &Session) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.origin == session.creator)
    }

    /// Whether a session has the version that the operation requires. If no response tells, the operation
    /// had the outcome that its response says.
    fn matches(&self, if_match: Option<&String>, session: &Session, operation: &Operation) -> bool {
        let Some(tag) = if_match else { return true };
        let is_refused =
            matches!(&operation.outcome, Outcome::Refused(reason, _) if reason == ETAG_MISMATCH);
        self.etags.is_of(tag, session.version()).unwrap_or(!is_refused)
    }

    /// Whether a response agrees with the model, which may be silent on some of it.
    fn agrees(&self, seen: &Seen, expected: &Seen) -> bool {
        let version = expected.data.as_ref().and_then(|data| data.last());
        both(&seen.data, &expected.data, |seen, expected| seen == expected)
            && both(&seen.metadata, &expected.metadata, |seen, expected| seen == expected)
            && both(&seen.ttl, &expected.ttl, |left, ttl| {
                (ttl.saturating_sub(SLACK)..=ttl + SLACK).contains(left)
            })
            && both(&seen.etag, &version, |tag, version| {
                self.etags.is_of(tag, **version) != Some(false)
            })
    }

    /// Whether `DELETE /sessions` is done: no session is left that was created before it was called.
    fn all_revoked(&self, state: &State, operation: &Operation) -> Option<State> {
        let is_left = |(id, session): (&Id, &Session)| {
            let created = self.creation(session).map_or(NEVER, |creation| creation.returned);
            created < operation.invoked() && is_to_revoke(*id, session, operation)
        };
        if state.sessions.iter().any(is_left) {
            return None;
        }
        let mut after = state.clone();
        let counted = after.destroyed.remove(&operation.origin).unwrap_or_default();
        let reported = operation.seen().and_then(|seen| seen.destroyed);
        (operation.may_be_repeated || reported == Some(counted)).then_some(after)
    }
}

fn applied(state: &State, id: Id, session: Session) -> Effect {
    let seen = Seen { ttl: Some(session.ttl), ..Seen::default() };
    Effect::Applied(state.with(id, Some(session)), seen)
}

/// Returns what an operation requires and changes, apart from the data.
fn requirements(kind: &Kind) -> Write {
    match kind {
        Kind::Replace(write) | Kind::Patch(write) | Kind::Touch(write) => write.clone(),
        Kind::Rotate { write, .. } => write.clone(),
        Kind::Lock { renewed, ttl } => Write {
            lock: renewed.map_or(LockHeader::Absent, LockHeader::Lock),
            ttl: *ttl,
            ..Write::PLAIN
        },
        Kind::Unlock { token } => Write { lock: LockHeader::Unlock(*token), ..Write::PLAIN },
        _ => Write::PLAIN,
    }
}

/// Returns why the lock refuses an operation, if it does.
fn lock_refusal(kind: &Kind, header: LockHeader, held: Option<Origin>) -> Vec<&'static str> {
    let is_unlock = matches!(kind, Kind::Unlock { .. });
    match (header, held) {
        (LockHeader::Absent, _) if matches!(kind, Kind::Touch(_)) => vec![],
        (LockHeader::Absent, held) => held.map(|_| LOCKED).into_iter().collect(),
        (LockHeader::Lock(token) | LockHeader::Unlock(token), Some(held)) if token == held => {
            vec![]
        }
        (_, Some(_)) if is_unlock => vec![NOT_LOCK_HOLDER],
        (_, Some(_)) => vec![LOCKED],
        (_, None) if is_unlock => vec![],
        (_, None) => vec![NOT_LOCK_HOLDER],
    }
}

/// Returns what the response to a change shows. A repeated attempt shows what the request does not name
/// as it is by then: the lifetime, and the session under a lock. While nobody knows the token of a new
/// lock, nobody changes the data.
fn seen_after(operation: &Operation, changed: &Session) -> Seen {
    let mut seen = changed.seen();
    if operation.may_be_repeated {
        if requirements(&operation.kind).ttl.is_none() {
            seen.ttl = None;
        }
        if let Kind::Lock { renewed, .. } = operation.kind {
            seen.metadata = None;
            seen.data = seen.data.filter(|_| renewed.is_none());
        }
    }
    seen
}

/// Notes that an attempt was applied, for [`is_remembered`].
fn remember(state: &mut State, operation: &Operation) {
    let id = match operation.kind {
        Kind::Rotate { new, .. } => new,
        _ => operation.id,
    };
    if operation.is_retried()
        && let Some(session) = state.sessions.get_mut(&id)
    {
        session.remembered.push(operation.origin);
    }
}

/// Whether a retry finds that an earlier attempt was applied. The proxy lets no more than three other
/// writes pass meanwhile, so that only a session that is gone has forgotten it.
fn is_remembered(state: &State, operation: &Operation) -> bool {
    let session = match operation.kind {
        Kind::Rotate { new, .. } => state.current(new),
        _ => state.sessions.get(&operation.id),
    };
    session.is_some_and(|session| session.remembered.contains(&operation.origin))
}

/// Whether the operation would be applied again to a session that remembers it. A creation is not: it
/// recognizes its session.
fn is_again(state: &State, operation: &Operation) -> bool {
    !matches!(operation.kind, Kind::Create(_)) && is_remembered(state, operation)
}

/// Returns the session with this id if the list shows it.
fn listed<'a>(state: &'a State, operation: &Operation, id: Id) -> Option<&'a Session> {
    let Kind::List { user, .. } = operation.kind else { return None };
    state.current(id).filter(|session| session.user == Some(user))
}

/// Whether the entry of a list shows this session.
fn shows(entry: &Entry, session: &Session, operation: &Operation, id: Id) -> bool {
    let sends_id = matches!(operation.kind, Kind::List { sends_id: true, .. });
    let is_own = id == operation.id || session.predecessor == Some(operation.id);
    entry.ttl == session.ttl
        && entry.label == session.label
        && entry.is_current == (sends_id && is_own)
}

/// Whether `DELETE /sessions` destroys this session. It keeps the session of the id that it names, also
/// after a rotation of that id.
fn is_to_revoke(id: Id, session: &Session, operation: &Operation) -> bool {
    let Kind::RevokeAll { user, keeps_id } = operation.kind else { return false };
    let is_kept = id == operation.id || session.predecessor == Some(operation.id);
    session.user == Some(user) && !(keeps_id && is_kept)
}

/// Returns the state after `DELETE /sessions` has destroyed the session with this id.
fn revoked(state: &State, operation: &Operation, id: Id) -> Option<State> {
    let session = state.sessions.get(&id)?;
    if !is_to_revoke(id, session, operation) {
        return None;
    }
    let mut after = state.with(id, None);
    // An id in its grace period is destroyed too, but is not a session.
    if session.successor.is_none() && !operation.may_be_repeated {
        *after.destroyed.entry(operation.origin).or_default() += 1;
    }
    Some(after)
}

fn both<S, E>(seen: &Option<S>, expected: &Option<E>, agree: impl Fn(&S, &E) -> bool) -> bool {
    seen.as_ref().zip(expected.as_ref()).is_none_or(|(seen, expected)| agree(seen, expected))
}
