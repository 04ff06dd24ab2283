//! A Lambda function's lifecycle: init, requests, time limits.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;

use crate::api::{Api, Event, Function, Invocation};
use crate::config::Config;
use crate::logging;
use crate::session::Timestamp;
use crate::store;

/// How much of the function's time limit is reserved for sending the response.
const RESPONSE_MARGIN: Duration = Duration::from_millis(200);

/// Lambda's longest time limit for a function. Assumed if an invocation's deadline has already passed when it starts:
/// some emulators send a duration instead of a point in time.
const MAX_LAMBDA_TIMEOUT: Duration = Duration::from_secs(900);

/// Connects to DynamoDB, then serves requests as this function until Lambda ends the process.
///
/// If the configuration is invalid, it exits immediately with a one-line error.
pub async fn run(function: Function) -> ExitCode {
    let config = Config::from_env().await;
    let level = config.as_ref().map_or(LevelFilter::ERROR, |config| config.log_level);
    let logs = logging::subscriber(level, std::io::stdout);
    // Can't fail: nothing else sets a subscriber.
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

async fn serve(function: Function, config: &Config) -> Result<(), Error> {
    let api = Api::new(store::client(&config.aws), config);
    if let Err(error) = api.warm_up().await {
        tracing::warn!(cause = %logging::chain(&error), "DynamoDB was not reached at init");
    }
    // Keep the payload raw: if the runtime couldn't parse a payload, its error response would quote it.
    let respond =
        async |event: LambdaEvent<Box<RawValue>>| -> Result<ApiGatewayV2httpResponse, Error> {
            let LambdaEvent { payload, context } = event;
            let invocation = Invocation {
                request_id: &context.request_id,
                version: &context.env_config.version,
                time: time_limit(context.deadline(), SystemTime::now()),
            };
            let event = Event::read(&payload);
            Ok(api.respond(function, event, invocation, Timestamp::now()).await)
        };
    lambda_runtime::run(service_fn(respond)).await
}

/// Returns how long we have to come up with a response.
fn time_limit(deadline: SystemTime, now: SystemTime) -> Duration {
    deadline.duration_since(now).unwrap_or(MAX_LAMBDA_TIMEOUT).saturating_sub(RESPONSE_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limit_leaves_time_to_send_the_response() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let ms = Duration::from_millis;
        assert_eq!(time_limit(now + ms(5_000), now), ms(4_800));
        assert_eq!(time_limit(now + ms(100), now), Duration::ZERO);
        assert_eq!(time_limit(now - ms(1), now), ms(899_800));
    }
}
