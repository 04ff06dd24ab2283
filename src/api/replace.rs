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
        return Ok(created(context, &store.create(id, new, *arrived_at).await?));
    }
    let data = NewData { bytes: request.body(), media_type: &request.media_type()? };
    let write = context.write(request.lock_condition()?)?;
    let replaced = store.replace(id, data, &request.if_match()?, &write, *arrived_at).await?;
    // A PUT doesn't read the session. So it knows the expiry only if it sets the idle lifetime, and the session's end
    // only if that doesn't depend on when the session was created.
    let lifetime = write.attributes.ttl.and_then(|ttl| {
        let new = limits.max_lifetime.is_none().then(|| Lifetime::starting(*arrived_at, ttl));
        replaced.lifetime.or(new)
    });
    let response = Response::new(StatusCode::NO_CONTENT).with_some_etag(replaced.etag.as_ref());
    Ok(match lifetime {
        Some(lifetime) => response.with_lifetime(&lifetime, limits, *arrived_at),
        None => response,
    })
}
