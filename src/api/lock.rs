//! `POST` and `DELETE /session/lock`: a lease, for apps that need one request at a time per session.

use std::time::Duration;

use lambda_http::http::StatusCode;

use super::headers::SESSION_LOCK;
use super::{Call, Problem, Response};
use crate::backoff::Backoff;
use crate::session::{LockToken, SessionId, Timestamp};
use crate::store::StoreError;

pub(super) async fn post(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let id = request.headers.session_id()?;
    let lease = request.headers.lease()?;
    let wait = request.headers.wait()?;
    let token = LockToken::generate().map_err(StoreError::from)?;
    let mut backoff = Backoff::new();
    loop {
        match store.lock(&id, &token, lease, call.later()).await {
            Ok(session) => {
                return Ok(Response::new(StatusCode::OK)
                    .with_metadata(&session.metadata, call.later())
                    .with(SESSION_LOCK, token.expose())
                    .with_body(session.data));
            }
            Err(StoreError::Locked { until }) => {
                wait_until_free(call, &id, until, wait, &mut backoff).await?;
            }
            Err(other) => return Err(other.into()),
        }
    }
}

/// Returns once the lock looks free, which another request may take first.
///
/// It polls with reads: DynamoDB bills a refused conditional write at the size of the whole item, 20
/// times the price of a read.
async fn wait_until_free(
    call: &Call,
    id: &SessionId,
    mut until: Timestamp,
    wait: Duration,
    backoff: &mut Backoff,
) -> Result<(), StoreError> {
    loop {
        let wait_left = wait.saturating_sub(call.elapsed());
        if wait_left < Backoff::LEAST {
            return Err(StoreError::Locked { until });
        }
        let lock_left = until.millis().saturating_sub(call.later().millis());
        let delay = delay(backoff.delay(), Duration::from_millis(lock_left), wait_left);
        tokio::time::sleep(delay).await;
        match call.store.locked_until(id, call.later()).await? {
            Some(renewed) => until = renewed,
            None => return Ok(()),
        }
    }
}

/// Time until the next poll: no longer than the lock or the wait lasts, but never so short that a
/// client polls without a pause.
fn delay(backoff: Duration, lock_left: Duration, wait_left: Duration) -> Duration {
    backoff.min(lock_left).max(Backoff::LEAST).min(wait_left)
}

pub(super) async fn delete(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let id = request.headers.session_id()?;
    store.unlock(&id, &request.headers.required_lock()?, call.later()).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_due_when_the_lock_or_the_wait_ends() {
        for (backoff, lock_left, wait_left, expected) in [
            (400, 60_000, 10_000, 400),
            (400, 300, 10_000, 300),
            (400, 60_000, 200, 200),
            (400, 300, 200, 200),
            (400, 3, 10_000, 25),
            (400, 0, 10_000, 25),
        ] {
            let ms = Duration::from_millis;
            assert_eq!(delay(ms(backoff), ms(lock_left), ms(wait_left)), ms(expected));
        }
    }
}
