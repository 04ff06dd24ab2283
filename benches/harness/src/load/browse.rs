//! Page views at a given rate, which is kept however long the responses take: four of five read a session,
//! the fifth also changes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::recording::{Outcome, Recording};
use super::stack::{Request, Stack};
use crate::session_data;

/// Sessions that the page views share, and their size in bytes.
const SESSIONS: usize = 2_000;
const SESSION_BYTES: usize = 2_000;
/// Share of the page views that change the session, so that a fifth of the requests are writes.
const CHANGES: f64 = 0.25;
/// Requests per page view: a read, and perhaps a write.
const REQUESTS_PER_VIEW: f64 = 1.0 + CHANGES;
/// Attempts of a write, as the clients make them.
const ATTEMPTS: u32 = 3;

/// Sessions with a counter in their data.
struct Session {
    id: String,
    /// Changes that succeeded.
    applied: AtomicU64,
    /// Changes whose outcome the caller does not know.
    unknown: AtomicU64,
}

/// Sends page views to a stack that has no environment yet. `rate` is in requests a second, by the time
/// since the start. What is due during the warm-up is not recorded. Returns the recording, and how many sessions
/// have lost a change.
pub(crate) async fn run(
    stack: &Arc<Stack>,
    warm_up: Duration,
    time: Duration,
    rate: impl Fn(Duration) -> f64,
) -> Result<(Arc<Recording>, u64)> {
    let mut random = SmallRng::seed_from_u64(1);
    let ids: Vec<String> = (0..SESSIONS).map(|_| random_id(&mut random)).collect();
    stack.create(&ids, None, &counter_data(SESSION_BYTES)?).await?;
    let sessions: Vec<_> = ids
        .iter()
        .map(|id| Session { id: id.clone(), applied: 0.into(), unknown: 0.into() })
        .map(Arc::new)
        .collect();

    stack.table.enforce(true);
    let recording = Arc::new(Recording::start_in(warm_up));
    let mut views = JoinSet::new();
    let mut due = Duration::ZERO;
    let started = Instant::now();
    loop {
        // Visitors do not wait for each other, so the times between their views are exponential.
        due += Duration::from_secs_f64(
            -(1.0 - random.random::<f64>()).ln() * REQUESTS_PER_VIEW / rate(due),
        );
        if due >= warm_up + time {
            break;
        }
        tokio::time::sleep_until((started + due).into()).await;
        let session = sessions.get(random.random_range(0..sessions.len()));
        let session = session.context("there are no sessions")?.clone();
        let seed = random.random();
        let (stack, recording) = (stack.clone(), recording.clone());
        views.spawn(async move { view(&stack, &recording, &session, started + due, seed).await });
        while let Some(view) = views.try_join_next() {
            view??;
        }
    }
    while let Some(view) = views.join_next().await {
        view??;
    }
    stack.table.enforce(false);
    let mut lost = 0;
    for (data, session) in stack.read(&ids).await?.iter().zip(&sessions) {
        let applied = session.applied.load(Ordering::Relaxed);
        let unknown = session.unknown.load(Ordering::Relaxed);
        lost += u64::from(!(applied..=applied + unknown).contains(&counter(data)?));
    }
    Ok((recording, lost))
}

/// Reads the session, and increments its counter if the page view is one that changes it.
async fn view(
    stack: &Stack,
    recording: &Recording,
    session: &Session,
    due: Instant,
    seed: u64,
) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    let read = stack.send_due(recording, Request::read(&session.id)?, due).await?;
    if read.outcome != Outcome::Served || !random.random_bool(CHANGES) {
        return Ok(());
    }
    let data = incremented(&read.body)?;
    let key = random_id(&mut random);
    let headers = [("if-match", read.header("etag")?), ("idempotency-key", &key)];
    for attempt in 0..ATTEMPTS {
        let wait = f64::from(attempt) * random.random_range(0.1..0.3);
        tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        let request = Request::replace(&session.id, &data, &headers)?;
        match stack.send(recording, request).await?.status {
            204 => {
                session.applied.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            // Another view changed the session first. An app would repeat its change.
            412 => return Ok(()),
            _ => {}
        }
    }
    session.unknown.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Returns a random session id or idempotency key.
pub(crate) fn random_id(random: &mut SmallRng) -> String {
    (0..2).map(|_| format!("{:016x}", random.random::<u64>())).collect()
}

/// Returns session data of about this many bytes, with a counter at 0.
pub(crate) fn counter_data(bytes: usize) -> Result<String> {
    let mut data: Value = serde_json::from_str(&session_data::json(bytes)?)?;
    data["counter"] = json!(0);
    Ok(data.to_string())
}

/// Returns the counter in session data.
pub(crate) fn counter(data: &str) -> Result<u64> {
    let data: Value = serde_json::from_str(data)?;
    data["counter"].as_u64().context("the session has no counter")
}

/// Returns session data with its counter incremented.
pub(crate) fn incremented(data: &str) -> Result<String> {
    let mut data: Value = serde_json::from_str(data)?;
    let counter = data["counter"].as_u64().context("the session has no counter")?;
    data["counter"] = json!(counter + 1);
    Ok(data.to_string())
}
