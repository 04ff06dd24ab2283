//! Logs: JSON lines on standard output, which Lambda collects.

use std::error::Error;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Returns a subscriber that writes this crate's events at `level` and above, and the Lambda runtime's errors.
///
/// Other dependencies stay silent. The AWS SDK logs errors that can contain a request, and it returns all the
/// ones that matter anyway.
pub fn subscriber<W>(level: LevelFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    let levels = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target("lambda_runtime", level.min(LevelFilter::ERROR))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    tracing_subscriber::registry().with(levels).with(json)
}

/// Formats an error and all its sources.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
