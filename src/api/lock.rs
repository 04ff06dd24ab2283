//! `POST /session/lock` and `DELETE /session/lock`: take and release a lease, for apps that can handle only
//! one request per session at a time.

use std::time::Duration;

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::header::SESSION_LOCK;
use super::problem::Problem;
use super::response::Response;
use crate::backoff::Backoff;
use crate::session::{LockCondition, LockToken, SessionId, Timestamp};
use crate::store::{StoreError, Write};

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, .. } = context;
    let id = request.session_id()?;
    let lease = request.lease()?;
    let wait = request.wait()?;
    // A request that already holds the lock renews its lease. Renewals never wait: if another request holds the
    // lock, this one has lost it.
    let (token, required, wait) = match request.lock()? {
        Some(token) => (token.clone(), LockCondition::HeldBy(token), Duration::ZERO),
        None => (context.lock_token()?, LockCondition::NotLocked, wait),
    };
    let write = context.write(required)?;
    let mut backoff = Backoff::new();
    loop {
        match store.lock(id, &token, lease, &write, context.now()).await {
            Ok(session) => {
                return Ok(Response::new(StatusCode::OK)
                    .with_metadata(&session.metadata, limits, context.now())
                    .with(SESSION_LOCK, token.expose())
                    .with_body(session.data));
            }
            Err(StoreError::Locked { until }) => {
                let lock = (id, &token, &write);
                wait_until_free(context, lock, until, wait, &mut backoff).await?;
            }
            Err(other) => return Err(other.into()),
        }
    }
}

/// How long a poll may run past the end of the wait. That leaves the function enough time for one more attempt
/// to take the lock.
const LAST_POLL: Duration = Duration::from_secs(1);

/// Returns once the lock looks free. Another request may still take it first.
///
/// We poll with reads: DynamoDB bills a refused conditional write for the whole item, at 20 times the price of
/// a read. A failed poll tells us nothing about the lock, so we keep waiting.
async fn wait_until_free(
    context: &RequestContext,
    (id, token, write): (&SessionId, &LockToken, &Write),
    mut until: Timestamp,
    wait: Duration,
    backoff: &mut Backoff,
) -> Result<(), StoreError> {
    loop {
        let wait_left = wait.saturating_sub(context.started.elapsed());
        if wait_left < Backoff::MIN {
            return Err(StoreError::Locked { until });
        }
        let lock_left = until.since(context.now());
        tokio::time::sleep(poll_delay(backoff.delay(), lock_left, wait_left)).await;
        let time_limit = wait.saturating_sub(context.started.elapsed()).max(LAST_POLL);
        let poll = context.store.poll_lock(id, token, write, context.now());
        match tokio::time::timeout(time_limit, poll).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(renewed))) => until = renewed,
            Err(_) | Ok(Err(StoreError::Throttled(_) | StoreError::Unavailable(_))) => {}
            Ok(Err(other)) => return Err(other),
        }
    }
}

/// Returns the time until the next poll: no later than when the lock expires or the wait ends, but never so soon that
/// we'd poll nonstop.
fn poll_delay(backoff: Duration, lock_left: Duration, wait_left: Duration) -> Duration {
    backoff.min(lock_left).max(Backoff::MIN).min(wait_left)
}

pub(super) async fn delete(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, .. } = context;
    let id = request.session_id()?;
    store.release(id, &request.required_unlock()?, context.now()).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_due_when_the_lock_expires_or_the_wait_ends() {
        for (backoff, lock_left, wait_left, expected) in [
            (400, 60_000, 10_000, 400),
            (400, 300, 10_000, 300),
            (400, 60_000, 200, 200),
            (400, 300, 200, 200),
            (400, 3, 10_000, 25),
            (400, 0, 10_000, 25),
        ] {
            let ms = Duration::from_millis;
            assert_eq!(poll_delay(ms(backoff), ms(lock_left), ms(wait_left)), ms(expected));
        }
    }
}
