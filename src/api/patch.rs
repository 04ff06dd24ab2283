//! `PATCH /session`: applies a merge patch (RFC 7396). Concurrent patches all take effect.

use std::time::Duration;

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::context::RequestContext;
use super::header::{CONTENT_TYPE, PREFERENCE_APPLIED};
use super::problem::Problem;
use super::response::Response;
use super::retry::ConflictRetries;
use crate::seal::MAX_DATA;
use crate::session::{ETagCondition, LockCondition, Session, SessionId, User};
use crate::store::Replacement;

pub(super) async fn patch(context: &RequestContext) -> Result<Response, Problem> {
    let RequestContext { request, limits, .. } = context;
    let id = request.session_id()?;
    if !request.is_merge_patch() {
        return Err(Problem::UnsupportedMediaType);
    }
    if request.body().len() > MAX_DATA {
        return Err(Problem::DataTooLarge);
    }
    let patch = serde_json::from_slice(request.body()).map_err(|_| Problem::InvalidPatch)?;
    // Everything that can be refused without a call is refused here.
    let change = Change {
        patch,
        if_match: request.if_match()?,
        lock: request.lock_condition()?,
        ttl: request.ttl(limits)?,
        user: request.user()?,
    };
    let mut retries = ConflictRetries::new(&change.if_match);
    loop {
        match attempt(context, id, &change).await {
            Ok(response) => return Ok(response),
            Err(problem) => retries.wait(problem).await?,
        }
    }
}

/// The change that the request asks for, parsed once for all attempts.
struct Change {
    patch: Value,
    if_match: ETagCondition,
    lock: LockCondition,
    ttl: Option<Duration>,
    user: Option<User>,
}

/// Reads the session, merges the patch, and writes on condition that the data has not changed since.
async fn attempt(
    context: &RequestContext,
    id: &SessionId,
    change: &Change,
) -> Result<Response, Problem> {
    let RequestContext { request, store, .. } = context;
    let session = store.read_for_update(id, &change.if_match, context.now()).await?;
    let Session { metadata, data } = session;
    if !metadata.media_type.is_json() {
        return Err(Problem::UnsupportedMediaType);
    }
    let mut value: Value = serde_json::from_slice(&data).map_err(|_| Problem::NotJson)?;
    merge(&mut value, &change.patch);
    let merged = value.to_string().into_bytes();
    let media_type = metadata.media_type;
    let new = Replacement {
        data: &merged,
        media_type: media_type.clone(),
        ttl: change.ttl,
        user: change.user.clone(),
    };
    let as_read = ETagCondition::OneOf(vec![metadata.etag]);
    let etag = store.replace(id, new, &as_read, &change.lock, context.now()).await?;
    Ok(if request.prefers_representation() {
        Response::new(StatusCode::OK)
            .with_etag(&etag)
            .with(CONTENT_TYPE, media_type.as_str())
            .with(PREFERENCE_APPLIED, "return=representation")
            .with_body(merged)
    } else {
        Response::new(StatusCode::NO_CONTENT).with_etag(&etag)
    })
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
