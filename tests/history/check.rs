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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CREATED_TTL;
    use crate::operation::{Attributes, Id, Kind, Lock, Outcome, Seen};

    fn history(operations: Vec<(u64, u64, Id, Kind, Outcome)>) -> Vec<Operation> {
        let operation = |(origin, (invoked, returned, id, kind, outcome))| Operation {
            origin,
            client: 0,
            may_be_repeated: false,
            id,
            kind,
            invoked,
            returned,
            outcome,
        };
        operations.into_iter().enumerate().map(operation).collect()
    }

    fn success() -> Outcome {
        Outcome::Success(Seen::default())
    }

    fn not_found() -> Outcome {
        Outcome::Refused("404 session-not-found".into(), Seen::default())
    }

    fn reads(data: &[usize]) -> Outcome {
        Outcome::Success(Seen { data: Some(data.to_vec()), ..Seen::default() })
    }

    fn lives(ttl: u64) -> Outcome {
        Outcome::Success(Seen { ttl: Some(ttl), ..Seen::default() })
    }

    fn replace() -> Kind {
        Kind::Replace { if_match: None, lock: Lock::None, attributes: Attributes::default() }
    }

    fn touch(ttl: u64) -> Kind {
        let attributes = Attributes { ttl: Some(ttl), ..Attributes::default() };
        Kind::Touch { lock: Lock::None, attributes }
    }

    fn rotate(new: Id) -> Kind {
        let (lock, attributes) = (Lock::None, Attributes::default());
        Kind::Rotate { new, data: false, grace: false, if_match: None, lock, attributes }
    }

    #[test]
    fn overlapping_operations_take_any_order() {
        for read in [[0], [1]] {
            let history = history(vec![
                (0, 1, 0, Kind::Create, success()),
                (2, 5, 0, replace(), success()),
                (3, 4, 0, Kind::Read, reads(&read)),
            ]);
            assert_eq!(check(&history), Ok(()));
        }
    }

    #[test]
    fn stale_reads_are_convicted() {
        let history = history(vec![
            (0, 1, 0, Kind::Create, success()),
            (2, 3, 0, replace(), success()),
            (4, 5, 0, Kind::Read, reads(&[0])),
        ]);
        assert!(check(&history).is_err());
    }

    #[test]
    fn pending_operations_take_effect_later_or_never_but_once() {
        let with = |last: &[usize]| {
            history(vec![
                (0, 1, 0, Kind::Create, success()),
                (2, u64::MAX, 0, replace(), Outcome::Unknown),
                (4, 5, 0, Kind::Read, reads(&[0])),
                (6, 7, 0, replace(), success()),
                (8, 9, 0, Kind::Read, reads(last)),
            ])
        };
        assert_eq!(check(&with(&[3])), Ok(()));
        assert_eq!(check(&with(&[1])), Ok(()));
        let mut twice = with(&[1]);
        twice.extend(history(vec![
            (10, 11, 0, replace(), success()),
            (12, 13, 0, Kind::Read, reads(&[1])),
        ]));
        twice[5].origin = 5;
        twice[6].origin = 6;
        assert!(check(&twice).is_err(), "the pending write was applied twice");
    }

    #[test]
    fn resurrected_sessions_are_convicted() {
        let history = history(vec![
            (0, 1, 0, Kind::Create, success()),
            (2, 3, 0, Kind::Destroy { if_match: None }, success()),
            (4, 5, 0, replace(), success()),
        ]);
        assert!(check(&history).is_err());
    }

    #[test]
    fn rotations_that_lose_a_touch_are_convicted() {
        let with = |ttl| {
            history(vec![
                (0, 1, 0, Kind::Create, lives(CREATED_TTL)),
                (2, 3, 0, touch(500), lives(500)),
                (4, 5, 0, rotate(1), lives(ttl)),
                (6, 7, 0, Kind::Read, not_found()),
            ])
        };
        assert_eq!(check(&with(500)), Ok(()));
        assert!(check(&with(CREATED_TTL)).is_err());
    }
}
