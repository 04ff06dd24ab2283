//! `POST /session`: creates a session under a new id.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::response::Response;
use crate::session::{SessionId, WriteId};
use crate::store::{Created, NewSession, StoreError};

/// How many ids to try. An attempt with an unknown outcome may leave a session behind that nobody can reach.
const ATTEMPTS: usize = 3;

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { store, arrived_at, .. } = context;
    let new = new_session(context, WriteId::generate()?)?;
    let mut attempts_left = ATTEMPTS;
    loop {
        attempts_left = attempts_left.saturating_sub(1);
        let id = SessionId::generate()?;
        match store.create(&id, new.clone(), *arrived_at).await {
            Ok(new) => return Ok(created(context, &new).with_new_id(&id)),
            Err(StoreError::OutcomeUnknown) if attempts_left > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the session to create from the request.
pub(super) fn new_session(
    context: &RequestContext,
    write: WriteId,
) -> Result<NewSession<'_>, Problem> {
    let RequestContext { request, limits, .. } = context;
    let attributes = request.attribute_changes(limits)?;
    Ok(NewSession {
        write,
        data: request.body(),
        media_type: request.media_type()?,
        ttl: attributes.ttl.unwrap_or(limits.clamp(limits.default_ttl)),
        user: attributes.user.into_new(),
        label: attributes.label.into_new(),
    })
}

/// Returns the response to a creation.
pub(super) fn created(context: &RequestContext, new: &Created) -> Response {
    Response::new(StatusCode::CREATED).with_some_etag(new.etag.as_ref()).with_lifetime(
        &new.lifetime,
        &context.limits,
        context.arrived_at,
    )
}
