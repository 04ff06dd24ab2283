//! One session that gets more writes than a DynamoDB partition allows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;

use super::arrivals::Rate;
use super::browse::{counter, counter_data, random_id};
use super::quotas::Quotas;
use super::recording::{Outcome, Recording};
use super::stack::{Request, Stack};

/// Result of a run.
pub(crate) struct HotSession {
    pub(crate) recording: Arc<Recording>,
    /// Writes a second that the partition allows.
    pub(crate) limit: f64,
}

/// Writes to a session at `load` times the rate that its partition allows, and reads it at the end.
pub(crate) async fn run(
    stack: &Arc<Stack>,
    quotas: &Quotas,
    bytes: usize,
    time: Duration,
    load: f64,
) -> Result<HotSession> {
    let mut random = SmallRng::seed_from_u64(2);
    let id = random_id(&mut random);
    let data = counter_data(bytes)?;
    stack.create(std::slice::from_ref(&id), None, &data).await?;
    stack.table.enforce(true);
    let units = {
        let write = Request::replace(&id, &data, &[])?;
        let written = stack.send(&Recording::start(), write).await;
        ensure!(written.status == 204, "{}: {}", written.status, written.body);
        stack.table.counts().write_units
    };
    let limit = quotas.partition_writes / units;

    let recording = Arc::new(Recording::start());
    let started = Instant::now();
    let mut writes = JoinSet::new();
    let arrivals = Rate::Steady(limit * load).arrivals(time, SmallRng::seed_from_u64(2));
    for (number, due) in (1_u64..).zip(arrivals) {
        tokio::time::sleep_until((started + due).into()).await;
        let data = data.replacen("\"counter\":0", &format!("\"counter\":{number}"), 1);
        let request = Request::replace(&id, &data, &[])?;
        let (stack, recording) = (stack.clone(), recording.clone());
        let due = started + due;
        writes
            .spawn(async move { (number, stack.send_due(&recording, request, due).await.outcome) });
    }
    let mut written = BTreeSet::from([0]);
    while let Some(write) = writes.join_next().await {
        let (number, outcome) = write?;
        if matches!(outcome, Outcome::Served | Outcome::TimedOut | Outcome::Failed) {
            written.insert(number);
        }
    }
    stack.table.enforce(false);
    for data in stack.read(&[id]).await? {
        ensure!(written.contains(&counter(&data)?), "the session has the data of a refused write");
    }
    Ok(HotSession { recording, limit })
}
