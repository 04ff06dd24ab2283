//! `POST /session/rotate`: the session under a new id. With a body and `Session-User` it is all that
//! a login needs, in one request (OWASP ASVS 5.0, 7.2.4).

use lambda_http::http::StatusCode;

use super::headers::SESSION_ID;
use super::{Call, Problem, Response};
use crate::backoff::Backoff;
use crate::session::{Precondition, SessionId};
use crate::store::{Rotation, StoreError};

pub(super) async fn post(call: &Call) -> Result<Response, Problem> {
    let Call { request, store, limits, .. } = call;
    let old = request.headers.session_id()?;
    let new = SessionId::generate().map_err(StoreError::from)?;
    let rotation = Rotation {
        data: match request.body.as_slice() {
            [] => None,
            body => Some((body, request.headers.media_type()?)),
        },
        ttl: request.headers.ttl(limits)?,
        user: request.headers.user()?,
        grace: request.headers.grace()?,
    };
    let precondition = request.headers.if_match()?;
    let claim = request.headers.claim()?;
    let mut backoff = Backoff::new();
    let metadata = loop {
        match store.rotate(&old, &new, &rotation, &precondition, &claim, call.later()).await {
            // A change came between the read and the move, and the caller does not mind: it goes along.
            Err(StoreError::ETagMismatch(_)) if precondition == Precondition::Any => {
                tokio::time::sleep(backoff.delay()).await;
            }
            rotated => break rotated?,
        }
    };
    Ok(Response::new(StatusCode::OK)
        .with(SESSION_ID, new.expose())
        .with_etag(&metadata.etag)
        .with_lifetime(&metadata.lifetime, call.later()))
}
