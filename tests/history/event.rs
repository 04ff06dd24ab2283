//! The events of a history, which the checker puts in order.
//!
//! Each attempt at an operation is one event: its effect together with its response. If the session remembers that
//! another attempt took effect, the event is only the response. Some cases need other events:
//!
//! - An attempt without a response takes effect some time after it was sent, or never.
//! - If a call to DynamoDB may be repeated, an attempt may take effect earlier than its response suggests.
//! - A repeated deletion may also end a session that was just being created: a known limitation.
//! - `GET /sessions` reads the sessions one by one.
//! - `DELETE /sessions` destroys the sessions one by one, and responds once none is left.

use crate::operation::{Entry, Id, Kind, Moment, NEVER, Operation, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The effect of the attempt and its response.
    Whole,
    /// The effect of the attempt.
    Effect,
    /// What a list says about an id; `None` if the id isn't listed.
    Listed(Id, Option<&'a Entry>),
    /// A list entry for an id that the history never learned.
    ListedUnknown(&'a Entry),
    /// `DELETE /sessions` destroys the session with this id.
    Revoked(Id),
    /// `DELETE /sessions` is done.
    AllRevoked,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) step: Step<'a>,
    pub(crate) invoked: Moment,
    /// [`NEVER`] if the event is optional.
    pub(crate) returned: Moment,
    /// Number of the event that this one must come before.
    pub(crate) before: Option<usize>,
}

impl Event<'_> {
    pub(crate) fn is_required(&self) -> bool {
        self.returned < NEVER
    }

    /// Whether the event never changes anything, whatever the state.
    pub(crate) fn is_read(&self) -> bool {
        match self.step {
            Step::Listed(..) | Step::ListedUnknown(_) => true,
            Step::Effect | Step::Revoked(_) | Step::AllRevoked => false,
            Step::Whole => self.operation.is_refused() || self.operation.has_no_effect(),
        }
    }
}

/// Returns the events of these operations. `ids` are the ids that the history knows, and `count` is how many
/// ids there are in all.
pub(crate) fn events<'a>(operations: &'a [Operation], ids: &[Id], count: usize) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    // If an id gets another session, that one may be destroyed too.
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

/// An event that must happen between the request and the response.
fn required<'a>(operation: &'a Operation, step: Step<'a>) -> Event<'a> {
    let (invoked, returned) = (operation.sent, operation.returned);
    Event { operation, step, invoked, returned, before: None }
}

/// An event that may happen at any time after the request, but before event number `before`.
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
