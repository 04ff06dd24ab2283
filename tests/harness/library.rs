//! The library under test. This is the only file in these tests that uses it.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, Credentials, Region};
use serde_json::Value;
use session_api::api::{Api, Event, Function, Invocation, ROUTES, Route};
use session_api::config::{Config, http_client, sdk_config};
use session_api::logging;
use session_api::session::{Limits, SessionId, Timestamp};
use session_api::store;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::app::Options;

/// The Lambda functions, sharing one configuration.
pub(super) struct Functions(Api);

impl Functions {
    /// Builds the functions on `table` with the default configuration, except for `options`. `configure` changes the
    /// DynamoDB client's settings.
    pub(super) fn new(
        table: &str,
        endpoint: &str,
        options: Options,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let config = Config {
            table: table.into(),
            limits: Limits {
                default_ttl: Duration::from_secs(86_400),
                max_ttl: Duration::from_secs(options.max_ttl.unwrap_or(34_560_000).into()),
                max_lifetime: options
                    .max_lifetime
                    .map(|seconds| Duration::from_secs(seconds.into())),
                revoked_before: options.revoked_before.map(timestamp),
            },
            aws: aws(endpoint),
            log_level: LevelFilter::INFO,
            log_sample: options.log_sample.unwrap_or(1),
        };
        let client = Client::from_conf(configure(store::settings(&config.aws)).build());
        Self(Api::new(client, &config))
    }

    /// Invokes a function with an event that arrives at `now`, the time since the Unix epoch. Returns the payload
    /// that Lambda would return.
    pub(super) async fn invoke(
        &self,
        function: &str,
        event: &Value,
        time_limit: Duration,
        now: Duration,
    ) -> Value {
        let Self(api) = self;
        let event = Event::read(&serde_json::value::to_raw_value(event).unwrap());
        let now = timestamp(now);
        let request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
        let invocation = Invocation { request_id, version: "7", time: time_limit };
        let function = match function {
            "read" => Function::Read,
            "write" => Function::Write,
            "destroy" => Function::Destroy,
            unknown => panic!("no function {unknown}"),
        };
        serde_json::to_value(api.respond(function, event, invocation, now).await).unwrap()
    }
}

/// The moment at this time since the Unix epoch.
fn timestamp(time: Duration) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.as_millis()).unwrap())
}

/// What a function would read from its environment on Lambda.
fn aws(endpoint: &str) -> SdkConfig {
    let region = Region::from_static("us-east-1");
    let credentials = Credentials::new("local", "local", None, None, "test");
    let http_client = http_client(&region, None);
    sdk_config(region, credentials, http_client, Some(endpoint.to_owned()))
}

pub(crate) fn new_id() -> String {
    SessionId::generate().unwrap().expose().to_owned()
}

/// The handle of the session with this id.
pub(crate) fn handle(id: &str) -> String {
    SessionId::parse(id).unwrap().handle().as_str().to_owned()
}

/// A subscriber that logs the way the functions do.
pub(super) fn log_subscriber<W>(
    level: LevelFilter,
    writer: W,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    logging::subscriber(level, writer)
}

/// A route's key, function, and headers.
pub(crate) type Row = (String, String, BTreeSet<String>);

pub(crate) fn table_of_routes() -> Vec<Row> {
    let lower = |name: &&str| name.to_lowercase();
    let row = |route: &Route| {
        let function = format!("{:?}", route.function).to_lowercase();
        (route.key.to_owned(), function, route.headers.iter().map(lower).collect())
    };
    ROUTES.iter().map(row).collect()
}
