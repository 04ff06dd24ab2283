//! Calls to DynamoDB, and what the items of the table remember of them.

use std::collections::HashMap;

use serde_json::Value;

/// Number of other writes after which an item may have forgotten a write ("Retries" in the contract).
const REMEMBERED: usize = 3;

/// A call as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) parameters: Value,
}

/// A write of a call to one item.
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
    /// Number of the operation among those of the client.
    operation: u64,
}

/// The writes that were applied, so that every retry and every late call stays within the contract: an
/// item recognizes a write as long as no more than [`REMEMBERED`] others came in between.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The writes to each item, in order.
    applied: HashMap<String, Vec<Applied>>,
    /// The operation that each client waits for.
    open: HashMap<usize, u64>,
}

impl Ledger {
    pub(crate) fn begin(&mut self, client: usize, operation: u64) {
        self.open.insert(client, operation);
    }

    pub(crate) fn end(&mut self, client: usize) {
        self.open.remove(&client);
    }

    /// Whether the call has to wait, because an item would forget the write of a client that may still
    /// retry it. What was applied before may pass, because it has no effect. So may what ends a session or
    /// starts one: a session that is destroyed forgets everything.
    pub(crate) fn must_wait(&self, call: &Call, client: usize) -> bool {
        let is_open =
            |a: &Applied| a.client != client && self.open.get(&a.client) == Some(&a.operation);
        call.writes().iter().filter(|write| write.kind == "Update").any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            position(applied, write).is_none()
                && of_session(applied).rev().skip(REMEMBERED).any(is_open)
        })
    }

    /// Whether a late call must not arrive any more: it was applied, and the item may have forgotten it.
    /// A session that was destroyed remembers nothing, so that a creation of it must not arrive again.
    pub(crate) fn is_forgotten(&self, call: &Call) -> bool {
        call.writes().iter().any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            let Some(position) = position(applied, write) else { return false };
            let is_gone = call.operation == "PutItem" && of_session(applied).next().is_none();
            is_gone || applied.len() - 1 - position > REMEMBERED
        })
    }

    /// Notes a call that was applied.
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

/// Returns the writes to the session that the item holds now.
fn of_session(applied: &[Applied]) -> impl DoubleEndedIterator<Item = &Applied> {
    let end = applied.iter().rposition(|applied| applied.is_deletion);
    applied[end.map_or(0, |end| end + 1)..].iter()
}

/// Returns where the write is among those that were applied.
fn position(applied: &[Applied], write: &ItemWrite<'_>) -> Option<usize> {
    let is_same = |applied: &Applied| applied.write_id == write.write_id;
    applied.iter().rposition(is_same).filter(|_| !write.write_id.is_empty())
}
