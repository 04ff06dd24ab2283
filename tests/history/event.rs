//! The events of a history: what must find a place in the order that explains it.
//!
//! Each attempt of an operation is one event, which has its effect and its response, or the response of a
//! retry while the session remembers the effect of another attempt. There are some more:
//!
//! - An attempt without a response takes effect at some time after it was sent, or never.
//! - If a call to DynamoDB may be repeated, an attempt may take effect before the moment that its response
//!   shows.
//! - A deletion that is repeated may also end a session whose creation was under way: a known limit.
//! - `GET /sessions` reads one session after the other.
//! - `DELETE /sessions` destroys one session after the other, and responds once none is left.

use crate::operation::{Entry, Id, Kind, Moment, NEVER, Operation, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The effect of the attempt and its response.
    Whole,
    /// The effect of the attempt.
    Effect,
    /// What a list says of an id; `None` if it does not list it.
    Listed(Id, Option<&'a Entry>),
    /// An entry of a list for an id that the history never learned.
    ListedUnknown(&'a Entry),
    /// The destruction of the session with this id, as one of the sessions of a user.
    Revoked(Id),
    /// The end of `DELETE /sessions`.
    AllRevoked,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) step: Step<'a>,
    pub(crate) invoked: Moment,
    /// [`NEVER`] for an event that need not happen.
    pub(crate) returned: Moment,
    /// The event that this one must come before, by its number.
    pub(crate) before: Option<usize>,
}

impl Event<'_> {
    pub(crate) fn is_required(&self) -> bool {
        self.returned < NEVER
    }

    /// Whether the event changes nothing in any state.
    pub(crate) fn is_read(&self) -> bool {
        match self.step {
            Step::Listed(..) | Step::ListedUnknown(_) => true,
            Step::Effect | Step::Revoked(_) | Step::AllRevoked => false,
            Step::Whole => self.operation.is_refused() || self.operation.has_no_effect(),
        }
    }
}

/// Returns the events of these operations. `ids` are the ids that the history knows, `count` is the number
/// of all.
pub(crate) fn events<'a>(operations: &'a [Operation], ids: &[Id], count: usize) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    // A session that is created again, or moved there again, may be destroyed again.
    let made = operations.iter().filter_map(|operation| match operation.kind {
        Kind::Create(_) => Some(operation.id),
        Kind::Rotate { new, .. } => Some(new),
        _ => None,
    });
    let revocations: Vec<Id> = (0..count).chain(made).collect();
    for operation in operations {
        match operation.kind {
            Kind::List { .. } => add_list(&mut events, operation, ids),
            Kind::RevokeAll { .. } => add_revocation(&mut events, operation, &revocations),
            _ => add_other(&mut events, operation),
        }
    }
    events
}

/// An event that must happen between the invocation and the response.
fn required<'a>(operation: &'a Operation, step: Step<'a>) -> Event<'a> {
    let (invoked, returned) = (operation.sent, operation.returned);
    Event { operation, step, invoked, returned, before: None }
}

/// An event that may happen at any time after the invocation, but before this other event.
fn possible<'a>(operation: &'a Operation, step: Step<'a>, before: Option<usize>) -> Event<'a> {
    Event { operation, step, invoked: operation.sent, returned: NEVER, before }
}

fn add_other<'a>(events: &mut Vec<Event<'a>>, operation: &'a Operation) {
    let is_known = operation.outcome != Outcome::Unknown;
    let before = is_known.then_some(events.len());
    events.extend(is_known.then(|| required(operation, Step::Whole)));
    if operation.has_no_effect() {
        return;
    }
    if !is_known || operation.may_be_repeated {
        events.push(possible(operation, Step::Effect, before));
    }
    let is_deletion = matches!(operation.kind, Kind::Destroy { .. } | Kind::Revoke { .. });
    if is_deletion && operation.may_be_repeated {
        events.push(possible(operation, Step::Effect, None));
    }
}

fn add_list<'a>(events: &mut Vec<Event<'a>>, operation: &'a Operation, ids: &[Id]) {
    let listed = match &operation.outcome {
        Outcome::Success(seen) => seen.listed.as_deref().unwrap_or_default(),
        _ => return,
    };
    for id in ids {
        let entry = listed.iter().find(|entry| entry.id == Some(*id));
        events.push(required(operation, Step::Listed(*id, entry)));
    }
    let unknown = listed.iter().filter(|entry| entry.id.is_none());
    events.extend(unknown.map(|entry| required(operation, Step::ListedUnknown(entry))));
}

fn add_revocation<'a>(events: &mut Vec<Event<'a>>, operation: &'a Operation, ids: &[Id]) {
    let is_known = operation.outcome != Outcome::Unknown;
    let before = is_known.then_some(events.len());
    events.extend(is_known.then(|| required(operation, Step::AllRevoked)));
    events.extend(ids.iter().map(|id| possible(operation, Step::Revoked(*id), before)));
}
