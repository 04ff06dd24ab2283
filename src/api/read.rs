//! `GET /session` and `HEAD /session`: reads a session with or without its data.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::problem::Problem;
use super::request::Request;
use super::response::Response;
use crate::session::{ETagCondition, Metadata};

pub(super) async fn get(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let conditions = Conditions::read(request)?;
    let session = store.read(request.session_id()?, *arrived_at).await?;
    let status = conditions.status(&session.metadata)?;
    let response = Response::new(status).with_metadata(&session.metadata, limits, *arrived_at);
    Ok(if status == StatusCode::OK { response.with_body(session.data) } else { response })
}

pub(super) async fn head(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, limits, arrived_at, .. } = context;
    let conditions = Conditions::read(request)?;
    let metadata = store.read_metadata(request.session_id()?, *arrived_at).await?;
    let status = conditions.status(&metadata)?;
    Ok(Response::new(status).with_metadata(&metadata, limits, *arrived_at))
}

/// A read's preconditions.
struct Conditions {
    if_match: ETagCondition,
    if_none_match: Option<ETagCondition>,
}

impl Conditions {
    fn read(request: &Request) -> Result<Self, Problem> {
        Ok(Self { if_match: request.if_match()?, if_none_match: request.if_none_match()? })
    }

    /// Returns `304` if the caller knows the current version, else `200`. `If-Match` comes first (RFC 9110,
    /// 13.2.2).
    fn status(&self, metadata: &Metadata) -> Result<StatusCode, Problem> {
        if !self.if_match.matches(&metadata.etag) {
            return Err(Problem::ETagMismatch(None));
        }
        let is_known = self.if_none_match.as_ref().is_some_and(|tags| tags.matches(&metadata.etag));
        Ok(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK })
    }
}
