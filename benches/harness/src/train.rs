//! Requests for profile-guided optimization. The functions must have been built to record a profile, which they write
//! when they exit.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;

use crate::Directories;
use crate::dynamodb::DynamoDb;
use crate::function::Function;
use crate::program::Programs;
use crate::session_data;
use crate::subject::{READ, event, set_body};

/// Cold starts of each function.
const STARTS: usize = 20;
/// Pages between two cold starts: each is a read, and every fifth also writes.
const PAGES: usize = 200;
/// Sizes of the session's data, in bytes.
const DATA_SIZES: [usize; 3] = [500, 2_000, 10_000];

#[derive(Args)]
pub(crate) struct Options {
    /// Directory of the session API's functions, as built by `cargo build`
    #[arg(long, value_name = "DIR")]
    functions: PathBuf,
}

/// Sends requests of every kind, most of them those of a page.
pub(crate) async fn run(options: Options) -> Result<()> {
    let functions = options.functions.canonicalize().context("no built functions")?;
    let directories = Directories { functions, ..Directories::default() };
    let dynamodb = DynamoDb::start(None).await?;
    let scratch = tempfile::tempdir()?;
    let programs = Programs::new(&directories, &dynamodb, scratch.path())?;
    for start in 1..=STARTS {
        println!("Training, cold start {start} of {STARTS}");
        let mut functions = HashMap::new();
        for name in crate::FUNCTIONS {
            functions.insert(name, programs.session_api(name).start(None).await?);
        }
        for bytes in DATA_SIZES {
            live(&mut functions, &session_data::json(bytes)?).await?;
        }
        for function in functions.into_values() {
            function.finish().await?;
        }
    }
    Ok(())
}

/// Lives one session, from its creation to its end.
async fn live(functions: &mut HashMap<&str, Function>, data: &str) -> Result<()> {
    let changed = data.replacen("de-DE", "en-IE", 1);
    let mut client = Client { functions, id: String::new() };
    let created = client.call("write", "POST /session", &[("session-user", "42")], data, 201);
    client.id = created.await?.id;
    for page in 0..PAGES / DATA_SIZES.len() {
        let etag = client.call("read", "GET /session", &[], "", 200).await?.etag;
        if page % 5 == 0 {
            let body = if page % 10 == 0 { &changed } else { data };
            client.call("write", "PUT /session", &[("if-match", &etag)], body, 204).await?;
            client.call("read", "GET /session", &[("if-none-match", &etag)], "", 200).await?;
            client.call("write", "PUT /session", &[("if-match", &etag)], body, 412).await?;
        }
        if page % 10 == 0 {
            client.call("write", "POST /session/touch", &[], "", 204).await?;
            let merge = ("content-type", "application/merge-patch+json");
            client.call("write", "PATCH /session", &[merge], r#"{"page":1}"#, 204).await?;
            let lock = client.call("write", "POST /session/lock", &[], "", 200).await?.lock;
            client.call("write", "POST /session/lock", &[], "", 423).await?;
            client.call("write", "PUT /session", &[("session-unlock", &lock)], data, 204).await?;
            client.id = client.call("write", "POST /session/rotate", &[], "", 200).await?.id;
            client.call("read", "GET /sessions", &[("session-user", "42")], "", 200).await?;
        }
    }
    client.call("destroy", "DELETE /session", &[], "", 204).await?;
    client.call("read", "GET /session", &[], "", 404).await?;
    client.call("read", "GET /session", &[("session-id", "short")], "", 400).await?;
    Ok(())
}

struct Client<'a, 'b> {
    functions: &'a mut HashMap<&'b str, Function>,
    id: String,
}

/// The headers of a response that later requests send.
struct Reply {
    etag: String,
    id: String,
    lock: String,
}

impl Client<'_, '_> {
    async fn call(
        &mut self,
        function: &str,
        route: &str,
        headers: &[(&str, &str)],
        body: &str,
        expected_status: u64,
    ) -> Result<Reply> {
        let event = event(READ, |event| {
            event["routeKey"] = route.into();
            event["headers"]["session-id"] = self.id.as_str().into();
            if ["POST /session", "GET /sessions"].contains(&route)
                && let Some(headers) = event["headers"].as_object_mut()
            {
                headers.remove("session-id");
            }
            event["headers"]["content-type"] = "application/json".into();
            if !body.is_empty() {
                set_body(event, body);
            }
            for (name, value) in headers {
                event["headers"][*name] = (*value).into();
            }
        })?;
        let function = self.functions.get_mut(function).context("no such function")?;
        let response = function.invoke(&event).await?;
        response.body(expected_status).with_context(|| route.to_owned())?;
        let response: Value = serde_json::from_slice(&response.into_payload())?;
        let header = |name| response["headers"][name].as_str().unwrap_or_default().to_owned();
        Ok(Reply { etag: header("etag"), id: header("session-id"), lock: header("session-lock") })
    }
}
