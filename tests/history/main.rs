//! Histories: several clients use one session at once, over a network that loses, delays, and repeats calls to
//! DynamoDB. Each history must be linearizable: some order of the operations explains every response, and each
//! operation takes effect once, between its request and its response.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a long one reports its progress"
)]

mod board;
mod calls;
mod check;
mod client;
mod cuts;
mod etags;
mod event;
mod faults;
mod generate;
mod model;
mod operation;
mod proxy;
mod report;
mod request;
mod response;
mod run;
mod state;

#[allow(dead_code, unused_imports, reason = "the API's tests use all of it")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "the local example uses all of it")]
#[path = "../../examples/local/table.rs"]
mod table;

use std::str::FromStr;
use std::time::Duration;

/// Number of fixed seeds: one for every combination of fault, rounds, and profile.
const SEEDS: u64 = 273;
/// By default, only every third seed runs: still one for every combination of fault and profile. `STEP=1` runs all.
const STEP: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_linearizable() {
    let time = variable("SECONDS").map(Duration::from_secs);
    let seeds: Box<dyn Iterator<Item = u64>> = match (variable("SEED"), time) {
        (Some(seed), Some(_)) => Box::new(std::iter::repeat(seed)),
        (Some(seed), None) => Box::new(std::iter::once(seed)),
        (None, Some(_)) => Box::new(fastrand::u64(..1 << 40)..),
        (None, None) => Box::new((0..SEEDS).step_by(variable("STEP").unwrap_or(STEP))),
    };
    let checked = run::histories(seeds, time).await;
    assert!(checked.is_ok(), "not linearizable: seeds {:?}", checked.unwrap_err());
}

/// Reads a number from the environment.
pub(crate) fn variable<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().ok().unwrap())
}
