//! The API from the payload that Lambda gets to the one that it gives, over a real DynamoDB engine:
//! the embedded one, or that of `DYNAMODB_ENDPOINT`.
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
mod destroy;
mod expiry;
mod faults;
mod harness;
mod lifecycle;
mod lock;
mod logs;
mod model;
mod patch;
mod races;
mod rotate;
mod start;
mod users;
mod watch;
