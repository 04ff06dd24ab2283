//! `POST /session`: a new session under a new id.

use lambda_http::http::StatusCode;

use super::headers::SESSION_ID;
use super::{Call, Problem, Response};
use crate::session::{Metadata, SessionId};
use crate::store::{NewSession, StoreError};

pub(super) async fn post(call: &Call) -> Result<Response, Problem> {
    let id = SessionId::generate().map_err(StoreError::from)?;
    let metadata = create(call, &id).await?;
    Ok(created(call, &metadata).with(SESSION_ID, id.expose()))
}

/// Makes a session of what the request says under this id.
pub(super) async fn create(call: &Call, id: &SessionId) -> Result<Metadata, Problem> {
    let Call { request, store, limits, .. } = call;
    let new = NewSession {
        data: &request.body,
        media_type: request.headers.media_type()?,
        ttl: request.headers.ttl(limits)?.unwrap_or(limits.default_ttl),
        max_lifetime: limits.max_lifetime,
        user: request.headers.user()?,
    };
    Ok(store.create(id, new, call.now).await?)
}

pub(super) fn created(call: &Call, metadata: &Metadata) -> Response {
    Response::new(StatusCode::CREATED)
        .with_etag(&metadata.etag)
        .with_lifetime(&metadata.lifetime, call.now)
}
