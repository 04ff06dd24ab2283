//! The functions to measure: the session API's, the floor's minimal ones, and the peers. They all
//! process the same session data.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use serde_json::{Value, json};

use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::program::{Program, Programs};
use crate::session_data;

/// API Gateway's events.
pub(crate) const CREATE: &str = include_str!("../../../events/create.json");
pub(crate) const READ: &str = include_str!("../../../events/read.json");
pub(crate) const REPLACE: &str = include_str!("../../../events/replace.json");
pub(crate) const DESTROY: &str = include_str!("../../../events/destroy.json");
/// The session id in these events.
pub(crate) const ID: &str = "events-example-id-0123456789abcdefghijklmnop";

/// Size of the session data that all functions read or write, in bytes.
const SESSION_BYTES: usize = 2_000;

/// Names of the subjects in the results, which the targets and the chart refer to.
pub(crate) mod name {
    pub(crate) const READ: &str = "session-api, read";
    pub(crate) const WRITE: &str = "session-api, write";
    pub(crate) const PLAIN_READ: &str = "session-api, read, without a profile";
    pub(crate) const PLAIN_WRITE: &str = "session-api, write, without a profile";
    pub(crate) const HELLO: &str = "hello world";
    pub(crate) const GET_ITEM: &str = "bare GetItem, lean";
    pub(crate) const GET_ITEM_DEFAULTS: &str = "bare GetItem, SDK defaults";
    pub(crate) const UPDATE_ITEM: &str = "bare UpdateItem, lean";
    pub(crate) const UPDATE_ITEM_ONCE: &str = "bare UpdateItem, lean, with write ids";
    pub(crate) const NODE_READ: &str = "Node, read";
    pub(crate) const NODE_WRITE: &str = "Node, write";
    pub(crate) const PYTHON_READ: &str = "Python, read";
    pub(crate) const PYTHON_WRITE: &str = "Python, write";
}

/// A function, the event that it receives, and the expected response.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    event: Bytes,
    expected_status: u64,
    expected_body: Option<String>,
}

impl Subject {
    /// Returns all subjects.
    pub(crate) fn all(programs: &Programs<'_>, has_peers: bool) -> Result<Vec<Self>> {
        let data = session_data::json(SESSION_BYTES)?;
        let read_event = event(READ, |_| ())?;
        let write_event = event(REPLACE, |event| set_body(event, &data))?;
        let subject = |name, program, event: &Bytes, expected_status, expected_body| Self {
            name,
            program,
            event: event.clone(),
            expected_status,
            expected_body,
        };
        let read = |name, program| subject(name, program, &read_event, 200, Some(data.clone()));
        let write = |name, program| subject(name, program, &write_event, 204, None);
        let mut all = vec![
            read(name::READ, programs.session_api("read")),
            write(name::WRITE, programs.session_api("write")),
            read(name::PLAIN_READ, programs.plain_session_api("read")),
            write(name::PLAIN_WRITE, programs.plain_session_api("write")),
            subject(name::HELLO, programs.floor("hello"), &read_event, 200, None),
            read(name::GET_ITEM, programs.floor("get-item")),
            read(name::GET_ITEM_DEFAULTS, programs.floor_with_system_roots("get-item-defaults")),
            write(name::UPDATE_ITEM, programs.floor("update-item")),
            write(name::UPDATE_ITEM_ONCE, programs.floor_with_argument("update-item", "write-ids")),
        ];
        if has_peers {
            all.extend([
                read(name::NODE_READ, programs.node("handler.read")),
                write(name::NODE_WRITE, programs.node("handler.write")),
                read(name::PYTHON_READ, programs.python("handler.read")),
                write(name::PYTHON_WRITE, programs.python("handler.write")),
            ]);
        }
        Ok(all)
    }

    /// Sends the event, checks the response, and returns how long it took.
    pub(crate) async fn invoke(&self, function: &mut Function) -> Result<Duration> {
        let response = function.invoke(&self.event).await.context(self.name)?;
        let body = response.body(self.expected_status).context(self.name)?;
        let is_expected = self.expected_body.as_ref().is_none_or(|expected| *expected == body);
        ensure!(is_expected, "{}: unexpected body", self.name);
        Ok(response.duration)
    }
}

/// Creates two sessions with the same data: one through the session API, which encrypts it, and an
/// unencrypted one for all other functions, under the session id itself.
pub(crate) async fn prepare(programs: &Programs<'_>, dynamodb: &DynamoDb) -> Result<()> {
    let data = session_data::json(SESSION_BYTES)?;
    let item = json!({
        "id": { "S": ID },
        "expires": { "N": "4102444800" },
        "ttl": { "N": "86400" },
        "data": { "S": data },
        "type": { "S": "application/json" },
        "etag": { "S": "AAAAAAAAAAAAAAAAAAAAAA" },
        "created": { "N": "1795514400000" },
        "w0": { "S": "-" },
        "w1": { "S": "-" },
        "w2": { "S": "-" },
        "w3": { "S": "-" },
    });
    dynamodb.call("PutItem", json!({ "TableName": TABLE, "Item": item })).await?;
    let mut write = programs.session_api("write").start(None).await?;
    let create = event(CREATE, |event| set_body(event, &data))?;
    if let Err(error) = write.invoke(&create).await?.body(201) {
        return Err(error.context(write.log_line().await?));
    }
    write.stop().await
}

/// Parses an event and applies a change to it.
pub(crate) fn event(text: &str, change: impl FnOnce(&mut Value)) -> Result<Bytes> {
    let mut event = serde_json::from_str(text)?;
    change(&mut event);
    Ok(event.to_string().into())
}

/// Replaces the body of an event.
pub(crate) fn set_body(event: &mut Value, body: &str) {
    event["body"] = body.into();
    event["headers"]["content-length"] = body.len().to_string().into();
}
