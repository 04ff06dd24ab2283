//! Histories: clients that work on one session at the same time, through a network that loses, delays and
//! repeats calls to DynamoDB. Every history must be linearizable: explained by some order in which each
//! operation takes effect once, between its invocation and its response.
//!
//! `cargo test --test history` runs fixed seeds. `make test-history SECONDS=…` runs fresh ones for longer.
//!
//! These changes, made by hand, were each found: a rotation that requires the entity tag instead of the
//! revision, a write without its own id in its condition, and a creation that is simply repeated.
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

mod check;
mod client;
mod cuts;
mod model;
mod operation;
mod proxy;

#[allow(dead_code, unused_imports, reason = "the tests of the API use all of it")]
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/local/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};

use harness::{App, Timeouts, engine};
use operation::Operation;
use proxy::Mode;

/// Number of histories that run at the same time.
const CONCURRENCY: usize = 6;
/// Number of fixed seeds.
const SEEDS: u64 = 440;

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_linearizable() {
    let table = engine::create_table().await;
    let time: Option<u64> = number("SECONDS");
    let started = Instant::now();
    let is_over = |_: &u64| {
        let is_over = time.is_some_and(|s| started.elapsed() >= Duration::from_secs(s));
        std::future::ready(!is_over)
    };
    let first = match (number("SEED"), time) {
        (Some(seed), _) => seed,
        (None, Some(_)) => fastrand::u64(..u64::MAX / 2),
        (None, None) => 0,
    };
    let seeds = match (number::<u64>("SEED"), time) {
        (Some(_), _) => first..first + 1,
        (None, Some(_)) => first..u64::MAX,
        (None, None) => first..first + SEEDS,
    };
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut histories = stream::iter(seeds)
        .take_while(is_over)
        .map(|seed| run(seed, &table))
        .buffer_unordered(CONCURRENCY);
    while let Some((seed, mode, result)) = histories.next().await {
        let (all, not_linearizable) = counts.entry(format!("{mode:?}")).or_default();
        *all += 1;
        if let Err(explanation) = result {
            *not_linearizable += 1;
            println!("seed {seed}, {mode:?}: {explanation}");
            wrong.push(seed);
        }
        let total: u32 = counts.values().map(|(all, _)| all).sum();
        if total.is_multiple_of(100) {
            println!(
                "{total} histories in {} s, {} wrong",
                started.elapsed().as_secs(),
                wrong.len()
            );
        }
    }
    for (mode, (all, not_linearizable)) in &counts {
        println!("{mode:12} {all:5} histories, {not_linearizable} not linearizable");
    }
    assert!(wrong.is_empty(), "not linearizable: seeds {wrong:?}; run one again with SEED=…");
}

/// Runs the history of a seed, and checks it.
async fn run(seed: u64, table: &str) -> (u64, Mode, Result<(), String>) {
    let mode = Mode::ALL[usize::try_from(seed % Mode::ALL.len() as u64).unwrap()];
    let endpoint = proxy::start(mode, seed).await;
    let app = App::connect(table, &endpoint, Timeouts::Short).with_real_clock();
    let operations = client::run(app, mode, seed).await;
    let result = check::check(&operations)
        .map_err(|explanation| format!("{explanation}\n{}", describe(&operations)));
    (seed, mode, result)
}

fn describe(operations: &[Operation]) -> String {
    let line = |operation: &Operation| {
        let Operation { origin, client, id, kind, invoked, returned, outcome, .. } = operation;
        let returned = if operation.is_pending() { "…".to_owned() } else { returned.to_string() };
        format!(
            "  {invoked:3}-{returned:3} client {client}, {origin:2}: {kind:?} on id {id}: {outcome:?}\n"
        )
    };
    operations.iter().map(line).collect()
}

/// Reads a number from the environment.
pub(crate) fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}
