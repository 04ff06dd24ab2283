//! Whether we know the outcome of an attempt to write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;

/// Whether DynamoDB told us the outcome of an attempt: that it succeeded, or that it wasn't applied.
///
/// A 4xx error means that nothing was written. A 5xx error, a timeout, a dropped connection, or a malformed
/// response tells us nothing: according to [DynamoDB's
/// documentation](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html),
/// the write may have succeeded even if it returned a 500.
fn is_reported(
    result: Option<Result<&Output, &OrchestratorError<Error>>>,
    response: Option<&HttpResponse>,
) -> bool {
    const REQUEST_TIMEOUT: u16 = 408;
    match result {
        Some(Ok(_)) => true,
        Some(Err(_)) => {
            let status = response.map(|response| response.status().as_u16());
            status.is_some_and(|s| (400..500).contains(&s) && s != REQUEST_TIMEOUT)
        }
        None => false,
    }
}

/// Counts a call's attempts with unknown outcomes.
#[derive(Debug, Clone, Default)]
pub(super) struct UnknownOutcomes(Arc<AtomicUsize>);

impl UnknownOutcomes {
    /// Whether an attempt may have been applied without DynamoDB telling us.
    pub(super) fn exist(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Intercept for UnknownOutcomes {
    fn name(&self) -> &'static str {
        "UnknownOutcomes"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_reported(context.output_or_error(), context.response()) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Forbids retries after an attempt with an unknown outcome.
#[derive(Debug)]
pub(super) struct NoRetryInDoubt;

impl ClassifyRetry for NoRetryInDoubt {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        if is_reported(context.output_or_error(), context.response()) {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::RetryForbidden
        }
    }

    fn name(&self) -> &'static str {
        "NoRetryInDoubt"
    }
}
