//! Page views that arrive at a given rate, however long the responses take. Each reads a session, and one in four
//! also changes it, so a fifth of the requests are writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::arrivals::Rate;
use super::recording::{Outcome, Recording};
use super::stack::{Request, Stack};
use crate::session_data;

/// Sessions that the page views share, and their size in bytes.
const SESSIONS: usize = 2_000;
const SESSION_BYTES: usize = 2_000;
/// Share of page views that change the session, so that a fifth of the requests are writes.
const CHANGES: f64 = 0.25;
/// Requests per page view: a read, and perhaps a write.
const REQUESTS_PER_VIEW: f64 = 1.0 + CHANGES;
/// Share of page views that use the same session as the previous one, so that changes collide.
const REPEATED: f64 = 0.1;
/// Maximum attempts at a write. The clients also retry reads. This test doesn't, to keep the rate as given.
const ATTEMPTS: u32 = 3;

/// A session with a counter in its data.
struct Session {
    id: String,
    /// Confirmed changes.
    confirmed: AtomicU64,
}

/// Result of a run.
pub(crate) struct Browsing {
    pub(crate) recording: Arc<Recording>,
    /// Confirmed changes that are missing from their session.
    pub(crate) lost: u64,
}

/// Sends page views to a stack. `rate` is in requests a second. Requests due during the warm-up don't count.
pub(crate) async fn run(
    stack: &Arc<Stack>,
    rate: Rate,
    warm_up: Duration,
    time: Duration,
) -> Result<Browsing> {
    let mut random = SmallRng::seed_from_u64(1);
    let ids: Vec<String> = (0..SESSIONS).map(|_| random_id(&mut random)).collect();
    stack.create(&ids, None, &counter_data(SESSION_BYTES)?).await?;
    let sessions = ids.iter().map(|id| Session { id: id.clone(), confirmed: 0.into() });
    let sessions: Vec<_> = sessions.map(Arc::new).collect();

    stack.table.enforce(true);
    let recording = Arc::new(Recording::start_in(warm_up));
    let mut views = JoinSet::new();
    let mut is_warm = warm_up.is_zero();
    let mut session = sessions.first().context("there are no sessions")?;
    let started = Instant::now();
    let views_rate = rate.divided_by(REQUESTS_PER_VIEW);
    for due in views_rate.arrivals(warm_up + time, SmallRng::seed_from_u64(random.random())) {
        tokio::time::sleep_until((started + due).into()).await;
        if !is_warm && due >= warm_up {
            is_warm = true;
            stack.reset_counts();
        }
        if !random.random_bool(REPEATED) {
            let index = random.random_range(0..sessions.len());
            session = sessions.get(index).context("there are no sessions")?;
        }
        let seed = random.random();
        let (stack, recording, session) = (stack.clone(), recording.clone(), session.clone());
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
        lost += session.confirmed.load(Ordering::Relaxed).saturating_sub(counter(data)?);
    }
    Ok(Browsing { recording, lost })
}

/// Reads the session, and increments its counter if this page view changes it.
async fn view(
    stack: &Stack,
    recording: &Recording,
    session: &Session,
    due: Instant,
    seed: u64,
) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    let read = stack.send_due(recording, Request::read(&session.id)?, due).await;
    if read.outcome != Outcome::Served || !random.random_bool(CHANGES) {
        return Ok(());
    }
    let data = incremented(&read.body)?;
    let key = random_id(&mut random);
    let headers = [("if-match", read.header("etag")?), ("idempotency-key", &key)];
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            // The same backoff as the clients: 50 to 150 ms, then twice as long each time.
            let wait = random.random_range(0.05..0.15) * f64::from(1 << (attempt - 1));
            tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        }
        let request = Request::replace(&session.id, &data, &headers)?;
        match stack.send(recording, request).await.status {
            204 => {
                session.confirmed.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            // Another view changed the session first. An app would retry its change.
            412 => return Ok(()),
            _ => {}
        }
    }
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
