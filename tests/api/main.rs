//! Tests for the API, from an invocation's payload to the response's payload, on a real DynamoDB engine: the embedded
//! one, or the one at `DYNAMODB_ENDPOINT`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

#[path = "../../examples/local/log.rs"]
mod readable_log;
#[path = "../../examples/local/table.rs"]
mod table;

mod at_rest;
mod bad_input;
mod bytes;
mod capacity;
mod conditions;
mod connections;
mod destroy;
mod documents;
mod expiry;
mod faults;
#[path = "../harness/mod.rs"]
mod harness;
mod idempotency;
mod late;
mod lifecycle;
mod lock;
mod logs;
mod model;
mod patch;
mod races;
mod retries;
mod rotate;
mod routes;
mod start;
mod urls;
mod users;
mod watch;
mod writes;
