//! What a history's clients share: what they know so far, and what they have recorded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::harness::{handle, new_id};
use crate::operation::{Id, Moment, Operation, Origin, SECOND};
use crate::report::History;

/// An id in the history.
struct KnownId {
    text: Option<String>,
    /// Whether clients may use it yet. They wait until the request that creates it is done.
    is_usable: bool,
}

/// The history's time: what has really passed, plus the jumps.
struct Clock {
    started: Instant,
    jumped: Moment,
    last: Moment,
}

pub(crate) struct Board {
    /// Tells this history's users from those of other histories.
    tag: String,
    clock: Mutex<Clock>,
    origins: AtomicUsize,
    ids: Mutex<Vec<KnownId>>,
    /// ETags from responses, oldest first.
    pub(crate) etags: Mutex<Vec<String>>,
    /// Lock tokens, with the operations that took the locks.
    pub(crate) tokens: Mutex<Vec<(Origin, String)>>,
    operations: Mutex<Vec<Operation>>,
}

impl Board {
    /// Returns a board that knows the first id.
    pub(crate) fn new() -> Self {
        let first = new_id();
        Self {
            tag: first[..8].to_owned(),
            clock: Mutex::new(Clock { started: Instant::now(), jumped: 0, last: 0 }),
            origins: AtomicUsize::new(0),
            ids: Mutex::new(vec![KnownId { text: Some(first), is_usable: true }]),
            etags: Mutex::default(),
            tokens: Mutex::default(),
            operations: Mutex::default(),
        }
    }

    /// Returns the current moment, which is always later than the previous one.
    pub(crate) fn tick(&self) -> Moment {
        let mut clock = self.clock.lock().unwrap();
        let elapsed = u64::try_from(clock.started.elapsed().as_millis()).unwrap();
        clock.last = (clock.jumped + elapsed).max(clock.last + 1);
        clock.last
    }

    /// Moves the clock forward.
    pub(crate) fn jump(&self, seconds: u64) {
        self.clock.lock().unwrap().jumped += seconds * SECOND;
    }

    /// Returns the number of the next operation.
    pub(crate) fn next_origin(&self) -> Origin {
        self.origins.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn user(&self, user: u8) -> String {
        format!("{}-{user}", self.tag)
    }

    /// Parses a `Session-User`.
    pub(crate) fn parse_user(&self, text: &str) -> u8 {
        text[self.tag.len() + 1..].parse().unwrap()
    }

    pub(crate) fn token(&self, lock: Origin) -> String {
        let tokens = self.tokens.lock().unwrap();
        tokens.iter().find(|(origin, _)| *origin == lock).unwrap().1.clone()
    }

    /// Adds an id, and returns its number.
    pub(crate) fn add_id(&self, text: Option<String>) -> Id {
        let mut ids = self.ids.lock().unwrap();
        ids.push(KnownId { text, is_usable: false });
        ids.len() - 1
    }

    /// Sets the text of an id.
    pub(crate) fn learn_id(&self, id: Id, text: &str) {
        self.ids.lock().unwrap()[id].text = Some(text.to_owned());
    }

    /// Lets clients use the id, if its text is known.
    pub(crate) fn publish_id(&self, id: Id) {
        let known = &mut self.ids.lock().unwrap()[id];
        known.is_usable = known.text.is_some();
    }

    pub(crate) fn id(&self, id: Id) -> String {
        self.ids.lock().unwrap()[id].text.clone().unwrap()
    }

    pub(crate) fn usable_ids(&self) -> Vec<Id> {
        let ids = self.ids.lock().unwrap();
        (0..ids.len()).filter(|id| ids[*id].is_usable).collect()
    }

    pub(crate) fn record(&self, operation: Operation) {
        self.operations.lock().unwrap().push(operation);
    }

    /// Returns the history, with its operations in the order they were sent.
    pub(crate) fn into_history(self) -> History {
        let ids = self.ids.into_inner().unwrap();
        let handles: Vec<_> = ids.iter().map(|id| id.text.as_deref().map(handle)).collect();
        let mut operations = self.operations.into_inner().unwrap();
        operations.sort_by_key(|operation| operation.sent);
        for operation in &mut operations {
            for entry in operation.listed_mut() {
                entry.id = handles.iter().position(|handle| *handle == Some(entry.handle.clone()));
            }
        }
        History { operations, is_known: handles.iter().map(Option::is_some).collect() }
    }
}
