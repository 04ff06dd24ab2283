//! `DELETE /session`: destroys a session.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;

pub(super) async fn delete(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, arrived_at, .. } = context;
    let id = request.session_id()?;
    store.destroy(id, &request.if_match()?, *arrived_at).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}
