//! Linearizability: whether the model allows some order of the events in which each happens at one moment between its
//! request and its response.
//!
//! This is Wing and Gong's search with Lowe's cache of dead ends, as in
//! [Porcupine](https://github.com/anishathalye/porcupine). If a position is a dead end, so is any other with the same
//! state and the same required events in its past, but more optional ones.

use std::collections::HashMap;

use crate::event::Event;
use crate::model::Model;
use crate::state::State;

/// The search gives up after this many positions. Most histories of this size need fewer than a hundred.
const MAX_POSITIONS: usize = 30_000;

/// How far the search got.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    /// The longest order found, as event numbers.
    pub(crate) order: Vec<usize>,
    /// The state after it.
    pub(crate) state: State,
    /// Number of positions searched.
    pub(crate) positions: usize,
    /// Whether the search gave up, so there may still be an order.
    pub(crate) gave_up: bool,
}

/// Searches for an order of the events that the model allows.
///
/// # Errors
/// Where the search got stuck, if there's no such order.
pub(crate) fn check(model: &Model, events: &[Event]) -> Result<(), Stuck> {
    let mut search = Search {
        model,
        events,
        required: required(events),
        dead_ends: HashMap::new(),
        order: Vec::new(),
        stuck: Stuck::default(),
    };
    if search.run(Done::default(), State::default()) { Ok(()) } else { Err(search.stuck) }
}

/// A set of events, by their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Done([u64; 12]);

impl Done {
    fn contains(&self, number: usize) -> bool {
        self.0[number / 64] & (1 << (number % 64)) != 0
    }

    fn with(mut self, number: usize) -> Self {
        self.0[number / 64] |= 1 << (number % 64);
        self
    }

    /// Splits the set into the events that `other` has too, and the rest.
    fn split(self, other: Self) -> (Self, Self) {
        let both = |invert: u64| std::array::from_fn(|n| self.0[n] & (other.0[n] ^ invert));
        (Self(both(0)), Self(both(u64::MAX)))
    }

    fn is_subset(self, other: Self) -> bool {
        self.split(other).0 == self
    }
}

fn required(events: &[Event]) -> Done {
    let required = events.iter().enumerate().filter(|(_, event)| event.is_required());
    required.fold(Done::default(), |required, (number, _)| required.with(number))
}

struct Search<'a> {
    model: &'a Model,
    events: &'a [Event<'a>],
    /// The events that must happen.
    required: Done,
    /// Dead ends: for each combination of state and required events so far, the sets of optional events so far.
    dead_ends: HashMap<(Done, State), Vec<Done>>,
    order: Vec<usize>,
    stuck: Stuck,
}

impl Search<'_> {
    /// Whether all remaining required events can follow those in `done`.
    fn run(&mut self, mut done: Done, state: State) -> bool {
        let length = self.order.len();
        loop {
            let Some(deadline) = self.deadline(done) else { return true };
            let mut branches = Vec::new();
            let mut read = None;
            for number in self.candidates(done, deadline) {
                let event = &self.events[number];
                match self.model.after(&state, event) {
                    // A read never changes anything, so letting it happen now doesn't rule out any order.
                    Some(_) if event.is_read() => read = Some(number),
                    // An optional event is useless if it changes nothing.
                    Some(after) if event.is_required() || after != state => {
                        branches.push((number, after));
                    }
                    _ => {}
                }
            }
            let Some(number) = read else {
                let is_found = self.branch(done, &state, branches);
                if !is_found {
                    self.order.truncate(length);
                }
                return is_found;
            };
            done = done.with(number);
            self.order.push(number);
        }
    }

    fn branch(&mut self, done: Done, state: &State, mut branches: Vec<(usize, State)>) -> bool {
        if self.order.len() >= self.stuck.order.len() {
            self.stuck.order.clone_from(&self.order);
            self.stuck.state.clone_from(state);
        }
        let (required, others) = done.split(self.required);
        let known = self.dead_ends.entry((required, state.clone())).or_default();
        if known.iter().any(|fewer| fewer.is_subset(others)) {
            return false;
        }
        known.push(others);
        self.stuck.positions += 1;
        if self.stuck.positions == MAX_POSITIONS {
            self.stuck.gave_up = true;
        }
        if self.stuck.gave_up {
            return false;
        }
        // What responded first most likely happened first.
        branches.sort_by_key(|(number, _)| self.events[*number].returned);
        for (number, after) in branches {
            self.order.push(number);
            if self.run(done.with(number), after) {
                return true;
            }
            self.order.pop();
        }
        false
    }

    /// Returns the earliest response among the required events that are left, if any.
    fn deadline(&self, done: Done) -> Option<u64> {
        let left = self.events.iter().enumerate().filter(|(n, _)| !done.contains(*n));
        left.filter(|(_, event)| event.is_required()).map(|(_, event)| event.returned).min()
    }

    /// Returns the events that can come next: those sent before the deadline.
    fn candidates(&self, done: Done, deadline: u64) -> Vec<usize> {
        let is_done = |n| done.contains(n);
        let can_be_next = |n: &usize| {
            let event = &self.events[*n];
            !is_done(*n) && event.invoked <= deadline && !event.before.is_some_and(is_done)
        };
        (0..self.events.len()).filter(can_be_next).collect()
    }
}

#[cfg(test)]
mod tests;
