//! `GET /sessions`, `DELETE /sessions`, and `DELETE /sessions/{handle}`: a user's sessions.

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::context::RequestContext;
use super::header::{CONTENT_TYPE, SESSION_ID};
use super::problem::Problem;
use super::response::Response;
use crate::session::{Label, SessionId};
use crate::store::{Ending, SessionSummary};

/// A session in the list.
#[derive(Serialize)]
struct Entry<'a> {
    handle: &'a str,
    created: String,
    used: String,
    expires: String,
    label: Option<&'a str>,
    current: bool,
}

#[derive(Serialize)]
struct Destroyed {
    destroyed: usize,
}

pub(super) async fn get(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, .. } = context;
    let user = request.required_user()?;
    let own = request.own_session_id()?.map(SessionId::handle);
    let sessions = store.list(&user).await?;
    let entries: Vec<_> = sessions
        .iter()
        .map(|SessionSummary { handle, predecessor, metadata, .. }| Entry {
            handle: handle.as_str(),
            created: metadata.lifetime.created.to_rfc3339(),
            used: metadata.used().to_rfc3339(),
            expires: limits.end(&metadata.lifetime).to_rfc3339(),
            label: metadata.label.as_ref().map(Label::expose),
            current: own.is_some_and(|own| own == handle || Some(own) == predecessor.as_ref()),
        })
        .collect();
    Ok(json(&entries))
}

pub(super) async fn delete_all(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, .. } = context;
    let user = request.required_user()?;
    let keep = request.own_session_id()?.map(SessionId::handle);
    let ending = match request.limit()? {
        None => Ending::AllBut(keep),
        Some(limit) if keep.is_none() => Ending::Oldest { limit },
        Some(_) => {
            let expected =
                "absent if Session-Limit is present, which keeps the newest sessions".into();
            return Err(Problem::InvalidHeader { header: SESSION_ID, expected });
        }
    };
    let destroyed = store.end_sessions(&user, ending).await?;
    Ok(json(&Destroyed { destroyed }))
}

pub(super) async fn delete_one(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, .. } = context;
    let user = request.required_user()?;
    // A session never has a malformed handle.
    let handle = request.path_handle().ok_or(Problem::SessionNotFound)?;
    store.revoke(&user, &handle).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}

fn json<T: Serialize>(value: &T) -> Response {
    Response::new(StatusCode::OK)
        .with(CONTENT_TYPE, "application/json")
        .with_body(serde_json::to_vec(value).unwrap_or_default())
}
