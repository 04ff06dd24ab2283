//! `PUT /session`: replaces a session's data. With `If-None-Match: *`, it creates a session under the
//! caller's id.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::create::{created, new_session};
use super::problem::Problem;
use super::response::Response;
use crate::session::Lifetime;
use crate::store::NewData;

pub(super) async fn put(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let id = request.session_id()?;
    if request.creates()? {
        request.refuse_lock()?;
        let new = new_session(context, context.write_id()?)?;
        return Ok(created(&store.create(id, new, *arrived_at).await?, *arrived_at));
    }
    let data = NewData { bytes: request.body(), media_type: &request.media_type()? };
    let write = context.write(request.lock_condition()?)?;
    store.replace(id, data, &request.if_match()?, &write, *arrived_at).await?;
    let response = Response::new(StatusCode::NO_CONTENT).with_etag(&write.id.etag());
    // Nothing else of the session is known: DynamoDB returns either no attribute or all of the data.
    Ok(match (write.attributes.ttl, limits.max_lifetime) {
        (Some(ttl), None) => {
            response.with_lifetime(&Lifetime::starting(*arrived_at, ttl, None), *arrived_at)
        }
        _ => response,
    })
}
