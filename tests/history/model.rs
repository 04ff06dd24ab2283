//! The contract as a sequential model: what each attempt at an operation does to the state, and what its
//! response shows.
//!
//! An attempt's time of arrival decides what's live, whose lease has expired, and which session the attempt means. The
//! time that it then spends in a function doesn't matter: it's shorter than anything the contract measures, and than
//! any jump of the clock.

use crate::etags::ETags;
use crate::event::{Event, Step};
use crate::operation::{
    Entry, Id, Keep, Kind, LockHeader, Moment, Operation, Outcome, SECOND, Seen, Write,
};
use crate::state::{Expected, GRACE, LEASE, Lock, Owner, Session, State, WriteId};

/// The longest an attempt takes, in seconds. A lifetime in a response may be off by that much.
const SLACK: u64 = 30;

const NOT_FOUND: &str = "404 session-not-found";
const ETAG_MISMATCH: &str = "412 etag-mismatch";
const NOT_LOCK_HOLDER: &str = "412 not-lock-holder";
const SESSION_EXISTS: &str = "412 session-exists";
const LOCKED: &str = "423 session-locked";

/// What an attempt does at some moment.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It succeeds, leaves this state behind, and its response shows this.
    Applied(State, Expected),
    Refused(&'static str),
    /// It cannot happen in this state.
    Impossible,
}

pub(crate) struct Model {
    /// Ids that the history never learned.
    pub(crate) unknown_ids: Vec<Id>,
    pub(crate) etags: ETags,
}

impl Model {
    /// Returns the state after an event, or `None` if it cannot happen in this state.
    pub(crate) fn after(&self, state: &State, event: &Event) -> Option<State> {
        let operation = event.operation;
        match event.step {
            Step::Whole => self.after_whole(state, operation),
            Step::Effect => match self.effect(state, operation) {
                Effect::Applied(after, _) => Some(after),
                Effect::Refused(_) | Effect::Impossible => None,
            },
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
            Step::AllRevoked => all_revoked(state, operation),
        }
    }

    fn after_whole(&self, state: &State, operation: &Operation) -> Option<State> {
        match (self.effect(state, operation), &operation.outcome) {
            (Effect::Applied(after, expected), Outcome::Success(seen)) => {
                self.agrees(seen, &expected).then_some(after)
            }
            (Effect::Refused(expected), Outcome::Refused(reason, seen)) => {
                let session = state.sessions.get(&operation.id);
                let shown = session.map(|session| session.expected(operation.sent));
                let is_right = reason == expected && self.agrees(seen, &shown.unwrap_or_default());
                is_right.then(|| state.clone())
            }
            _ => None,
        }
    }

    /// Returns the effect of an attempt in a state.
    pub(crate) fn effect(&self, state: &State, operation: &Operation) -> Effect {
        let Operation { id, kind, sent, .. } = operation;
        if let Some(effect) = applied_before(state, operation) {
            return effect;
        }
        let unchanged = || Effect::Applied(state.clone(), Expected::default());
        match (kind, state.readable(*id, *sent)) {
            (Kind::Read { if_match }, Some(session)) => {
                if self.matches(if_match.as_ref(), session, operation) {
                    Effect::Applied(state.clone(), session.expected(*sent))
                } else {
                    Effect::Refused(ETAG_MISMATCH)
                }
            }
            (Kind::Post(write) | Kind::Create(write), None) => {
                let session = Session::new(operation, write);
                let expected = session.expected(*sent);
                Effect::Applied(state.with(*id, Some(session)), expected)
            }
            (Kind::Post(_) | Kind::Create(_), Some(_)) => Effect::Refused(SESSION_EXISTS),
            (Kind::Destroy { .. }, None) => unchanged(),
            // An earlier call may have destroyed it.
            (Kind::Revoke { .. }, None)
                if operation.may_be_repeated
                    && matches!(operation.outcome, Outcome::Success(_)) =>
            {
                unchanged()
            }
            (Kind::Revoke { user }, Some(session)) if session.user() != Some(*user) => {
                Effect::Refused(NOT_FOUND)
            }
            (Kind::List { .. } | Kind::RevokeAll { .. }, _) => Effect::Impossible,
            (_, Some(session)) if session.successor.is_none() => {
                // An attempt never means a session that was created after it arrived. As far as it's concerned, there's
                // no session.
                if session.created > *sent {
                    return match kind {
                        Kind::Destroy { .. } => unchanged(),
                        _ => Effect::Refused(NOT_FOUND),
                    };
                }
                self.change(state, session, operation)
            }
            _ => Effect::Refused(NOT_FOUND),
        }
    }

    /// Returns the effect of an attempt that changes or ends a live session.
    fn change(&self, state: &State, session: &Session, operation: &Operation) -> Effect {
        let Operation { id, kind, origin, sent, .. } = operation;
        let write = requirements(kind);
        if let Some(reason) = lock_refusal(kind, write.lock, session.held(*sent), session.lock) {
            return Effect::Refused(reason);
        }
        if !self.matches(write.if_match.as_ref(), session, operation) {
            return Effect::Refused(ETAG_MISMATCH);
        }
        let mut changed = session.clone();
        match kind {
            Kind::Destroy { .. } | Kind::Revoke { .. } => {
                return Effect::Applied(state.without(*id, operation), Expected::default());
            }
            Kind::Unlock { token } => {
                if session.lock.is_some_and(|lock| lock.token == *token) {
                    changed.lock = None;
                    changed.remember(WriteId::Release(*token));
                }
                return Effect::Applied(state.with(*id, Some(changed)), Expected::default());
            }
            Kind::Rotate { new, .. } if state.readable(*new, *sent).is_some() => {
                return Effect::Refused(SESSION_EXISTS);
            }
            Kind::Replace(_) | Kind::Rotate { has_data: true, .. } => changed.data = vec![*origin],
            Kind::Patch(_) if !changed.data.contains(origin) => changed.data.push(*origin),
            Kind::Lock { renewed, .. } => {
                let (token, until) = (renewed.unwrap_or(*origin), sent + LEASE * SECOND);
                changed.lock = Some(Lock { token, until });
            }
            _ => {}
        }
        changed.apply(&write, operation);
        changed.remember(WriteId::Of(*origin));
        let mut after = state.clone();
        if changed.user() != session.user() {
            after.leave(session.owner, operation);
        }
        let mut now_at = *id;
        if let Kind::Rotate { new, has_grace, .. } = kind {
            let old = has_grace.then(|| Session {
                successor: Some(*new),
                expires: sent + GRACE * SECOND,
                lock: None,
                ..session.clone()
            });
            after = after.with(*id, old);
            changed.predecessor = Some(*id);
            // Write ids are derived from the session id, so only the rotation itself is remembered.
            changed.writes.drain(..changed.writes.len() - 1);
            now_at = *new;
        }
        let expected = changed.expected(*sent);
        Effect::Applied(after.with(now_at, Some(changed)), expected)
    }

    /// Whether the session has the version that the operation requires. If no other response shows that, believe the
    /// operation's own.
    fn matches(&self, if_match: Option<&String>, session: &Session, operation: &Operation) -> bool {
        let Some(tag) = if_match else { return true };
        let is_refused =
            matches!(&operation.outcome, Outcome::Refused(reason, _) if reason == ETAG_MISMATCH);
        self.etags.is_of(tag, session.version()).unwrap_or(!is_refused)
    }

    /// Whether a response and the model agree wherever both say something.
    fn agrees(&self, seen: &Seen, expected: &Expected) -> bool {
        both(&seen.data, &expected.data, |seen, expected| seen == expected)
            && both(&seen.metadata, &expected.metadata, |seen, expected| seen == expected)
            && both(&seen.ttl, &expected.ttl, |seen, expected| seen.abs_diff(*expected) < SLACK)
            && both(&seen.etag, &expected.version, |tag, version| {
                self.etags.is_of(tag, *version) != Some(false)
            })
    }
}

/// Returns the effect of an attempt if the session remembers that another one was applied. The response shows
/// the session as it is now, but with the version that the request left behind.
fn applied_before(state: &State, operation: &Operation) -> Option<Effect> {
    let Operation { id, kind, origin, sent, .. } = operation;
    let (id, write) = match kind {
        Kind::Rotate { new, .. } => (new, WriteId::Of(*origin)),
        Kind::Unlock { token } => (id, WriteId::Release(*token)),
        _ => (id, WriteId::Of(*origin)),
    };
    let session = state.current(*id, *sent)?;
    let remembered = session.writes.iter().find(|(known, _)| *known == write);
    // A rotation is remembered as long as the session knows its former id.
    let is_rotated =
        matches!(kind, Kind::Rotate { .. }) && session.predecessor == Some(operation.id);
    if remembered.is_none() && !is_rotated {
        return None;
    }
    let version = remembered.map(|(_, version)| *version);
    let mut expected = Expected { version, ..session.expected(*sent) };
    match (kind, session.held(*sent)) {
        (Kind::Lock { renewed, .. }, Some(lock)) if lock.token == renewed.unwrap_or(*origin) => {
            expected.version = Some(session.version());
        }
        (Kind::Lock { .. }, Some(_)) => return Some(Effect::Refused(LOCKED)),
        (Kind::Lock { .. }, None) => return Some(Effect::Refused(NOT_LOCK_HOLDER)),
        _ => {}
    }
    Some(Effect::Applied(state.clone(), expected))
}

/// Returns what an operation requires and changes, apart from the data.
fn requirements(kind: &Kind) -> Write {
    match kind {
        Kind::Replace(write) | Kind::Patch(write) | Kind::Touch(write) => write.clone(),
        Kind::Rotate { write, .. } => write.clone(),
        Kind::Lock { renewed, ttl, .. } => Write {
            lock: renewed.map_or(LockHeader::Absent, LockHeader::Lock),
            ttl: *ttl,
            ..Write::PLAIN
        },
        Kind::Unlock { token } => Write { lock: LockHeader::Unlock(*token), ..Write::PLAIN },
        Kind::Destroy { if_match } => Write { if_match: if_match.clone(), ..Write::PLAIN },
        _ => Write::PLAIN,
    }
}

/// Returns why the lock refuses an operation, if it does. A holder whose lease has expired may write until somebody
/// else takes the lock.
fn lock_refusal(
    kind: &Kind,
    header: LockHeader,
    held: Option<Lock>,
    last: Option<Lock>,
) -> Option<&'static str> {
    match (header, held) {
        (LockHeader::Absent, Some(_)) => {
            let goes_through =
                matches!(kind, Kind::Touch(_) | Kind::Destroy { .. } | Kind::Revoke { .. });
            (!goes_through).then_some(LOCKED)
        }
        (LockHeader::Absent, None) => None,
        (LockHeader::Lock(token) | LockHeader::Unlock(token), held) => {
            match (last.is_some_and(|lock| lock.token == token), held, kind) {
                (true, ..) | (false, None, Kind::Unlock { .. }) => None,
                (false, Some(_), Kind::Unlock { .. }) | (false, None, _) => Some(NOT_LOCK_HOLDER),
                (false, Some(_), _) => Some(LOCKED),
            }
        }
    }
}

/// Returns the session with this id if the list shows it.
fn listed<'a>(state: &'a State, operation: &Operation, id: Id) -> Option<&'a Session> {
    let Kind::List { user, .. } = operation.kind else { return None };
    state.current(id, operation.sent).filter(|session| session.user() == Some(user))
}

/// Whether a list entry shows this session.
fn shows(entry: &Entry, session: &Session, operation: &Operation, id: Id) -> bool {
    let sends_id = matches!(operation.kind, Kind::List { sends_id: true, .. });
    let is_own = id == operation.id || session.predecessor == Some(operation.id);
    entry.ttl == session.ttl
        && entry.label == session.label
        && entry.is_current == (sends_id && is_own)
}

/// Whether `DELETE /sessions` may destroy this session. It spares the session whose id it names, even if that id was
/// rotated. With a limit, a session may be destroyed only if at least that many others might have gotten their owner
/// later.
fn is_to_revoke(state: &State, id: Id, session: &Session, operation: &Operation) -> bool {
    let Kind::RevokeAll { user, keep } = operation.kind else { return false };
    let Some(owner) = session.owner.filter(|owner| owner.user == user) else { return false };
    match keep {
        Keep::Nothing => true,
        Keep::Id => id != operation.id && session.predecessor != Some(operation.id),
        Keep::Newest(count) => {
            let others = state.sessions.iter().filter(|(other, session)| {
                **other != id && session.is_live(operation.sent) && session.successor.is_none()
            });
            // Some sessions may have ended after this request counted them. But if a limit at least this high ended
            // one, others had replaced it.
            let was_counted = |(_, until, limit): &&(Owner, Moment, usize)| {
                *until > operation.sent && *limit < count
            };
            let former = state.former.iter().filter(was_counted).map(|(owner, ..)| *owner);
            let owners = others.filter_map(|(_, other)| other.owner).chain(former);
            owners.filter(|other| other.user == user && other.to > owner.from).count() >= count
        }
    }
}

/// Returns the state after `DELETE /sessions` has destroyed this session.
fn revoked(state: &State, operation: &Operation, id: Id) -> Option<State> {
    let session = state.sessions.get(&id).filter(|session| session.is_live(operation.sent))?;
    if !is_to_revoke(state, id, session, operation) {
        return None;
    }
    let mut after = state.without(id, operation);
    // An id in its grace period is destroyed too, but doesn't count as a session.
    if session.successor.is_none() && !operation.may_be_repeated {
        *after.destroyed.entry(operation.sent).or_default() += 1;
    }
    Some(after)
}

/// Returns the state after `DELETE /sessions` is done. It isn't done while the user still has more sessions than
/// it should keep, not counting those added later.
fn all_revoked(state: &State, operation: &Operation) -> Option<State> {
    let Kind::RevokeAll { user, keep } = operation.kind else { return None };
    let is_left = |(id, session): &(&Id, &Session)| {
        let is_theirs = |owner: Owner| owner.user == user && owner.to < operation.sent;
        session.owner.is_some_and(is_theirs)
            && session.is_live(operation.sent)
            && match keep {
                Keep::Newest(_) => session.successor.is_none(),
                _ => is_to_revoke(state, **id, session, operation),
            }
    };
    let left = state.sessions.iter().filter(is_left).count();
    if left > if let Keep::Newest(count) = keep { count } else { 0 } {
        return None;
    }
    let mut after = state.clone();
    let counted = after.destroyed.remove(&operation.sent).unwrap_or_default();
    let reported = operation.seen().and_then(|seen| seen.destroyed);
    (operation.may_be_repeated || reported == Some(counted)).then_some(after)
}

fn both<S, E>(seen: &Option<S>, expected: &Option<E>, agree: impl Fn(&S, &E) -> bool) -> bool {
    seen.as_ref().zip(expected.as_ref()).is_none_or(|(seen, expected)| agree(seen, expected))
}
