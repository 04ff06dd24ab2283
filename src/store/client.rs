//! The DynamoDB client: its time limits and retries.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Config, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::error::is_canceled_temporarily;
use super::outcome::NoRetryInDoubt;

/// Time limit for one attempt. DynamoDB responds in single-digit milliseconds, so an attempt that takes this long
/// is lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(700);
/// Time limit for one operation: all its attempts and the waits between them. It's well within the functions' time
/// limits in template.yaml, so that the function itself can report the failure.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The same limits for a transaction. DynamoDB recommends at least 1 s per attempt, so that fewer retries arrive
/// while the first attempt is still in progress.
const TRANSACTION_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
const TRANSACTION_OPERATION_TIMEOUT: Duration = Duration::from_millis(5_000);
/// With the SDK's backoff starting at `INITIAL_BACKOFF`, three attempts fit into an operation.
const MAX_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);

/// Returns a client with the API's time limits and retries. Doesn't call DynamoDB yet.
pub fn client(aws: &SdkConfig) -> Client {
    Client::from_conf(settings(aws).build())
}

/// Returns the settings for [`client`], for callers that want to add to them.
pub fn settings(aws: &SdkConfig) -> Builder {
    Builder::from(aws)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(MAX_ATTEMPTS)
                .with_initial_backoff(INITIAL_BACKOFF),
        )
        .retry_classifier(TransactionRetries)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        // Attempts have a time limit, which makes this protection redundant.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// Returns settings that raise the client's time limits for a transaction. Limits that are already higher, or not set
/// at all, stay that way. So do all other settings, and the client's connections.
pub(super) fn transaction_settings(client: &Config) -> Builder {
    let limits = client.timeout_config();
    let attempt = limits.and_then(TimeoutConfig::operation_attempt_timeout);
    let operation = limits.and_then(TimeoutConfig::operation_timeout);
    let mut longer = TimeoutConfig::builder();
    longer
        .set_operation_attempt_timeout(attempt.map(|own| own.max(TRANSACTION_ATTEMPT_TIMEOUT)))
        .set_operation_timeout(operation.map(|own| own.max(TRANSACTION_OPERATION_TIMEOUT)));
    Builder::new().timeout_config(longer.build())
}

/// Returns settings for a call that must not be retried after an attempt with an unknown outcome. They don't change any
/// of the client's other settings.
pub(super) fn creation_settings() -> Builder {
    Builder::new().retry_classifier(NoRetryInDoubt)
}

/// Has the SDK retry writes that collided with a rotation's transaction, which is over within milliseconds. The
/// SDK must not retry a transaction that's still in progress: [`super::transaction`] does that, with longer waits.
#[derive(Debug)]
struct TransactionRetries;

impl ClassifyRetry for TransactionRetries {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let Some(error) = error else {
            return RetryAction::NoActionIndicated;
        };
        let is_conflict = has_code(error.downcast_ref::<UpdateItemError>())
            || has_code(error.downcast_ref::<PutItemError>())
            || has_code(error.downcast_ref::<DeleteItemError>())
            || error.downcast_ref().is_some_and(should_retry_canceled);
        let is_in_progress = error
            .downcast_ref()
            .is_some_and(TransactWriteItemsError::is_transaction_in_progress_exception);
        if is_conflict {
            RetryAction::transient_error()
        } else if is_in_progress {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "TransactionRetries"
    }
}

fn has_code<E: ProvideErrorMetadata>(error: Option<&E>) -> bool {
    error.is_some_and(|error| error.code() == Some("TransactionConflictException"))
}

fn should_retry_canceled(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        return false;
    };
    is_canceled_temporarily(canceled.cancellation_reasons())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction_limits(client: TimeoutConfig) -> [Option<Duration>; 2] {
        let client = Builder::new().timeout_config(client).build();
        let settings = transaction_settings(&client).build();
        let limits = settings.timeout_config().unwrap();
        [limits.operation_attempt_timeout(), limits.operation_timeout()]
    }

    #[test]
    fn transactions_have_longer_time_limits() {
        let limits = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT);
        let longer = [TRANSACTION_ATTEMPT_TIMEOUT, TRANSACTION_OPERATION_TIMEOUT].map(Some);
        assert_eq!(transaction_limits(limits.build()), longer);
    }

    #[test]
    fn transactions_keep_a_clients_longer_time_limits() {
        let minute = Duration::from_secs(60);
        let limits = TimeoutConfig::builder().operation_attempt_timeout(minute);
        assert_eq!(transaction_limits(limits.build()), [Some(minute), None]);
    }
}
