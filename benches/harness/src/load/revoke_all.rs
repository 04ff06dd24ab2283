//! A user with many sessions logs out everywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::browse::{counter_data, random_id};
use super::recording::Recording;
use super::stack::{Request, Stack, USER};

/// How many requests the scenario sends before it gives up.
const MAX_REQUESTS: u64 = 60;
/// How long to wait before a retry: what the response's `Retry-After` says.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Result of a run.
pub(crate) struct RevokeAll {
    pub(crate) recording: Arc<Recording>,
    pub(crate) time: Duration,
    pub(crate) requests: u64,
    /// Sessions that were left.
    pub(crate) left: usize,
}

/// Creates one user's sessions and destroys them all. Repeats the request until the response is `200`, but sends it at
/// most [`MAX_REQUESTS`] times.
pub(crate) async fn run(stack: &Arc<Stack>, sessions: usize) -> Result<RevokeAll> {
    let mut random = SmallRng::seed_from_u64(4);
    let ids: Vec<_> = (0..sessions).map(|_| random_id(&mut random)).collect();
    stack.create(&ids, Some(USER), &counter_data(2_000)?).await?;
    stack.table.enforce(true);
    let recording = Arc::new(Recording::start());
    let started = Instant::now();
    let mut requests = 0;
    loop {
        requests += 1;
        let response = stack.send(&recording, Request::revoke_all()?).await;
        if response.status == 200 || requests == MAX_REQUESTS {
            break;
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    let time = started.elapsed();
    stack.table.enforce(false);
    let left: Vec<serde_json::Value> = serde_json::from_str(&stack.list().await?)?;
    Ok(RevokeAll { recording, time, requests, left: left.len() })
}
