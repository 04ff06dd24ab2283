//! `POST /session/rotate`: moves a session to a new id. With a body and `Session-User`, it is a whole
//! login in one request (OWASP ASVS 5.0, 7.2.4).

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::session::SessionId;
use crate::store::{NewData, Rotation, SessionStore, StoreError, Write};

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, .. } = context;
    let old = request.session_id()?;
    let chosen = request.new_id()?;
    let is_repeatable = chosen.is_some();
    let new = match chosen {
        Some(id) => id,
        None => SessionId::generate().map_err(StoreError::from)?,
    };
    let media_type = request.media_type()?;
    let rotation = Rotation {
        data: match request.body() {
            [] => None,
            bytes => Some(NewData { bytes, media_type: &media_type }),
        },
        grace: request.grace()?,
        is_repeatable,
        write: Write {
            id: SessionStore::rotation_id(&new),
            attributes: request.attribute_changes(limits)?,
            lock: request.lock_condition()?,
        },
    };
    let limit = request.limit()?;
    let if_match = request.if_match()?;
    let mut retries = ConflictRetries::new();
    let rotated = loop {
        match store.rotate(old, &new, &rotation, &if_match, context.now()).await {
            Ok(rotated) => break rotated,
            Err(error) => retries.wait(error).await?,
        }
    };
    if let (Some(limit), Some(user)) = (limit, &rotated.user) {
        store.limit_sessions(user, new.handle(), limit, context.now()).await?;
    }
    Ok(Response::new(StatusCode::OK)
        .with_new_id(&new)
        .with_some_etag(rotated.etag.as_ref())
        .with_lifetime(&rotated.lifetime, context.now()))
}
