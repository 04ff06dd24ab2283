//! `GET /session` and `HEAD /session`: reads a session with or without its data.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use crate::session::{ETagCondition, Metadata};

pub(super) async fn get(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let known = request.if_none_match()?;
    let session = store.read(request.session_id()?, *arrived_at).await?;
    let status = status(known, &session.metadata);
    let response = Response::new(status).with_metadata(&session.metadata, *arrived_at);
    Ok(if status == StatusCode::OK { response.with_body(session.data) } else { response })
}

pub(super) async fn head(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let known = request.if_none_match()?;
    let metadata = store.read_metadata(request.session_id()?, *arrived_at).await?;
    Ok(Response::new(status(known, &metadata)).with_metadata(&metadata, *arrived_at))
}

/// Returns `304` if the caller knows the current version, else `200`. Both have the same headers (RFC
/// 9110, 15.4.5).
fn status(known: Option<ETagCondition>, metadata: &Metadata) -> StatusCode {
    let is_known = known.is_some_and(|known| known.matches(&metadata.etag));
    if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }
}
