//! Many requests that need one session's lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::browse::{counter, counter_data, incremented, random_id};
use super::recording::Recording;
use super::stack::{Request, Stack};

/// Longest wait for the lock that the API offers, in seconds.
const WAIT: u64 = 10;
/// How long after the start of the scenario pages give up.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long a page keeps the lock.
const WORK: Duration = Duration::from_millis(20);

/// Result of a run.
pub(crate) struct Locks {
    pub(crate) recording: Arc<Recording>,
    pub(crate) time: Duration,
    /// Turns in which a page got the lock and wrote.
    pub(crate) turns: u64,
    /// Confirmed increments that are missing from the session.
    pub(crate) lost: u64,
}

/// Has `pages` pages compete for one session's lock, `turns` times each. In each turn, a page increments a counter
/// in the session and releases the lock. Pages retry refused requests, and give up a minute after the start.
pub(crate) async fn run(stack: &Arc<Stack>, pages: u64, turns: u64) -> Result<Locks> {
    let mut random = SmallRng::seed_from_u64(3);
    let ids = [random_id(&mut random)];
    stack.create(&ids, None, &counter_data(2_000)?).await?;
    stack.table.enforce(true);
    let recording = Arc::new(Recording::start());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..pages {
        let (stack, recording, [id]) = (stack.clone(), recording.clone(), ids.clone());
        let mut random = SmallRng::seed_from_u64(random.random());
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..turns {
                done += u64::from(turn(&stack, &recording, &id, &mut random, started).await?);
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task??;
    }
    let time = started.elapsed();
    stack.table.enforce(false);
    let data = stack.read(&ids).await?.into_iter().next().context("the session is gone")?;
    Ok(Locks { recording, time, turns: done, lost: done.saturating_sub(counter(&data)?) })
}

/// Increments the counter under the lock, taking the lock again if it expires before the write. Returns whether this
/// succeeded within the time limit.
async fn turn(
    stack: &Stack,
    recording: &Recording,
    id: &str,
    random: &mut SmallRng,
    started: Instant,
) -> Result<bool> {
    while started.elapsed() < TIME_LIMIT {
        let locked = stack.send(recording, Request::lock(id, WAIT)?).await;
        if locked.status != 200 {
            back_off(random).await;
            continue;
        }
        tokio::time::sleep(WORK).await;
        let data = incremented(&locked.body)?;
        let key = random_id(random);
        let headers =
            [("session-unlock", locked.header("session-lock")?), ("idempotency-key", &key)];
        while started.elapsed() < TIME_LIMIT {
            let request = Request::replace(id, &data, &headers)?;
            match stack.send(recording, request).await.status {
                204 => return Ok(true),
                412 | 423 => break,
                _ => back_off(random).await,
            }
        }
    }
    Ok(false)
}

async fn back_off(random: &mut SmallRng) {
    tokio::time::sleep(Duration::from_secs_f64(random.random_range(0.1..0.3))).await;
}
