//! The API on a new table.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::engine;
use super::library::{Functions, handle};
use super::request::Request;
use super::routes::{CREATE, Example};

/// The DynamoDB client's time limits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeouts {
    /// The client's own, as on Lambda.
    Production,
    /// Short, to keep a test with many lost responses fast.
    #[allow(dead_code, reason = "only the histories use it")]
    Short,
    /// Long enough for a debug build that shares two cores with an engine. For tests that don't care how long an
    /// attempt takes.
    Long,
}

impl Timeouts {
    fn apply(self, settings: Builder) -> Builder {
        match self {
            Self::Production => settings,
            Self::Short => {
                let limits = TimeoutConfig::builder()
                    .operation_attempt_timeout(Duration::from_millis(150))
                    .operation_timeout(Duration::from_millis(700));
                settings.timeout_config(limits.build())
            }
            Self::Long => {
                let long = Duration::from_secs(60);
                let limits =
                    TimeoutConfig::builder().connect_timeout(long).operation_attempt_timeout(long);
                // Settings that we don't set here keep their values.
                settings.timeout_config(limits.disable_operation_timeout().build())
            }
        }
    }
}

/// Where the configuration differs from the default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    /// Sessions' absolute lifetime, in seconds; `None` for no limit.
    pub(super) max_lifetime: Option<u32>,
    /// Sessions' longest idle lifetime, in seconds; `None` for the default.
    pub(super) max_ttl: Option<u32>,
    /// One in this many successful requests is logged; `None` to log all.
    pub(super) log_sample: Option<u32>,
    /// Sessions created before this moment are revoked, given as the time since the Unix epoch.
    pub(super) revoked_before: Option<Duration>,
}

/// The API on a new table. By default, its clock stands still.
#[derive(Clone)]
pub(crate) struct App {
    functions: Arc<Functions>,
    table: String,
    calls: CallRecorder,
    start: Duration,
    time_limit: Duration,
    has_real_clock: bool,
}

impl App {
    /// Creates a table and an app on it with the default limits.
    pub(crate) async fn new() -> Self {
        Self::create(Options::default()).await
    }

    /// Creates a table and an app on it that limits how long sessions can live.
    pub(crate) async fn with_max_lifetime(seconds: u32) -> Self {
        Self::create(Options { max_lifetime: Some(seconds), ..Options::default() }).await
    }

    /// Creates a table and an app on it that logs one in this many successful requests.
    pub(crate) async fn with_log_sample(one_in: u32) -> Self {
        Self::create(Options { log_sample: Some(one_in), ..Options::default() }).await
    }

    /// Builds an app on the table with this name, which doesn't have to exist.
    pub(crate) fn connect(table: &str, endpoint: &str, timeouts: Timeouts) -> Self {
        Self::build(table, endpoint, timeouts, Options::default())
    }

    /// Builds an app on the same table and with the same clock, but with another connection to DynamoDB.
    pub(crate) fn connected_to(&self, endpoint: &str, timeouts: Timeouts) -> Self {
        let app = Self::build(&self.table, endpoint, timeouts, Options::default());
        Self { start: self.start, ..app }
    }

    /// Builds an app on the same table and with the same clock that revokes the sessions created before the moment
    /// `seconds` after the clock's time.
    pub(crate) fn revoked_before(&self, seconds: u64) -> Self {
        let moment = self.start + Duration::from_secs(seconds);
        let options = Options { revoked_before: Some(moment), ..Options::default() };
        let app = Self::build(&self.table, engine::endpoint(), Timeouts::Long, options);
        Self { start: self.start, ..app }
    }

    /// Builds an app on the same table and with the same clock but different limits, in seconds, as if a deployment
    /// had changed them.
    pub(crate) fn redeployed(&self, max_ttl: Option<u32>, max_lifetime: Option<u32>) -> Self {
        let options = Options { max_ttl, max_lifetime, ..Options::default() };
        let app = Self::build(&self.table, engine::endpoint(), Timeouts::Long, options);
        Self { start: self.start, ..app }
    }

    async fn create(options: Options) -> Self {
        let table = engine::create_table().await;
        Self::build(&table, engine::endpoint(), Timeouts::Long, options)
    }

    fn build(table: &str, endpoint: &str, timeouts: Timeouts, options: Options) -> Self {
        let calls = CallRecorder::default();
        // By default, all clients of a process share one retry quota.
        let retries = RetryPartition::custom("test").build();
        let configure =
            |settings| timeouts.apply(settings).interceptor(calls.clone()).retry_partition(retries);
        Self {
            functions: Arc::new(Functions::new(table, endpoint, options, configure)),
            table: table.to_owned(),
            calls: calls.clone(),
            // A whole second, so that sessions expire on time: expiry has a resolution of one second.
            start: Duration::from_secs(since_epoch().as_secs()),
            time_limit: Duration::from_secs(300),
            has_real_clock: false,
        }
    }

    /// Limits the time for each request, as Lambda does.
    pub(crate) fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Uses the system clock instead of one that stands still.
    pub(crate) fn with_real_clock(mut self) -> Self {
        self.has_real_clock = true;
        self
    }

    /// When requests arrive by default, as the time since the Unix epoch.
    pub(crate) fn start(&self) -> Duration {
        self.start
    }

    /// Formats the moment `seconds` after the clock's time, the way the API does.
    pub(crate) fn rfc3339(&self, seconds: u64) -> String {
        let timestamp = i64::try_from(self.start.as_secs() + seconds).unwrap();
        OffsetDateTime::from_unix_timestamp(timestamp).unwrap().format(&Rfc3339).unwrap()
    }

    /// Prepares a request, which is sent when it's awaited.
    pub(crate) fn send(&self, example: Example) -> Request {
        Request::new(self.clone(), example)
    }

    /// Creates a session and returns its id.
    pub(crate) async fn create_session(&self) -> String {
        let created = self.send(CREATE).await;
        assert_eq!(created.status, 201);
        created.header("Session-Id").to_owned()
    }

    /// Invokes a function, this long after the clock's time. Returns the response's payload.
    pub(super) async fn invoke(&self, function: &str, event: &Value, after: Duration) -> Value {
        let now = if self.has_real_clock { since_epoch() } else { self.start };
        self.functions.invoke(function, event, self.time_limit, now + after).await
    }

    /// Returns the DynamoDB operations sent since this method was last called, including retries.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.0.lock().unwrap())
    }

    /// Returns all items in the table, as stored.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let parameters = json!({ "TableName": self.table });
        let scanned = engine::call("Scan".into(), parameters).await.unwrap();
        scanned["Items"].as_array().unwrap().clone()
    }

    /// Returns the item for the session with this id, as stored.
    pub(crate) async fn item(&self, id: &str) -> Option<Value> {
        let handle = handle(id);
        self.items().await.into_iter().find(|item| item["id"]["S"] == handle)
    }

    /// Writes an item straight to the table, bypassing the API.
    pub(crate) async fn put_item(&self, item: Value) {
        let parameters = json!({ "TableName": self.table, "Item": item });
        engine::call("PutItem".into(), parameters).await.unwrap();
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// Counts the calls to one operation.
pub(crate) fn count(calls: &[String], operation: &str) -> usize {
    calls.iter().filter(|call| *call == operation).count()
}

/// Records the operations that a client sends, including retries.
#[derive(Debug, Clone, Default)]
struct CallRecorder(Arc<Mutex<Vec<String>>>);

impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
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
