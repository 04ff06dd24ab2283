//! Calls to DynamoDB, and what the items of the table remember of them.

use std::collections::{HashMap, HashSet};

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
    deletes: bool,
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

fn item_write<'a>(kind: &str, parameters: &'a Value) -> ItemWrite<'a> {
    let text = |value: &'a Value| value["S"].as_str().unwrap_or_default();
    let key = if parameters["Item"].is_object() { &parameters["Item"] } else { &parameters["Key"] };
    let own = &parameters["ExpressionAttributeValues"][":own"];
    let write_id = if own.is_object() { own } else { &parameters["Item"]["w0"] };
    ItemWrite {
        handle: text(&key["id"]),
        write_id: text(write_id),
        deletes: kind.starts_with("Delete"),
    }
}

/// A write that was applied to an item.
struct Applied {
    write_id: String,
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
    items: HashSet<String>,
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
    /// retry it. What was applied before may pass: it has no effect.
    pub(crate) fn must_wait(&self, call: &Call, client: usize) -> bool {
        call.writes().iter().any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            let last = applied.len().saturating_sub(REMEMBERED);
            let is_open =
                |a: &Applied| a.client != client && self.open.get(&a.client) == Some(&a.operation);
            position(applied, write).is_none() && applied[..last].iter().any(is_open)
        })
    }

    /// Whether a late call must not arrive any more: it was applied, and the item may have forgotten it.
    /// A session that was destroyed remembers nothing, so that a creation of it must not arrive again.
    pub(crate) fn is_forgotten(&self, call: &Call) -> bool {
        call.writes().iter().any(|write| {
            let Some(applied) = self.applied.get(write.handle) else { return false };
            let Some(position) = position(applied, write) else { return false };
            let is_gone = call.operation == "PutItem" && !self.items.contains(write.handle);
            is_gone || applied.len() - 1 - position > REMEMBERED
        })
    }

    /// Notes a call that was applied.
    pub(crate) fn add(&mut self, call: &Call, client: usize) {
        let operation = self.open.get(&client).copied().unwrap_or_default();
        for ItemWrite { handle, write_id, deletes } in call.writes() {
            let write_id = write_id.to_owned();
            self.applied.entry(handle.to_owned()).or_default().push(Applied {
                write_id,
                client,
                operation,
            });
            if deletes {
                self.items.remove(handle);
            } else {
                self.items.insert(handle.to_owned());
            }
        }
    }
}

/// Returns where the write is among those that were applied.
fn position(applied: &[Applied], write: &ItemWrite<'_>) -> Option<usize> {
    let is_same = |applied: &Applied| applied.write_id == write.write_id;
    applied.iter().rposition(is_same).filter(|_| !write.write_id.is_empty())
}
