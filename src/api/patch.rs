//! `PATCH /session`: applies a merge patch (RFC 7396). Concurrent patches all take effect.

use lambda_http::http::StatusCode;

use super::context::RequestContext;
use super::header::{CONTENT_TYPE, PREFERENCE_APPLIED};
use super::merge::MergePatch;
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::seal::MAX_DATA;
use crate::session::{ETag, Lifetime, MediaType, Session, WriteId};
use crate::store::{NewData, Snapshot, Update};

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
    // Refuse whatever we can before calling DynamoDB.
    let if_match = request.if_match()?;
    let write = context.write(request.lock_condition()?)?;
    let mut retries = ConflictRetries::new();
    loop {
        let read = store.read_for_update(id, &if_match, &write, context.now()).await?;
        if read.writes.contains(&write.id) {
            return Ok(applied_before(context, &read, &write.id));
        }
        let media_type = &read.session.metadata.media_type;
        if !media_type.is_json() {
            return Err(Problem::UnsupportedMediaType);
        }
        let merged = patch.apply(&read.session.data)?;
        let is_changed = merged != read.session.data;
        let data = is_changed.then_some(NewData { bytes: &merged, media_type });
        match store.replace_unchanged(id, data, &read, &write, context.now()).await {
            Ok(Update::Applied { etag, lifetime }) => {
                return Ok(patched(context, media_type, Some(&etag), &lifetime, &merged));
            }
            Ok(Update::AppliedBefore(read)) => {
                return Ok(applied_before(context, &read, &write.id));
            }
            Err(error) => retries.wait(error).await?,
        }
    }
}

/// Repeats the response to an earlier attempt that was applied, as far as the session still shows what it was.
fn applied_before(context: &RequestContext, read: &Snapshot, write: &WriteId) -> Response {
    let Snapshot { session: Session { metadata, data }, writes } = read;
    let etag = writes.etag_at(write, &metadata.etag);
    patched(context, &metadata.media_type, etag, &metadata.lifetime, data)
}

/// Returns the response to a patch, with the merged data if the request prefers that. `etag` is `None` if others
/// have changed the data since an earlier attempt was applied: the data is no longer what the patch produced.
fn patched(
    context: &RequestContext,
    media_type: &MediaType,
    etag: Option<&ETag>,
    lifetime: &Lifetime,
    data: &[u8],
) -> Response {
    let response = if etag.is_some() && context.request.prefers_representation() {
        Response::new(StatusCode::OK)
            .with(CONTENT_TYPE, media_type.as_str())
            .with(PREFERENCE_APPLIED, "return=representation")
            .with_body(data.to_vec())
    } else {
        Response::new(StatusCode::NO_CONTENT)
    };
    response.with_some_etag(etag).with_lifetime(lifetime, &context.limits, context.now())
}
