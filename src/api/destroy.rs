//! `DELETE /session`: the end of a session.

use lambda_http::http::StatusCode;

use super::{Call, Problem, Response};

pub(super) async fn delete(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, .. } = call;
    let id = request.headers.session_id()?;
    store.destroy(&id, &request.headers.if_match()?, call.now).await?;
    Ok(Response::new(StatusCode::NO_CONTENT))
}
