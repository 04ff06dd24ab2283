//! A Lambda function from its start to its end.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;

use crate::api::{Api, Call, Event, Invocation, Problem, Reply, Response, Route};
use crate::config::Config;
use crate::session::Timestamp;
use crate::store::FirstCall;
use crate::{logging, store};

/// What an answer needs of the function's time limit to get out.
const ANSWERING: Duration = Duration::from_millis(200);

/// The longest that a function may run at all: the time of an invocation whose deadline has passed
/// before it began, as in emulators that tell a duration where Lambda tells a moment.
const LONGEST: Duration = Duration::from_secs(900);

/// Answers requests with this function of the API until Lambda ends the process, over a connection
/// that this call has made first.
///
/// A configuration that does not do ends it at once, with one line that says why.
pub async fn run<F>(function: F, first_call: FirstCall) -> ExitCode
where
    F: AsyncFn(Route, &Call) -> Result<Response, Problem>,
{
    let config = Config::from_env().await;
    let level = config.as_ref().map_or(LevelFilter::ERROR, |config| config.log_level);
    let logs = logging::subscriber(level, std::io::stdout);
    // Nothing has set another one: this is the process's first act.
    let _ = tracing::subscriber::set_global_default(logs);
    let served = match config {
        Ok(config) => serve(function, first_call, &config).await,
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve<F>(function: F, first_call: FirstCall, config: &Config) -> Result<(), Error>
where
    F: AsyncFn(Route, &Call) -> Result<Response, Problem>,
{
    let api = Api::new(store::client(&config.aws), config);
    if let Err(error) = api.connect(first_call).await {
        tracing::warn!(cause = %logging::chain(&error), "DynamoDB was not reached at init");
    }
    // A raw value: what is no event is answered here, and not by an error of the runtime's that quotes it.
    let answer = async |event: LambdaEvent<Box<RawValue>>| -> Result<Reply, Error> {
        let LambdaEvent { payload, context } = event;
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or(LONGEST);
        let time = left.saturating_sub(ANSWERING);
        let invocation = Invocation {
            request_id: &context.request_id,
            version: &context.env_config.version,
            time,
        };
        let event = Event::read(&payload);
        Ok(api.answer(&function, event, invocation, Timestamp::now()).await)
    };
    lambda_runtime::run(service_fn(answer)).await
}
