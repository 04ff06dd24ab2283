//! `POST /session/rotate`: moves a session to a new id. With a body and `Session-User`, it is a whole
//! login in one request (OWASP ASVS 5.0, 7.2.4).

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::seal::MAX_DATA;
use crate::session::SessionId;
use crate::store::{Rotation, StoreError};

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, .. } = context;
    let old = request.session_id()?;
    if request.body().len() > MAX_DATA {
        return Err(Problem::DataTooLarge);
    }
    let new = SessionId::generate().map_err(StoreError::from)?;
    let rotation = Rotation {
        data: match request.body() {
            [] => None,
            body => Some((body, request.media_type()?)),
        },
        ttl: request.ttl(limits)?,
        user: request.user()?,
        grace: request.grace()?,
    };
    let if_match = request.if_match()?;
    let lock = request.lock_condition()?;
    let mut retries = ConflictRetries::new(&if_match);
    let metadata = loop {
        let rotated = store.rotate(old, &new, &rotation, &if_match, &lock, context.now()).await;
        match rotated {
            Ok(metadata) => break metadata,
            Err(error) => retries.wait(error.into()).await?,
        }
    };
    Ok(Response::new(StatusCode::OK)
        .with_new_id(&new)
        .with_etag(&metadata.etag)
        .with_lifetime(&metadata.lifetime, context.now()))
}
