//! `POST /session/touch`: a longer life without a change.

use lambda_http::http::StatusCode;

use super::{Call, Problem, Response};

pub(super) async fn post(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, limits, .. } = call;
    let id = request.headers.session_id()?;
    let lifetime = store.touch(&id, request.headers.ttl(limits)?, call.now).await?;
    Ok(Response::new(StatusCode::NO_CONTENT).with_lifetime(&lifetime, call.now))
}
