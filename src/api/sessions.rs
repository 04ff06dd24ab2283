//! `GET` and `DELETE /sessions`, `DELETE /sessions/{handle}`: the sessions of a user.

use std::time::Duration;

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::headers::CONTENT_TYPE;
use super::{Call, Problem, Response};
use crate::session::{SessionId, Timestamp};

/// How long the index is given before it is looked at a second time: it follows the table within a
/// fraction of a second.
const INDEX_LAG: Duration = Duration::from_millis(200);

/// A session in the list.
#[derive(Serialize)]
struct Entry {
    handle: String,
    created: String,
    expires: String,
    current: bool,
}

#[derive(Serialize)]
struct Destroyed {
    destroyed: usize,
}

pub(super) async fn get(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let user = request.headers.required_user()?;
    let own = request.headers.own_session_id()?.as_ref().map(SessionId::handle);
    let sessions = store.list(&user, call.now).await?;
    let entries: Vec<_> = sessions
        .iter()
        .map(|session| Entry {
            handle: session.handle.as_str().to_owned(),
            created: session.created.to_rfc3339(),
            expires: Timestamp::from_seconds(session.lifetime.ends()).to_rfc3339(),
            current: Some(&session.handle) == own.as_ref(),
        })
        .collect();
    Ok(json(&entries))
}

pub(super) async fn delete_all(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let user = request.headers.required_user()?;
    let keep = request.headers.own_session_id()?.as_ref().map(SessionId::handle);
    let first = store.revoke_all(&user, keep.as_ref(), call.now).await?;
    tokio::time::sleep(INDEX_LAG).await;
    let second = store.revoke_all(&user, keep.as_ref(), call.now).await?;
    Ok(json(&Destroyed { destroyed: first.saturating_add(second) }))
}

pub(super) async fn delete_one(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let user = request.headers.required_user()?;
    // What has not the form of a handle is no session's.
    let handle = request.handle.as_ref().ok_or(Problem::SessionNotFound)?;
    store.revoke(&user, handle, call.now).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

fn json<T: Serialize>(value: &T) -> Response {
    Response::new(StatusCode::OK)
        .with(CONTENT_TYPE, "application/json")
        .with_body(serde_json::to_vec(value).unwrap_or_default())
}
