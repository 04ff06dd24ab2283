//! The DynamoDB client: wired by hand, so that a cold start pays for nothing that it does not need.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Credentials, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::config::Aws;

/// One attempt. DynamoDB answers in single-digit milliseconds; what takes longer than this is lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(700);
/// All attempts of one operation with the waits between them: half of the function's time limit of
/// 5 s, so the answer is always the function's own.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(2_500);
/// With the SDK's back-off from this on, three attempts fit into an operation.
const MAX_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);

/// The roots that sign DynamoDB's certificates, <https://www.amazontrust.com/repository/>: parsing
/// these five takes a fraction of what the system's 140 take at every cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// A client with the time limits and the retries that the API promises. It makes no call yet.
pub fn client(aws: &Aws) -> Client {
    Client::from_conf(settings(aws).build())
}

/// The settings of [`client`], for a caller that has something to add to them.
pub fn settings(aws: &Aws) -> Builder {
    let mut settings = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(aws.region.clone()))
        .credentials_provider(Credentials::new(
            aws.access_key_id.clone(),
            aws.secret_access_key.clone(),
            aws.session_token.clone(),
            None,
            "environment",
        ))
        .http_client(http_client(aws))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(MAX_ATTEMPTS)
                .with_initial_backoff(INITIAL_BACKOFF),
        )
        .retry_classifier(RetryConflicts)
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        // An attempt is over in 700 ms either way: nothing is left to watch a stream for.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    settings.set_endpoint_url(aws.endpoint_url.clone());
    settings
}

/// Has the SDK try again what met a rotation's transaction on the same item: DynamoDB refuses the
/// later of the two at once, and in a moment the item is free.
#[derive(Debug)]
struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let is_conflict = error.is_some_and(|error| {
            has_code(error.downcast_ref::<UpdateItemError>())
                || has_code(error.downcast_ref::<PutItemError>())
                || has_code(error.downcast_ref::<DeleteItemError>())
                || error.downcast_ref().is_some_and(is_canceled_by_conflict)
        });
        if is_conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "RetryConflicts"
    }
}

fn has_code<E: ProvideErrorMetadata>(error: Option<&E>) -> bool {
    error.is_some_and(|error| error.code() == Some("TransactionConflictException"))
}

fn is_canceled_by_conflict(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        return false;
    };
    canceled
        .cancellation_reasons()
        .iter()
        .any(|reason| reason.code() == Some("TransactionConflict"))
}

fn http_client(aws: &Aws) -> SharedHttpClient {
    let trust = if aws.system_roots {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    };
    // It checks nothing, and so never fails.
    let tls = TlsContext::builder().with_trust_store(trust).build().unwrap_or_default();
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https()
}
