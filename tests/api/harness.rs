//! An app of the tests' own: a fresh table, the three functions over it, and requests to them.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    Builder, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::{Client, Config as ClientConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use session_api::api::{self, Api, Event, Invocation};
use session_api::config::{Config, Limits, http_client, sdk_config};
use session_api::session::Timestamp;
use session_api::store;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use tracing::level_filters::LevelFilter;

use crate::table;

/// The events that API Gateway sends, one per route.
pub(crate) const CREATE: &str = include_str!("../../events/create.json");
pub(crate) const CREATE_WITH_ID: &str = include_str!("../../events/create-with-id.json");
pub(crate) const READ: &str = include_str!("../../events/read.json");
pub(crate) const HEAD: &str = include_str!("../../events/head.json");
pub(crate) const REPLACE: &str = include_str!("../../events/replace.json");
pub(crate) const TOUCH: &str = include_str!("../../events/touch.json");
pub(crate) const PATCH: &str = include_str!("../../events/patch.json");
pub(crate) const ROTATE: &str = include_str!("../../events/rotate.json");
pub(crate) const LOCK: &str = include_str!("../../events/lock.json");
pub(crate) const UNLOCK: &str = include_str!("../../events/unlock.json");
pub(crate) const LIST: &str = include_str!("../../events/list.json");
pub(crate) const REVOKE_ALL: &str = include_str!("../../events/revoke-all.json");
pub(crate) const REVOKE: &str = include_str!("../../events/revoke.json");
pub(crate) const DESTROY: &str = include_str!("../../events/destroy.json");

/// All of them.
pub(crate) const ALL: [&str; 14] = [
    CREATE,
    CREATE_WITH_ID,
    READ,
    HEAD,
    REPLACE,
    PATCH,
    TOUCH,
    ROTATE,
    LOCK,
    UNLOCK,
    LIST,
    REVOKE_ALL,
    REVOKE,
    DESTROY,
];

/// The session id in the events.
pub(crate) const EVENTS_ID: &str = "events-example-id-0123456789abcdefghijklmnop";

/// An id that no other session of a test has.
pub(crate) fn new_id() -> String {
    session_api::session::SessionId::generate().unwrap().expose().to_owned()
}

/// Where the engine is that the tests run over.
pub(crate) fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| std::env::var("DYNAMODB_ENDPOINT").unwrap_or_else(|_| embedded()))
}

/// Serves an embedded engine for as long as the tests run, which is longer than any one's runtime.
fn embedded() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()).await;
        });
    });
    endpoint
}

/// What the line of a request's head that names the operation begins with.
pub(crate) const TARGET: &str = "x-amz-target: DynamoDB_20120810.";

/// The lines of an HTTP request's head, and its body; `None` where the connection ends.
pub(crate) async fn read_request(
    connection: &mut (impl AsyncBufRead + Unpin),
) -> Option<(Vec<String>, Vec<u8>)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok().filter(|&read| read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = bytes.parse().ok()?;
        }
        head.push(line.to_owned());
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// What the functions would find in their environment.
pub(crate) fn aws(endpoint: &str) -> SdkConfig {
    let region = Region::from_static("us-east-1");
    let credentials = Credentials::new("local", "local", None, None, "test");
    let http_client = http_client(&region, None);
    sdk_config(region, credentials, http_client, Some(endpoint.to_owned()))
}

/// A configuration with the contract's defaults.
pub(crate) fn config(table: &str, endpoint: &str) -> Config {
    Config {
        table: table.into(),
        limits: Limits {
            default_ttl: Duration::from_secs(86_400),
            max_ttl: Duration::from_secs(2_592_000),
            max_lifetime: None,
        },
        aws: aws(endpoint),
        log_level: LevelFilter::INFO,
    }
}

/// Time limits for a debug build that shares two cores with an engine: what the tests are after is
/// not how long an attempt may take.
pub(crate) fn unhurried(settings: Builder) -> Builder {
    let long = Duration::from_secs(60);
    let limits = TimeoutConfig::builder().connect_timeout(long).operation_attempt_timeout(long);
    // What is left out here stays as it was set before.
    settings.timeout_config(limits.disable_operation_timeout().build())
}

/// The API over a table of its own.
#[derive(Clone)]
pub(crate) struct App {
    api: Arc<Api>,
    table: String,
    wire: Wire,
    now: Timestamp,
    time: Duration,
    by_the_clock: bool,
}

impl App {
    /// With the contract's defaults.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other limits.
    pub(crate) async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let table = format!("sessions-{}", new_id().replace(',', "-"));
        let name = table.clone();
        tokio::task::spawn_blocking(move || table::create(endpoint(), &name))
            .await
            .unwrap()
            .unwrap();
        let mut config = config(&table, endpoint());
        change(&mut config.limits);
        Self::over(unhurried(store::settings(&config.aws)), config)
    }

    /// With a client of the test's own.
    pub(crate) fn over(settings: Builder, config: Config) -> Self {
        let wire = Wire::default();
        // By default all clients of a process share how many retries they may spend.
        let retries = RetryPartition::custom("test").build();
        let settings = settings.interceptor(wire.clone()).retry_partition(retries);
        let client: ClientConfig = settings.build();
        Self {
            api: Arc::new(Api::new(Client::from_conf(client), &config)),
            table: config.table,
            wire,
            // The start of a second, so that none passes while a test looks at its edge.
            now: Timestamp::from_seconds(Timestamp::now().seconds()),
            time: Duration::from_secs(300),
            by_the_clock: false,
        }
    }

    /// A request as in this event, to be changed where the test needs it.
    pub(crate) fn send(&self, event: &str) -> Exchange {
        let app = self.clone();
        Exchange { app, event: serde_json::from_str(event).unwrap(), after: 0 }
    }

    /// A session under an id of its own, made of the event; gives the id.
    pub(crate) async fn session(&self) -> String {
        let answer = self.send(CREATE).await;
        assert_eq!(answer.status, 201);
        answer.header("Session-Id").to_owned()
    }

    /// With a time limit for each request, as a function has.
    pub(crate) fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// With the machine's clock in place of one that stands still.
    pub(crate) fn by_the_clock(mut self) -> Self {
        self.by_the_clock = true;
        self
    }

    /// When the app's first request arrives.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// What went over the wire to DynamoDB since this was asked last.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.wire.0.lock().unwrap())
    }

    /// Every item of the table, as the engine has it.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let scanned = self.dynamodb("Scan", json!({ "TableName": self.table })).await;
        scanned["Items"].as_array().unwrap().clone()
    }

    /// Writes an item behind the API's back.
    pub(crate) async fn put_item(&self, item: Value) {
        self.dynamodb("PutItem", json!({ "TableName": self.table, "Item": item })).await;
    }

    async fn dynamodb(&self, operation: &'static str, parameters: Value) -> Value {
        let call = move || table::call(endpoint(), operation, &parameters);
        tokio::task::spawn_blocking(call).await.unwrap().unwrap()
    }
}

/// A request that is sent when it is awaited.
pub(crate) struct Exchange {
    app: App,
    event: Value,
    after: i64,
}

impl Exchange {
    pub(crate) fn id(self, id: &str) -> Self {
        self.header("session-id", id)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.event["headers"][name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.event["headers"].as_object_mut().unwrap().remove(name);
        self
    }

    /// With this body, as API Gateway hands it over: text as it is, anything else as base64.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        if let Some(length) = self.event["headers"].get_mut("content-length") {
            *length = body.len().to_string().into();
        }
        let text = std::str::from_utf8(body);
        self.event["isBase64Encoded"] = text.is_err().into();
        self.event["body"] = text.map_or_else(|_| STANDARD.encode(body), str::to_owned).into();
        self
    }

    /// So many seconds after the app's first request.
    pub(crate) fn after(mut self, seconds: i64) -> Self {
        self.after = seconds;
        self
    }

    /// To the session of this handle.
    pub(crate) fn handle(self, handle: &str) -> Self {
        let path = format!("/sessions/{handle}");
        self.event(|event| {
            event["rawPath"] = path.clone().into();
            event["requestContext"]["http"]["path"] = path.into();
        })
    }

    /// With a change to the event itself.
    pub(crate) fn event(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.event);
        self
    }

    async fn answer(self) -> Answer {
        let Self { app, event, after } = self;
        // Routed as the template routes, to one function.
        let http = &event["requestContext"]["http"];
        let method = http["method"].as_str().unwrap_or("GET").to_owned();
        let path = http["path"].as_str().unwrap_or("/session").to_owned();
        let instance = event["requestContext"]["requestId"].as_str().filter(|id| is_instance(id));
        let instance = instance.map(str::to_owned);
        let event = Event::read(&serde_json::value::to_raw_value(&event).unwrap());
        let now = if app.by_the_clock { Timestamp::now() } else { app.now };
        let now = Timestamp::from_millis(now.millis().checked_add_signed(after * 1000).unwrap());
        let request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
        let invocation = Invocation { request_id, version: "7", time: app.time };
        let reply = match (method.as_str(), path.as_str()) {
            ("GET" | "HEAD", _) => app.api.respond(api::read, event, invocation, now).await,
            (_, "/session/rotate") => app.api.respond(api::rotate, event, invocation, now).await,
            (_, "/session/lock") => app.api.respond(api::write, event, invocation, now).await,
            ("DELETE", _) => app.api.respond(api::destroy, event, invocation, now).await,
            _ => app.api.respond(api::write, event, invocation, now).await,
        };
        Answer::read(serde_json::to_value(reply).unwrap(), method == "HEAD", instance.as_deref())
    }
}

impl IntoFuture for Exchange {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answer())
    }
}

/// Whether a problem may repeat this request id.
fn is_instance(id: &str) -> bool {
    let alphabet = |c: char| c.is_ascii_alphanumeric() || "_=-".contains(c);
    (1..=64).contains(&id.len()) && id.chars().all(alphabet)
}

/// Headers that a response may have.
const KNOWN: [&str; 13] = [
    "Accept-Encoding",
    "Accept-Patch",
    "Cache-Control",
    "Content-Type",
    "ETag",
    "Preference-Applied",
    "Retry-After",
    "Session-Created",
    "Session-Expires",
    "Session-Id",
    "Session-Lock",
    "Session-TTL",
    "Session-User",
];

/// An answer, decoded as API Gateway would.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) is_text: bool,
    headers: BTreeMap<String, String>,
}

impl Answer {
    /// Reads the payload, and checks what holds for every answer whatever was asked.
    fn read(payload: Value, is_head: bool, instance: Option<&str>) -> Self {
        let headers: BTreeMap<String, String> =
            serde_json::from_value(payload["headers"].clone()).unwrap();
        // The payload has names in lower case, the tests have those of the documents.
        let documented = |name: String| {
            let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&name));
            known.map_or(name, |known| (*known).to_owned())
        };
        let headers = headers.into_iter().map(|(name, value)| (documented(name), value)).collect();
        let body = payload["body"].as_str().unwrap();
        let is_text = !payload["isBase64Encoded"].as_bool().unwrap();
        let body = if is_text { body.as_bytes().to_vec() } else { STANDARD.decode(body).unwrap() };
        let status = u16::try_from(payload["statusCode"].as_u64().unwrap()).unwrap();
        let answer = Self { status, body, is_text, headers };

        assert_eq!(answer.header("Cache-Control"), "no-store");
        for name in answer.headers.keys() {
            assert!(KNOWN.contains(&name.as_str()), "{name}");
        }
        if matches!(status, 201 | 204 | 304) || is_head && status < 400 {
            assert!(answer.body.is_empty(), "{answer:?}");
        }
        let retry = matches!(status, 423 | 503);
        assert_eq!(answer.headers.contains_key("Retry-After"), retry, "{answer:?}");
        // A preference for the data that won takes the place of a problem.
        if status >= 400 && !answer.headers.contains_key("Preference-Applied") {
            assert_eq!(answer.header("Content-Type"), "application/problem+json");
            let problem: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(problem["status"], status);
            assert_eq!(problem.get("instance").map(|id| id.as_str().unwrap()), instance);
            assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.keys().map(String::as_str).collect()
    }

    /// The code of the problem that it tells, `""` where it tells none.
    pub(crate) fn problem(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = problem["type"].as_str().and_then(|t| t.strip_prefix("urn:session-api:"));
        code.unwrap_or_default().to_owned()
    }

    /// Status and problem in one, as in `404 session-not-found`.
    pub(crate) fn outcome(&self) -> String {
        format!(
            "{} {}",
            self.status,
            if self.status < 400 { String::new() } else { self.problem() }
        )
        .trim_end()
        .to_owned()
    }
}

/// Sends all at once, on as many threads as there are.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Exchange>) -> Vec<Answer> {
    let tasks: Vec<_> = requests.into_iter().map(|r| tokio::spawn(r.into_future())).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// How many of the calls are of this operation.
pub(crate) fn count(calls: &[String], operation: &str) -> usize {
    calls.iter().filter(|call| *call == operation).count()
}

/// The operations that went over the wire, retries included.
#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<Vec<String>>>);

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        self.0.lock().unwrap().push(operation.to_owned());
        Ok(())
    }
}
