//! A Lambda function from its start to its end.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use tracing::level_filters::LevelFilter;

use crate::api::{Api, Call, Event, Problem, Reply, Response, Route};
use crate::config::Config;
use crate::session::Timestamp;
use crate::{logging, store};

/// Answers requests with this function of the API until Lambda ends the process.
///
/// A configuration that does not do ends it at once, with one line that says why.
pub async fn run<F>(function: F) -> ExitCode
where
    F: AsyncFn(Route, &Call) -> Result<Response, Problem>,
{
    let config = Config::from_env();
    let level = config.as_ref().map_or(LevelFilter::ERROR, |config| config.log_level);
    let logs = logging::subscriber(level, std::io::stdout);
    // Nothing has set another one: this is the process's first act.
    let _ = tracing::subscriber::set_global_default(logs);
    let served = match config {
        Ok(config) => serve(function, &config).await,
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

async fn serve<F>(function: F, config: &Config) -> Result<(), Error>
where
    F: AsyncFn(Route, &Call) -> Result<Response, Problem>,
{
    let api = Api::new(store::client(&config.aws), config);
    let answer = async |event: LambdaEvent<Event>| -> Result<Reply, Error> {
        let LambdaEvent { payload, context } = event;
        Ok(api.answer(&function, payload, &context.request_id, Timestamp::now()).await)
    };
    lambda_runtime::run(service_fn(answer)).await
}
