//! `PATCH /session`: applies a merge patch (RFC 7396). Concurrent patches all take effect.

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::context::RequestContext;
use super::header::{CONTENT_TYPE, PREFERENCE_APPLIED};
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
    let patch: Value = serde_json::from_slice(request.body()).map_err(|_| Problem::InvalidPatch)?;
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
        let merged = merged(&patch, &read.session.data)?;
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
    response.with_lifetime(&metadata.lifetime, context.now())
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

fn merged(patch: &Value, data: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut value: Value = serde_json::from_slice(data).map_err(|_| Problem::NotJson)?;
    merge(&mut value, patch);
    Ok(value.to_string().into_bytes())
}

/// Applies a merge patch: the pseudocode of RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.shift_remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        let mut target = serde_json::from_str(target).unwrap();
        merge(&mut target, &serde_json::from_str(patch).unwrap());
        target.to_string()
    }

    #[test]
    fn merge_passes_the_examples_of_rfc_7396_appendix_a() {
        for (original, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(original, patch), result, "{original} with {patch}");
        }
    }

    #[test]
    fn merge_keeps_numbers_and_order_of_unpatched_values() {
        let data = r#"{"z":12345678901234567890123,"a":1.10,"e":1e+400,"m":[1.0,{"y":1,"b":2}]}"#;
        assert_eq!(merged(data, r#"{"new":1}"#), data.replace("}]}", r#"}],"new":1}"#));
    }
}
