//! `POST /session/rotate`: moves a session to a new id. With a body and `Session-User`, that's a complete login
//! in one request (OWASP ASVS 5.0, 7.2.4).

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::session::SessionId;
use crate::store::{NewData, Rotation, SessionStore, Write};

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, .. } = context;
    let old = request.session_id()?;
    let chosen = request.new_id()?;
    let is_repeatable = chosen.is_some();
    let new = match chosen {
        Some(id) => id,
        None => SessionId::generate()?,
    };
    let media_type = request.media_type()?;
    let rotation = Rotation {
        old,
        new: &new,
        data: match request.body() {
            [] => None,
            bytes => Some(NewData { bytes, media_type: &media_type }),
        },
        grace: request.grace()?,
        is_repeatable,
        required: request.if_match()?,
        write: Write {
            id: SessionStore::rotation_id(old, &new),
            attributes: request.attribute_changes(limits)?,
            lock: request.lock_condition()?,
        },
    };
    let mut retries = ConflictRetries::new();
    loop {
        match store.rotate(&rotation, context.now()).await {
            Ok(rotated) => {
                return Ok(Response::new(StatusCode::OK)
                    .with_new_id(&new)
                    .with_some_etag(rotated.etag.as_ref())
                    .with_lifetime(&rotated.lifetime, limits, context.now()));
            }
            Err(error) => retries.wait(error).await?,
        }
    }
}
