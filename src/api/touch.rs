//! `POST /session/touch`: extends a session's life without changing its data.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let id = request.session_id()?;
    let lifetime = store.touch(id, request.ttl(limits)?, *arrived_at).await?;
    Ok(Response::new(StatusCode::NO_CONTENT).with_lifetime(&lifetime, *arrived_at))
}
