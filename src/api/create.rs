//! `POST /session`: creates a session under a new id.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use crate::session::SessionId;
use crate::store::{NewSession, StoreError};

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let id = SessionId::generate().map_err(StoreError::from)?;
    Ok(create(context, &id).await?.with_new_id(&id))
}

/// Creates a session from the request under this id.
pub(super) async fn create(context: &RequestContext, id: &SessionId) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let new = NewSession {
        data: request.body(),
        media_type: request.media_type()?,
        ttl: request.ttl(limits)?.unwrap_or(limits.default_ttl),
        max_lifetime: limits.max_lifetime,
        user: request.user()?,
    };
    let metadata = store.create(id, new, *arrived_at).await?;
    Ok(Response::new(StatusCode::CREATED)
        .with_etag(&metadata.etag)
        .with_lifetime(&metadata.lifetime, *arrived_at))
}
