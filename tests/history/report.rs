//! Explains why a history isn't linearizable.

use std::fmt::Write as _;

use crate::check::{Stuck, check};
use crate::etags::ETags;
use crate::event::{Event, Step, events};
use crate::model::{Effect, Model};
use crate::operation::{Id, NEVER, Operation, Outcome};

/// Whether some order of the operations explains their responses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Linearizable,
    /// The search took too long.
    Undecided,
    /// There is no such order. Holds an explanation with as few operations as possible.
    Wrong(String),
}

/// A history: the operations in the order they were sent, and the ids.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
    /// For each id, whether the history learned it.
    pub(crate) is_known: Vec<bool>,
}

impl History {
    /// Checks the history.
    pub(crate) fn check(&self) -> Verdict {
        if let Err(error) = ETags::collect(&self.operations) {
            return Verdict::Wrong(self.describe(&self.operations, &error));
        }
        match self.search(&self.operations, |_, _, stuck| stuck.gave_up) {
            Ok(()) => Verdict::Linearizable,
            Err(true) => Verdict::Undecided,
            Err(false) => {
                let operations = self.shortest();
                let explanation = self.search(&operations, explain).err().unwrap_or_default();
                Verdict::Wrong(self.describe(&operations, &explanation))
            }
        }
    }

    /// Searches for an order of these operations. If there is none, returns `explain`'s view of where the search
    /// got stuck.
    fn search<T>(
        &self,
        operations: &[Operation],
        explain: impl Fn(&Model, &[Event], &Stuck) -> T,
    ) -> Result<(), T> {
        let ids =
            |is_known| (0..self.is_known.len()).filter(move |id| self.is_known[*id] == is_known);
        let known: Vec<Id> = ids(true).collect();
        // Use the tags of the whole history, so that checking just a part of it doesn't lose any.
        let etags = ETags::collect(&self.operations).unwrap_or_default();
        let model = Model { unknown_ids: ids(false).collect(), etags };
        let events = events(operations, &known, self.is_known.len());
        check(&model, &events).map_err(|stuck| explain(&model, &events, &stuck))
    }

    /// Returns the operations up to the first response that can't be explained, without the reads and refusals
    /// that make no difference.
    fn shortest(&self) -> Vec<Operation> {
        let is_wrong = |operations: &[Operation]| {
            self.search(operations, |_, _, stuck| stuck.gave_up) == Err(false)
        };
        let mut responses: Vec<_> = self.operations.iter().map(|o| o.returned).collect();
        responses.sort_unstable();
        let first = responses.partition_point(|end| !is_wrong(&until(&self.operations, *end)));
        let mut operations = until(&self.operations, responses[first.min(responses.len() - 1)]);
        let mut number = 0;
        while number < operations.len() {
            let mut fewer = operations.clone();
            let removed = fewer.remove(number);
            // Keep a refused operation if its refusal is what's wrong.
            let mut without_response = operations.clone();
            without_response[number].outcome = Outcome::Unknown;
            without_response[number].returned = NEVER;
            if removed.has_no_effect() && is_wrong(&fewer) && is_wrong(&without_response) {
                operations = fewer;
            } else {
                number += 1;
            }
        }
        operations
    }

    fn describe(&self, operations: &[Operation], explanation: &str) -> String {
        let mut text = String::new();
        let mut add = |line: String| writeln!(text, "{line}").unwrap();
        add(format!("  {explanation}"));
        add("  Operations, with the times of their requests and responses in milliseconds:".into());
        for operation in operations {
            let Operation { origin, client, id, kind, sent, returned, outcome, .. } = operation;
            let returned = if *returned == NEVER { "…".into() } else { returned.to_string() };
            let times = format!("{sent}-{returned}");
            add(format!(
                "  {times:>12}  client {client}, operation {origin:2} on id {id}: {kind:?}: {outcome:?}"
            ));
        }
        let unknown: Vec<_> = (0..self.is_known.len()).filter(|id| !self.is_known[*id]).collect();
        if !unknown.is_empty() {
            add(format!("  Ids that no client learned: {unknown:?}"));
        }
        text
    }
}

/// Returns the history up to a moment. The outcome of operations that respond later is unknown.
fn until(operations: &[Operation], end: u64) -> Vec<Operation> {
    let started = operations.iter().filter(|operation| operation.sent <= end);
    let cut = |operation: &Operation| {
        let mut operation = operation.clone();
        if operation.returned > end {
            operation.returned = NEVER;
            operation.outcome = Outcome::Unknown;
        }
        operation
    };
    started.map(cut).collect()
}

/// Says how far the search got, and what each operation that could come next would do.
fn explain(model: &Model, events: &[Event], stuck: &Stuck) -> String {
    let mut text = String::from("No order of the operations explains their responses.");
    let name = |event: &Event| match event.step {
        Step::Whole => event.operation.origin.to_string(),
        step => format!("{} ({step:?})", event.operation.origin),
    };
    let order: Vec<_> = stuck.order.iter().map(|number| name(&events[*number])).collect();
    write!(text, "\n  The longest order found is {}, ", order.join(", ")).unwrap();
    write!(text, "after {} positions. It leads to:", stuck.positions).unwrap();
    for (id, session) in &stuck.state.sessions {
        write!(text, "\n    id {id}: {session:?}").unwrap();
    }
    if stuck.state.sessions.is_empty() {
        write!(text, "\n    no session").unwrap();
    }
    text.push_str("\n  What could come next:");
    let left = events.iter().enumerate().filter(|(number, _)| !stuck.order.contains(number));
    let left: Vec<_> = left.map(|(_, event)| event).filter(|event| event.is_required()).collect();
    let deadline = left.iter().map(|event| event.returned).min().unwrap_or_default();
    for event in left.iter().filter(|event| event.invoked <= deadline) {
        let effect = match (event.step, model.effect(&stuck.state, event.operation)) {
            (Step::Whole, Effect::Applied(_, expected)) => format!("would show {expected:?}"),
            (Step::Whole, Effect::Refused(reason)) => format!("would be refused: {reason}"),
            _ => "is not possible".to_owned(),
        };
        write!(text, "\n    {} {effect}", name(event)).unwrap();
    }
    text
}
