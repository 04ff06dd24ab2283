//! What a client learns from a response.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::board::Board;
use crate::harness::Response;
use crate::operation::{Entry, Kind, Metadata, Operation, Origin, Outcome, Seen};

/// Reads a response other than `503`, and publishes what other operations may use.
pub(crate) fn outcome(board: &Board, operation: &Operation, response: &Response) -> Outcome {
    let seen = seen(board, operation, response);
    if response.status >= 400 {
        let reason = match (&seen.data, &operation.kind) {
            // The request asked for the data instead of the problem.
            (Some(_), Kind::Create(_)) => "412 session-exists".to_owned(),
            (Some(_), _) => "412 etag-mismatch".to_owned(),
            (None, _) => response.outcome(),
        };
        return Outcome::Refused(reason, seen);
    }
    board.etags.lock().unwrap().extend(seen.etag.clone());
    match operation.kind {
        Kind::Rotate { new, .. } => board.learn_id(new, response.header("Session-Id")),
        Kind::Post(_) => board.learn_id(operation.id, response.header("Session-Id")),
        Kind::Lock { renewed: None, .. } => {
            let token = response.header("Session-Lock").to_owned();
            board.tokens.lock().unwrap().push((operation.origin, token));
        }
        _ => {}
    }
    Outcome::Success(seen)
}

fn seen(board: &Board, operation: &Operation, response: &Response) -> Seen {
    let header = |name: &str| {
        let is_there = response.header_names().contains(&name);
        is_there.then(|| response.header(name).to_owned())
    };
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let is_json = header("Content-Type").as_deref() == Some("application/json");
    let is_of_users = matches!(operation.kind, Kind::List { .. } | Kind::RevokeAll { .. });
    let has_data = is_json && !is_of_users && !response.body.is_empty();
    Seen {
        data: has_data.then(|| members(&response.body)),
        etag: header("ETag"),
        ttl: header("Session-TTL").map(|seconds| seconds.parse().unwrap()),
        metadata: header("Session-Created").map(|_| Metadata {
            user: header("Session-User").map(|user| board.parse_user(&user)),
            label: header("Session-Label").map(|label| parse_label(&label)),
        }),
        destroyed: body["destroyed"].as_u64(),
        listed: body.as_array().map(|list| list.iter().map(entry).collect()),
    }
}

/// Returns the operations that made the data's members, in order.
fn members(data: &[u8]) -> Vec<Origin> {
    let text = std::str::from_utf8(data).unwrap();
    let members = text.trim_matches(['{', '}']).split(',');
    members.map(|member| member.split_once(':').unwrap().1.parse().unwrap()).collect()
}

fn parse_label(label: &str) -> Origin {
    label[1..].parse().unwrap()
}

fn entry(entry: &Value) -> Entry {
    let moment =
        |name: &str| OffsetDateTime::parse(entry[name].as_str().unwrap(), &Rfc3339).unwrap();
    Entry {
        handle: entry["handle"].as_str().unwrap().to_owned(),
        id: None,
        ttl: u64::try_from((moment("expires") - moment("used")).whole_seconds()).unwrap(),
        label: entry["label"].as_str().map(parse_label),
        is_current: entry["current"].as_bool().unwrap(),
    }
}
