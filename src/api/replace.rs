//! `PUT /session`: replaces a session's data. With `If-None-Match: *`, it creates a session under the
//! caller's id.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::create::create;
use super::problem::Problem;
use super::response::Response;
use crate::store::Replacement;

pub(super) async fn put(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let id = request.session_id()?;
    if request.creates()? {
        return create(context, id).await;
    }
    let new = Replacement {
        data: request.body(),
        media_type: request.media_type()?,
        ttl: request.ttl(limits)?,
        user: request.user()?,
    };
    let if_match = request.if_match()?;
    let lock = request.lock_condition()?;
    let etag = store.replace(id, new, &if_match, &lock, *arrived_at).await?;
    Ok(Response::new(StatusCode::NO_CONTENT).with_etag(&etag))
}
