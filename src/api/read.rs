//! `GET /session` and `HEAD /session`: the data, or only what is known of it.

use lambda_http::http::StatusCode;

use super::headers::Versions;
use super::{Call, Problem, Response};
use crate::session::Metadata;

pub(super) async fn get(call: &Call) -> Result<Response, Problem> {
    let known = call.request.headers.if_none_match()?;
    let session = call.store.read(&call.request.headers.session_id()?, call.now).await?;
    let response = describe(call, &session.metadata, known);
    Ok(if response.status == StatusCode::OK { response.with_body(session.data) } else { response })
}

pub(super) async fn head(call: &Call) -> Result<Response, Problem> {
    let known = call.request.headers.if_none_match()?;
    let metadata = call.store.head(&call.request.headers.session_id()?, call.now).await?;
    Ok(describe(call, &metadata, known))
}

/// `304` where the caller knows the version that there is, else `200`, in either case with the
/// headers of the session (RFC 9110, 15.4.5).
fn describe(call: &Call, metadata: &Metadata, known: Option<Versions>) -> Response {
    let is_known = match known {
        None => false,
        Some(Versions::Any) => true,
        Some(Versions::OneOf(etags)) => etags.contains(&metadata.etag),
    };
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    Response::new(status).with_metadata(metadata, call.now)
}
