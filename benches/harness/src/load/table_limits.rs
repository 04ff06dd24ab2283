//! DynamoDB with its limits: the embedded engine behind a server that throttles each partition.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::bucket::Bucket;
use super::lock;
use super::quotas::{Quotas, READ_TIME, WRITE_TIME};

/// The limits of a table and of one partition of its index, and the consumed capacity. One index partition is enough,
/// because the index is partitioned by user, and at most one user has sessions in a scenario.
pub(crate) struct TableLimits {
    partitions: Vec<Partition>,
    index: Partition,
    are_enforced: AtomicBool,
    counts: Mutex<TableCounts>,
}

/// Consumed capacity, and refused calls.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct TableCounts {
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
    pub(crate) throttled: u64,
}

struct Partition {
    reads: Bucket,
    writes: Bucket,
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Read,
    Write,
}

impl Partition {
    fn bucket(&self, access: Access) -> &Bucket {
        match access {
            Access::Read => &self.reads,
            Access::Write => &self.writes,
        }
    }
}

impl TableLimits {
    /// Returns a new table's limits. They aren't enforced yet, so that sessions can be prepared.
    pub(crate) fn new(quotas: &Quotas) -> Self {
        let partition = || Partition {
            reads: Bucket::new(quotas.partition_reads, quotas.partition_reads),
            writes: Bucket::new(quotas.partition_writes, quotas.partition_writes),
        };
        Self {
            partitions: (0..quotas.partitions).map(|_| partition()).collect(),
            index: partition(),
            are_enforced: AtomicBool::new(false),
            counts: Mutex::default(),
        }
    }

    /// Enforces the limits and counts capacity, or stops both.
    pub(crate) fn enforce(&self, are_enforced: bool) {
        self.are_enforced.store(are_enforced, Ordering::Relaxed);
    }

    /// Returns what was counted while the limits were enforced.
    pub(crate) fn counts(&self) -> TableCounts {
        *self.lock_counts()
    }

    /// Resets the counts.
    pub(crate) fn reset_counts(&self) {
        *self.lock_counts() = TableCounts::default();
    }

    fn lock_counts(&self) -> MutexGuard<'_, TableCounts> {
        lock(&self.counts)
    }

    /// Returns the table's partition, or the index's for a query. Index writes are charged in [`Self::charge`].
    fn accessed(&self, operation: &str, call: &Value) -> Option<&Partition> {
        let key = match operation {
            "Query" => return Some(&self.index),
            "PutItem" => &call["Item"],
            _ => &call["Key"],
        };
        let mut hasher = DefaultHasher::new();
        key["id"]["S"].as_str().hash(&mut hasher);
        let number = usize::try_from(hasher.finish()).unwrap_or(usize::MAX);
        self.partitions.get(number % self.partitions.len())
    }

    fn admit(&self, operation: &str, accessed: &Partition, access: Access) -> bool {
        // DynamoDB throttles a write to the table if the index has no capacity for it. No update in the scenarios
        // changes the index, and while the limits are enforced, only sessions with a user are deleted.
        let writes_index = access == Access::Write && operation != "UpdateItem";
        let is_index_behind = writes_index && !self.index.writes.has_tokens();
        !is_index_behind && accessed.bucket(access).has_tokens()
    }

    fn charge(&self, accessed: &Partition, access: Access, consumed: &Consumed) {
        accessed.bucket(access).charge(consumed.table);
        let mut counts = self.lock_counts();
        match access {
            Access::Read => counts.read_units += consumed.table + consumed.index,
            Access::Write => {
                self.index.writes.charge(consumed.index);
                counts.write_units += consumed.table + consumed.index;
            }
        }
    }
}

/// One call's capacity units.
struct Consumed {
    table: f64,
    index: f64,
}

impl Consumed {
    /// Reads the capacity that a response reports. A write whose condition fails reports none, but
    /// consumes as much as a write of the existing item.
    fn from_response(operation: &str, body: &str) -> Self {
        let response: Value = serde_json::from_str(body).unwrap_or_default();
        let report = &response["ConsumedCapacity"];
        if report.is_null() {
            // Binary data is a third longer in JSON.
            let kib = body.len() as f64 * 0.75 / 1024.0;
            return Self { table: kib.ceil(), index: 0.0 };
        }
        let total = report["CapacityUnits"].as_f64().unwrap_or_default();
        if operation == "Query" {
            return Self { table: total, index: 0.0 };
        }
        let indexes = report["GlobalSecondaryIndexes"].as_object().into_iter().flatten();
        let index = indexes.filter_map(|(_, index)| index["CapacityUnits"].as_f64()).sum();
        Self { table: total - index, index }
    }
}

struct Table {
    database: Database,
    limits: Arc<TableLimits>,
}

/// Serves the engine with these limits.
pub(crate) async fn serve(listener: TcpListener, database: Database, limits: Arc<TableLimits>) {
    let table = Arc::new(Table { database, limits });
    let router = Router::new().route("/", post(call)).with_state(table);
    // Runs until the task is aborted: axum retries when it fails to accept a connection.
    let _ = axum::serve(listener, router).await;
}

async fn call(State(table): State<Arc<Table>>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
    let Ok(mut call) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    call["ReturnConsumedCapacity"] = "INDEXES".into();
    let (access, time) = match operation {
        "GetItem" | "Query" => (Access::Read, READ_TIME),
        _ => (Access::Write, WRITE_TIME),
    };
    tokio::time::sleep(time).await;

    let limits = &table.limits;
    let Some(accessed) = limits.accessed(operation, &call) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let are_enforced = limits.are_enforced.load(Ordering::Relaxed);
    if are_enforced && !limits.admit(operation, accessed, access) {
        limits.lock_counts().throttled += 1;
        return respond(StatusCode::BAD_REQUEST, throttling_error());
    }
    let result = tokio::task::block_in_place(|| execute(&table.database, operation, call));
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (
            StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST),
            error.to_json(),
        ),
    };
    if are_enforced {
        limits.charge(accessed, access, &Consumed::from_response(operation, &body));
    }
    respond(status, body)
}

fn respond(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "application/x-amz-json-1.0")], body).into_response()
}

/// Returns the error that an on-demand table throttles with.
fn throttling_error() -> String {
    let message = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling \
                   your table or index so please try again shortly.";
    let error = "com.amazonaws.dynamodb.v20120810#ThrottlingException";
    json!({ "__type": error, "message": message }).to_string()
}

/// Executes an operation that the functions call.
fn execute(database: &Database, operation: &str, call: Value) -> dynoxide::Result<String> {
    match operation {
        "GetItem" => to_json(database.get_item(from_json(call)?)?),
        "PutItem" => to_json(database.put_item(from_json(call)?)?),
        "UpdateItem" => to_json(database.update_item(from_json(call)?)?),
        "DeleteItem" => to_json(database.delete_item(from_json(call)?)?),
        "Query" => to_json(database.query(from_json(call)?)?),
        _ => {
            Err(DynoxideError::ValidationException(format!("{operation} is not implemented here")))
        }
    }
}

fn from_json<T: DeserializeOwned>(call: Value) -> dynoxide::Result<T> {
    serde_json::from_value(call)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn to_json(response: impl Serialize) -> dynoxide::Result<String> {
    serde_json::to_string(&response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
