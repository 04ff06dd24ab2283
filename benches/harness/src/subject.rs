//! What is measured: the session API's functions, the floor below them, and their peers, all with the
//! same session.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use serde_json::{Value, json};

use crate::dynamodb::{DynamoDb, TABLE};
use crate::function::Function;
use crate::program::{Program, Programs};
use crate::session_data;

/// API Gateway's events.
pub(crate) const CREATE: &str = include_str!("../../../events/create-with-id.json");
pub(crate) const READ: &str = include_str!("../../../events/read.json");
pub(crate) const REPLACE: &str = include_str!("../../../events/replace.json");
pub(crate) const TOUCH: &str = include_str!("../../../events/touch.json");
pub(crate) const DESTROY: &str = include_str!("../../../events/destroy.json");
/// The session id in them.
pub(crate) const ID: &str = "events-example-id-0123456789abcdefghijklmnop";

/// The bytes of the session that all functions read and write.
const SESSION_BYTES: usize = 2_000;

/// The names of the subjects, by which the results find what they compare.
pub(crate) mod name {
    pub(crate) const READ: &str = "session-api, read";
    pub(crate) const WRITE: &str = "session-api, write";
    pub(crate) const HELLO: &str = "hello world";
    pub(crate) const BARE: &str = "bare GetItem, lean";
    pub(crate) const BARE_DEFAULTS: &str = "bare GetItem, SDK defaults";
    pub(crate) const NODE_READ: &str = "Node, read";
    pub(crate) const NODE_WRITE: &str = "Node, write";
    pub(crate) const PYTHON_READ: &str = "Python, read";
    pub(crate) const PYTHON_WRITE: &str = "Python, write";
}

/// A function with the event that it is fed and the answer that is expected of it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    event: Bytes,
    status: u64,
    body: Option<String>,
}

impl Subject {
    /// All of them.
    pub(crate) fn all(programs: &Programs<'_>, has_peers: bool) -> Result<Vec<Self>> {
        let data = session_data::json(SESSION_BYTES)?;
        let read_event = event(READ, |_| ())?;
        let write_event = event(REPLACE, |event| set_body(event, &data))?;
        let with = |name, program, event: &Bytes, status, body| Self {
            name,
            program,
            event: event.clone(),
            status,
            body,
        };
        let read = |name, program| with(name, program, &read_event, 200, Some(data.clone()));
        let write = |name, program| with(name, program, &write_event, 204, None);
        let mut all = vec![
            read(name::READ, programs.session_api("read")),
            write(name::WRITE, programs.session_api("write")),
            with(name::HELLO, programs.floor("hello"), &read_event, 200, None),
            read(name::BARE, programs.floor("get-item")),
            read(name::BARE_DEFAULTS, programs.floor_with_system_roots("get-item-defaults")),
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

    /// Has the function answer its event, and checks the answer.
    pub(crate) async fn invoke(&self, function: &mut Function) -> Result<Duration> {
        let answer = function.invoke(&self.event).await.with_context(|| self.name)?;
        let body = answer.body(self.status).context(self.name)?;
        ensure!(self.body.as_ref().is_none_or(|data| *data == body), "{}: other data", self.name);
        Ok(answer.took)
    }
}

/// Makes the session that all work on, twice: sealed, by the API itself, and as it is, under the bare
/// id, for all others.
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
    });
    dynamodb.call("PutItem", json!({ "TableName": TABLE, "Item": item })).await?;
    let mut write = programs.session_api("write").start(None).await?;
    let create = event(CREATE, |event| set_body(event, &data))?;
    if let Err(error) = write.invoke(&create).await?.body(201) {
        return Err(error.context(write.log_line().await?));
    }
    write.stop().await
}

/// An event with something about it changed.
pub(crate) fn event(text: &str, change: impl FnOnce(&mut Value)) -> Result<Bytes> {
    let mut event = serde_json::from_str(text)?;
    change(&mut event);
    Ok(event.to_string().into())
}

/// Gives an event another body.
pub(crate) fn set_body(event: &mut Value, body: &str) {
    event["body"] = body.into();
}
