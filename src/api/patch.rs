//! `PATCH /session`: a merge patch (RFC 7396). Patches that run at the same time all take effect.

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::headers::{CONTENT_TYPE, PREFERENCE_APPLIED};
use super::{Call, Problem, Response};
use crate::backoff::Backoff;
use crate::seal::MAX_DATA;
use crate::session::{ETag, LockClaim, Precondition, Session, SessionId, Ttl, User};
use crate::store::Replacement;

pub(super) async fn patch(call: &Call) -> Result<Response, Problem> {
    let Call { request, limits, .. } = call;
    let id = request.headers.session_id()?;
    if !request.headers.is_merge_patch() {
        return Err(Problem::UnsupportedMediaType);
    }
    if request.body.len() > MAX_DATA {
        return Err(Problem::DataTooLarge);
    }
    let patch: Value = serde_json::from_slice(&request.body).map_err(|_| Problem::InvalidPatch)?;
    // All that can be refused is refused here, before the first call.
    let change = Change {
        patch,
        precondition: request.headers.if_match()?,
        claim: request.headers.claim()?,
        ttl: request.headers.ttl(limits)?,
        user: request.headers.user()?,
    };
    let mut backoff = Backoff::new();
    loop {
        match attempt(call, &id, &change).await {
            // Another change came between, and the caller does not mind which: merge with that one.
            Err(Problem::ETagMismatch(_)) if change.precondition == Precondition::Any => {
                tokio::time::sleep(backoff.delay()).await;
            }
            answer => return answer,
        }
    }
}

/// What the request asks for, read once for all attempts.
struct Change {
    patch: Value,
    precondition: Precondition,
    claim: LockClaim,
    ttl: Option<Ttl>,
    user: Option<User>,
}

/// Reads, merges, and writes on condition that nothing came between.
async fn attempt(call: &Call, id: &SessionId, change: &Change) -> Result<Response, Problem> {
    let Call { store, .. } = call;
    let session = store.current(id, &change.precondition, call.later()).await?;
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
    let as_read = Precondition::OneOf(vec![metadata.etag]);
    let etag = store.replace(id, new, &as_read, &change.claim, call.later()).await?;
    Ok(answer(call, &etag, media_type.as_str(), merged))
}

fn answer(call: &Call, etag: &ETag, media_type: &str, merged: Vec<u8>) -> Response {
    if call.request.headers.prefers_representation() {
        Response::new(StatusCode::OK)
            .with_etag(etag)
            .with(CONTENT_TYPE, media_type)
            .with(PREFERENCE_APPLIED, "return=representation")
            .with_body(merged)
    } else {
        Response::new(StatusCode::NO_CONTENT).with_etag(etag)
    }
}

/// RFC 7396, section 2, word for word.
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
    fn the_examples_of_rfc_7396_appendix_a() {
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
    fn what_is_not_touched_keeps_its_numbers_and_its_order() {
        let data = r#"{"z":12345678901234567890123,"a":1.10,"e":1e+400,"m":[1.0,{"y":1,"b":2}]}"#;
        assert_eq!(merged(data, r#"{"new":1}"#), data.replace("}]}", r#"}],"new":1}"#));
    }
}
