//! `GET /sessions`, `DELETE /sessions` and `DELETE /sessions/{handle}`: the sessions of a user.

use std::time::Duration;

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::context::RequestContext;
use super::header::CONTENT_TYPE;
use super::problem::Problem;
use super::response::Response;
use crate::session::SessionId;

/// Wait before the index is queried a second time. It follows the table within a fraction of a second.
const INDEX_LAG: Duration = Duration::from_millis(200);

/// A session in the list.
#[derive(Serialize)]
struct Entry<'a> {
    handle: &'a str,
    created: String,
    expires: String,
    current: bool,
}

#[derive(Serialize)]
struct Destroyed {
    destroyed: usize,
}

pub(super) async fn get(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let user = request.required_user()?;
    let own = request.own_session_id()?.map(SessionId::handle);
    let sessions = store.list(&user, *arrived_at).await?;
    let entries: Vec<_> = sessions
        .iter()
        .map(|session| Entry {
            handle: session.handle.as_str(),
            created: session.created.to_rfc3339(),
            expires: session.lifetime.end().to_rfc3339(),
            current: Some(&session.handle) == own,
        })
        .collect();
    Ok(json(&entries))
}

pub(super) async fn delete_all(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let user = request.required_user()?;
    let keep = request.own_session_id()?.map(SessionId::handle);
    let first = store.revoke_all(&user, keep, *arrived_at).await?;
    tokio::time::sleep(INDEX_LAG).await;
    let second = store.revoke_all(&user, keep, *arrived_at).await?;
    Ok(json(&Destroyed { destroyed: first.saturating_add(second) }))
}

pub(super) async fn delete_one(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let user = request.required_user()?;
    // No session has a malformed handle.
    let handle = request.path_handle().ok_or(Problem::SessionNotFound)?;
    store.revoke(&user, &handle, *arrived_at).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

fn json<T: Serialize>(value: &T) -> Response {
    Response::new(StatusCode::OK)
        .with(CONTENT_TYPE, "application/json")
        .with_body(serde_json::to_vec(value).unwrap_or_default())
}
