//! `PUT /session`: new data in the place of a session's, or with `If-None-Match: *` a new session
//! under the caller's id.

use lambda_http::http::StatusCode;

use super::create::{create, created};
use super::{Call, Problem, Response};
use crate::store::Replacement;

pub(super) async fn put(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, limits, .. } = call;
    let id = request.headers.session_id()?;
    if request.headers.creates()? {
        return Ok(created(call, &create(call, &id).await?));
    }
    let new = Replacement {
        data: &request.body,
        media_type: request.headers.media_type()?,
        ttl: request.headers.ttl(limits)?,
        user: request.headers.user()?,
    };
    let precondition = request.headers.if_match()?;
    let claim = request.headers.claim()?;
    let etag = store.replace(&id, new, &precondition, &claim, call.now).await?;
    Ok(Response::new(StatusCode::NO_CONTENT).with_etag(&etag))
}
