//! Calls to DynamoDB, and which of them the table's items remember.

use std::collections::HashMap;

use serde_json::Value;

use crate::harness::proxy::Call;

/// An item remembers a write through at least this many later ones ("Retries" in docs/api.md).
const REMEMBERED: usize = 3;

/// What a call writes to one item.
struct ItemWrite<'a> {
    handle: &'a str,
    /// Empty for a write that leaves no id.
    write_id: &'a str,
    /// `Put`, `Update` or `Delete`.
    kind: &'a str,
}

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.operation.as_str(), "GetItem" | "Query")
    }

    pub(crate) fn is_transaction(&self) -> bool {
        self.operation == "TransactWriteItems"
    }

    fn writes(&self) -> Vec<ItemWrite<'_>> {
        match self.parameters["TransactItems"].as_array() {
            Some(items) => {
                let writes = items.iter().flat_map(|item| item.as_object().unwrap());
                writes.map(|(kind, parameters)| item_write(kind, parameters)).collect()
            }
            None if self.is_write() => vec![item_write(&self.operation, &self.parameters)],
            None => Vec::new(),
        }
    }
}

fn item_write<'a>(operation: &'a str, parameters: &'a Value) -> ItemWrite<'a> {
    let text = |value: &'a Value| value["S"].as_str().unwrap_or_default();
    let key = if parameters["Item"].is_object() { &parameters["Item"] } else { &parameters["Key"] };
    let own = &parameters["ExpressionAttributeValues"][":own"];
    let write_id = if own.is_object() { own } else { &parameters["Item"]["w0"] };
    ItemWrite {
        handle: text(&key["id"]),
        write_id: text(write_id),
        kind: operation.trim_end_matches("Item"),
    }
}

/// A write that was applied to an item.
struct Applied {
    write_id: String,
    is_deletion: bool,
    client: usize,
    /// Number of the operation that the call belongs to.
    operation: u64,
}

impl Applied {
    fn is(&self, write: &ItemWrite<'_>) -> bool {
        !write.write_id.is_empty() && self.write_id == write.write_id
    }
}

/// The writes applied so far. They show which calls would go beyond what the contract promises: an item recognizes a
/// retry only if no more than [`REMEMBERED`] other writes came in between.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The writes to each item, in order.
    applied: HashMap<String, Vec<Applied>>,
    /// The operation that each client is waiting for.
    open: HashMap<usize, u64>,
}

impl Ledger {
    pub(crate) fn begin(&mut self, client: usize, operation: u64) {
        self.open.insert(client, operation);
    }

    pub(crate) fn end(&mut self, client: usize) {
        self.open.remove(&client);
    }

    /// Whether the call has to wait, because it would make an item forget a write that another client may still retry.
    /// A write that the item still remembers doesn't have to wait, because it has no effect. Neither does one that starts
    /// or ends a session: a destroyed session forgets everything anyway.
    pub(crate) fn must_wait(&self, call: &Call, client: usize) -> bool {
        let is_open =
            |a: &Applied| a.client != client && self.open.get(&a.client) == Some(&a.operation);
        call.writes().iter().filter(|write| write.kind == "Update").any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            let mut remembered = of_session(applied).rev().take(REMEMBERED + 1);
            !remembered.any(|a| a.is(write))
                && of_session(applied).rev().nth(REMEMBERED).is_some_and(is_open)
        })
    }

    /// Whether a late call must be dropped, because it was already applied and the item may have forgotten that. A
    /// destroyed session remembers nothing, so its creation must not arrive again either.
    pub(crate) fn is_forgotten(&self, call: &Call) -> bool {
        call.writes().iter().any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            let Some(position) = position(applied, write) else { return false };
            let is_gone = call.operation == "PutItem" && of_session(applied).next().is_none();
            is_gone || applied.len() - 1 - position > REMEMBERED
        })
    }

    /// Records a call that was applied.
    pub(crate) fn add(&mut self, call: &Call, client: usize) {
        let operation = self.open.get(&client).copied().unwrap_or_default();
        for ItemWrite { handle, write_id, kind } in call.writes() {
            let is_deletion = kind == "Delete";
            let write_id = write_id.to_owned();
            let applied = Applied { write_id, is_deletion, client, operation };
            self.applied.entry(handle.to_owned()).or_default().push(applied);
        }
    }
}

/// Returns the writes to the item's current session.
fn of_session(applied: &[Applied]) -> impl DoubleEndedIterator<Item = &Applied> {
    let end = applied.iter().rposition(|applied| applied.is_deletion);
    applied[end.map_or(0, |end| end + 1)..].iter()
}

/// Returns the write's position among the applied ones.
fn position(applied: &[Applied], write: &ItemWrite<'_>) -> Option<usize> {
    applied.iter().rposition(|applied| applied.is(write))
}
