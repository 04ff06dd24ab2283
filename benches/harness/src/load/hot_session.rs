//! One session that gets more writes than a partition of DynamoDB admits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::browse::{counter, counter_data, random_id};
use super::quotas::Quotas;
use super::recording::Recording;
use super::stack::{Request, Stack};

/// Result of a run.
pub(crate) struct HotSession {
    pub(crate) recording: Arc<Recording>,
    /// Writes a second that the partition admits.
    pub(crate) limit: f64,
}

/// Writes to a session, at `load` times the rate that its partition admits, and reads it at the end.
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
        let written = stack.send(&Recording::start(), write).await?;
        ensure!(written.status == 204, "{}: {}", written.status, written.body);
        stack.table.consumed().write
    };
    let limit = quotas.partition_writes / units;

    let recording = Arc::new(Recording::start());
    let started = Instant::now();
    let mut writes = JoinSet::new();
    let mut due = Duration::ZERO;
    let mut number = 0_u64;
    loop {
        due += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / (limit * load));
        if due >= time {
            break;
        }
        tokio::time::sleep_until((started + due).into()).await;
        number += 1;
        let data = data.replacen("\"counter\":0", &format!("\"counter\":{number}"), 1);
        let request = Request::replace(&id, &data, &[])?;
        let (stack, recording) = (stack.clone(), recording.clone());
        let due = started + due;
        writes.spawn(async move { stack.send_due(&recording, request, due).await });
    }
    while let Some(write) = writes.join_next().await {
        write??;
    }
    stack.table.enforce(false);
    for data in stack.read(&[id]).await? {
        ensure!((1..=number).contains(&counter(&data)?), "the session has the data of no write");
    }
    Ok(HotSession { recording, limit })
}
