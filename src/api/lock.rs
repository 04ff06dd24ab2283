//! `POST` and `DELETE /session/lock`: a lease, for apps that need one request at a time per session.

use http::StatusCode;

use super::headers::SESSION_LOCK;
use super::{Call, Problem, Response};
use crate::backoff::Backoff;
use crate::session::LockToken;
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
            Err(locked @ StoreError::Locked { .. }) => {
                let left = wait.saturating_sub(call.elapsed());
                if left < Backoff::LEAST {
                    return Err(locked.into());
                }
                tokio::time::sleep(backoff.delay().min(left)).await;
            }
            Err(other) => return Err(other.into()),
        }
    }
}

pub(super) async fn delete(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let id = request.headers.session_id()?;
    store.unlock(&id, &request.headers.required_lock()?, call.later()).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}
