//! Linearizability: whether the operations can be put into an order in which each takes effect at one
//! moment between its invocation and its response.
//!
//! The search is Wing and Gong's, with Lowe's memory of the states that led nowhere, as in
//! [Porcupine](https://github.com/anishathalye/porcupine). A pending operation may take its place at any
//! time after its invocation, or none.

use std::collections::HashSet;

use crate::model::State;
use crate::operation::{ETags, Operation};

/// Checks a history.
///
/// # Errors
/// A description, with the longest order that was found, if the history is not linearizable.
pub(crate) fn check(operations: &[Operation]) -> Result<(), String> {
    assert!(operations.len() <= 64, "a history has at most 64 operations");
    let etags = ETags::collect(operations)?;
    let mut search =
        Search { operations, etags, dead_ends: HashSet::new(), order: vec![], longest: vec![] };
    if search.run(0, &State::default()) {
        return Ok(());
    }
    let longest: Vec<_> = search.longest.iter().map(|n| operations[*n].origin).collect();
    Err(format!("no order of the operations explains the responses; the longest is {longest:?}"))
}

struct Search<'a> {
    operations: &'a [Operation],
    etags: ETags,
    /// Sets of operations that were put in order, each with the state that resulted.
    dead_ends: HashSet<(u64, State)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl Search<'_> {
    /// Whether the remaining operations can follow. `done` is the set of those in order so far.
    fn run(&mut self, done: u64, state: &State) -> bool {
        let is_left = |n: &usize| done & (1 << n) == 0;
        let left: Vec<_> = (0..self.operations.len()).filter(is_left).collect();
        let Some(first_response) = left
            .iter()
            .map(|n| &self.operations[*n])
            .filter(|operation| !operation.is_pending())
            .map(|operation| operation.returned)
            .min()
        else {
            return true;
        };
        if !self.dead_ends.insert((done, state.clone())) {
            return false;
        }
        if self.order.len() > self.longest.len() {
            self.longest = self.order.clone();
        }
        for n in left {
            let operation = &self.operations[n];
            if operation.invoked > first_response {
                continue;
            }
            let Some(after) = state.after(operation, &self.etags) else { continue };
            self.order.push(n);
            if self.run(done | 1 << n, &after) {
                return true;
            }
            self.order.pop();
        }
        false
    }
}
