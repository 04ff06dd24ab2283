//! The events of a history: what must find a place in the order that explains it.
//!
//! Most operations are one event. The others are several:
//!
//! - An attempt without a response takes effect at some time after it was sent, or never.
//! - Several attempts of one operation take effect only if no session remembers the earlier one: a session
//!   that was destroyed and created again under the same id remembers nothing.
//! - An attempt is not refused while the session remembers that an earlier one was applied. But an earlier
//!   one may still be on its way then, and nobody can know.
//! - A deletion that is repeated may also end a session whose creation was under way: a known limit.
//! - Each attempt of a `PUT` that creates a session may create it: a known limit.
//! - `GET /sessions` reads one session after the other.
//! - `DELETE /sessions` destroys one session after the other, and responds once none is left.

use crate::operation::{Entry, Id, Kind, NEVER, Operation, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The effect of the operation and its response.
    Whole,
    /// The effect of an attempt without a response.
    Effect,
    /// The effect of a deletion that is repeated, on a session whose creation was under way at the same time.
    RepeatedDeletion,
    /// The refusal of the last attempt.
    Refusal,
    /// What a list says of an id; `None` if it does not list it.
    Listed(Id, Option<&'a Entry>),
    /// An entry of a list for an id that the history never learned.
    ListedUnknown(&'a Entry),
    /// The destruction of the session with this id, as one of all sessions of a user.
    Revoked(Id),
    /// The end of `DELETE /sessions`.
    AllRevoked,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) step: Step<'a>,
    pub(crate) invoked: u64,
    /// [`NEVER`] for an event that need not happen.
    pub(crate) returned: u64,
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
            Step::Listed(..) | Step::ListedUnknown(_) | Step::Refusal => true,
            Step::Effect | Step::RepeatedDeletion | Step::Revoked(_) | Step::AllRevoked => false,
            Step::Whole => {
                matches!(self.operation.kind, Kind::Read | Kind::Head)
                    || matches!(self.operation.outcome, Outcome::Refused(..))
            }
        }
    }
}

/// Returns the events of these operations. `ids` are the ids that the history knows, `count` is the number
/// of all.
pub(crate) fn events<'a>(operations: &'a [Operation], ids: &[Id], count: usize) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    // A session that is created again meanwhile may be destroyed again.
    let creations = operations.iter().filter(|operation| matches!(operation.kind, Kind::Create(_)));
    let revocations: Vec<Id> = (0..count).chain(creations.map(|creation| creation.id)).collect();
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
    let (invoked, returned) = (operation.invoked(), operation.returned);
    Event { operation, step, invoked, returned, before: None }
}

/// An event that may happen at any time after its invocation.
fn possible<'a>(operation: &'a Operation, step: Step<'a>, invoked: u64) -> Event<'a> {
    Event { operation, step, invoked, returned: NEVER, before: None }
}

fn add_other<'a>(events: &mut Vec<Event<'a>>, operation: &'a Operation) {
    let Operation { kind, sent, outcome, .. } = operation;
    let is_creation = matches!(kind, Kind::Create(_));
    let (last, earlier) = (sent[sent.len() - 1], &sent[..sent.len() - 1]);
    let unknown: &[u64] = match outcome {
        _ if matches!(kind, Kind::Read | Kind::Head) => &[],
        Outcome::Unknown => sent,
        Outcome::Success(_) | Outcome::Refused(..) => earlier,
    };
    let mut before = None;
    match outcome {
        Outcome::Unknown => {}
        Outcome::Refused(..) if operation.is_retried() => {
            events.push(Event { invoked: last, ..required(operation, Step::Refusal) });
        }
        Outcome::Success(_) if is_creation => {
            events.push(Event { invoked: last, ..required(operation, Step::Whole) });
        }
        _ => {
            before = Some(events.len());
            events.push(required(operation, Step::Whole));
        }
    }
    events.extend(
        unknown.iter().map(|sent| Event { before, ..possible(operation, Step::Effect, *sent) }),
    );
    let is_deletion = matches!(kind, Kind::Destroy { .. } | Kind::Revoke { .. });
    if is_deletion && operation.may_be_repeated && !matches!(outcome, Outcome::Refused(..)) {
        events.push(possible(operation, Step::RepeatedDeletion, sent[0]));
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
    let mut before = None;
    if operation.outcome != Outcome::Unknown {
        before = Some(events.len());
        events.push(required(operation, Step::AllRevoked));
    }
    events.extend(ids.iter().map(|id| {
        let step = Step::Revoked(*id);
        Event { before, ..possible(operation, step, operation.invoked()) }
    }));
}
