//! `PATCH /session`: applies a merge patch (RFC 7396). Concurrent patches all take effect.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::header::{CONTENT_TYPE, PREFERENCE_APPLIED};
use super::merge::MergePatch;
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::seal::MAX_DATA;
use crate::session::{MediaType, Metadata, Session};
use crate::store::{NewData, Snapshot, Write};

pub(super) async fn patch(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, store, .. } = context;
    let id = request.session_id()?;
    if !request.is_merge_patch() {
        return Err(Problem::UnsupportedMediaType);
    }
    if request.body().len() > MAX_DATA {
        return Err(Problem::DataTooLarge);
    }
    let patch = MergePatch::parse(request.body())?;
    // Everything that can be refused without a call is refused here.
    let if_match = request.if_match()?;
    let write = context.write(request.lock_condition()?)?;
    let mut retries = ConflictRetries::new();
    loop {
        let read = store.read_for_update(id, &if_match, &write.id, context.now()).await?;
        if read.writes.contains(&write.id) {
            return Ok(applied_before(context, read, &write));
        }
        let Metadata { media_type, etag, ttl, lifetime, .. } = &read.session.metadata;
        if !media_type.is_json() {
            return Err(Problem::UnsupportedMediaType);
        }
        let merged = patch.apply(&read.session.data)?;
        let is_changed = merged != read.session.data;
        let data = is_changed.then_some(NewData { bytes: &merged, media_type });
        let now = context.now();
        match store.replace_unchanged(id, data, &read, &write, now).await {
            Ok(()) => {
                let etag = if is_changed { write.id.etag() } else { etag.clone() };
                let lifetime = lifetime.slid(now, write.attributes.ttl.unwrap_or(*ttl));
                let response = patched(context, media_type, merged);
                return Ok(response.with_etag(&etag).with_lifetime(&lifetime, now));
            }
            Err(error) => retries.wait(error).await?,
        }
    }
}

/// Responds as an earlier attempt did that was applied. If others changed the data since, the response
/// has no representation: it would not be that of the patch.
fn applied_before(context: &RequestContext, read: Snapshot, write: &Write) -> Response {
    let Snapshot { session: Session { metadata, data }, writes } = read;
    let response = if writes.made_since(&write.id, &metadata.etag) {
        Response::new(StatusCode::NO_CONTENT).with_etag(&write.id.etag())
    } else {
        patched(context, &metadata.media_type, data).with_etag(&metadata.etag)
    };
    let now = context.now();
    let lifetime = match write.attributes.ttl {
        Some(ttl) => metadata.lifetime.slid(now, ttl),
        // For a patch that named no lifetime, only the current one is known.
        None => metadata.lifetime,
    };
    response.with_lifetime(&lifetime, now)
}

/// Returns a response with the merged data if the request prefers that.
fn patched(context: &RequestContext, media_type: &MediaType, data: Vec<u8>) -> Response {
    if !context.request.prefers_representation() {
        return Response::new(StatusCode::NO_CONTENT);
    }
    Response::new(StatusCode::OK)
        .with(CONTENT_TYPE, media_type.as_str())
        .with(PREFERENCE_APPLIED, "return=representation")
        .with_body(data)
}
