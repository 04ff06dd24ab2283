//! `POST /session/touch`: keeps a session alive and changes its attributes, but not its data.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::header::PREFERENCE_APPLIED;
use super::problem::Problem;
use super::response::Response;
use crate::session::LockCondition;

pub(super) async fn post(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let id = request.session_id()?;
    let unlock = request.unlock()?;
    let lock = unlock.map_or(LockCondition::Any, LockCondition::HeldByThenRelease);
    let write = context.write(lock)?;
    let returns_data = request.prefers_representation();
    let if_match = request.if_match()?;
    let touched = store.touch(id, &if_match, &write, returns_data, *arrived_at).await?;
    Ok(match touched.session {
        Some(session) => Response::new(StatusCode::OK)
            .with_metadata(&session.metadata, limits, *arrived_at)
            .with(PREFERENCE_APPLIED, "return=representation")
            .with_body(session.data),
        None => Response::new(StatusCode::NO_CONTENT)
            .with_some_etag(touched.etag.as_ref())
            .with_lifetime(&touched.lifetime, limits, *arrived_at),
    })
}
