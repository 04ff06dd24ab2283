//! The store's errors.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::CancellationReason;

use super::item::{CorruptItem, SealedSession};
use crate::logging;
use crate::random::NoRandomness;
use crate::seal::SealError;
use crate::session::Timestamp;

/// Why an operation on a session failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No live session has the id.
    #[error("no live session has the id")]
    NotFound,
    /// A live session already has the id. Holds that session, unless it was rotated away or its id isn't the
    /// request's own.
    #[error("a live session already has the id")]
    AlreadyExists(Option<Box<SealedSession>>),
    /// The data doesn't have the required version.
    #[error("the data doesn't have the required version")]
    ETagMismatch(Box<SealedSession>),
    /// The session changed between an operation's read and its write.
    #[error("the session changed between the read and the write")]
    Changed,
    /// Another request holds the lock.
    #[error("another request holds the lock")]
    Locked {
        /// When the lock expires.
        until: Timestamp,
    },
    /// The token doesn't hold the lock, and nobody else does either.
    #[error("the token does not hold the lock")]
    NotLockHolder,
    /// The data is larger than a limit. Nothing was written.
    #[error("the data is too large")]
    TooLarge,
    /// DynamoDB throttled the request.
    #[error("DynamoDB throttled the request")]
    Throttled(#[source] Cause),
    /// DynamoDB couldn't be reached, didn't respond in time, or failed. A write may have been applied anyway.
    #[error("DynamoDB did not respond")]
    Unavailable(#[source] Cause),
    /// The write was refused or had no effect, but an earlier attempt may have been applied.
    #[error("an earlier attempt may have been applied")]
    OutcomeUnknown,
    /// The item in the table can't be ours.
    #[error("the item is corrupt")]
    Corrupt(#[from] CorruptItem),
    /// DynamoDB refused the call itself: a bug in this code or in the function's configuration.
    #[error("DynamoDB refused the call")]
    Refused(#[source] Cause),
    /// The data couldn't be sealed, for a reason other than its size.
    #[error("the data could not be sealed")]
    NotSealed(#[source] Cause),
}

/// An error's cause, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

impl From<SealError> for StoreError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLarge => Self::TooLarge,
            SealError::NoRandomness(_) | SealError::Refused => Self::NotSealed(error.into()),
        }
    }
}

impl From<NoRandomness> for StoreError {
    fn from(error: NoRandomness) -> Self {
        Self::NotSealed(error.into())
    }
}

impl<E> From<SdkError<E, HttpResponse>> for StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        const REQUEST_TIMEOUT: u16 = 408;
        const TOO_MANY_REQUESTS: u16 = 429;
        let status = error.raw_response().map(|response| response.status().as_u16());
        let failure = CallFailure::from(&error).into();
        match (error.code(), status, &error) {
            (
                Some(
                    "LimitExceededException"
                    | "ProvisionedThroughputExceededException"
                    | "RequestLimitExceeded"
                    | "ThrottlingException"
                    | "TransactionConflictException",
                ),
                ..,
            )
            | (_, Some(TOO_MANY_REQUESTS), _) => Self::Throttled(failure),
            (
                Some(
                    "RequestTimeout" | "RequestTimeoutException" | "TransactionInProgressException",
                ),
                ..,
            )
            // A 2xx response that is an error didn't come from DynamoDB.
            | (_, Some(200..300 | REQUEST_TIMEOUT | 500..), _)
            | (
                ..,
                SdkError::TimeoutError(_)
                | SdkError::DispatchFailure(_)
                | SdkError::ResponseError(_),
            ) => Self::Unavailable(failure),
            _ => Self::Refused(failure),
        }
    }
}

impl StoreError {
    /// Returns the error for a transaction that was canceled for reasons beyond unmet conditions. The codes are in
    /// [DynamoDB's
    /// reference](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html). Retrying
    /// doesn't help with a code that [`is_canceled_temporarily`] doesn't name, such as `ValidationError`.
    pub(super) fn canceled(reasons: &[CancellationReason]) -> Self {
        let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
        let failure = CallFailure::Canceled(codes.join(", ")).into();
        if is_canceled_temporarily(reasons) {
            Self::Throttled(failure)
        } else {
            Self::Refused(failure)
        }
    }
}

/// Whether a canceled transaction may succeed on a retry, because it collided with another one or was throttled.
pub(super) fn is_canceled_temporarily(reasons: &[CancellationReason]) -> bool {
    let mut is_temporary = false;
    for code in reasons.iter().filter_map(CancellationReason::code) {
        match code {
            "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" => {
                is_temporary = true;
            }
            "None" | "ConditionalCheckFailed" => {}
            _ => return false,
        }
    }
    is_temporary
}

/// Why a DynamoDB call failed, for the log. We don't log the SDK's own errors: some contain the whole request,
/// even in their `Display`.
#[derive(Debug, thiserror::Error)]
enum CallFailure {
    #[error("{code} (status {status}){message}")]
    Reported {
        code: String,
        status: u16,
        /// A colon and the message, or nothing.
        message: String,
    },
    #[error("the transaction was canceled: {0}")]
    Canceled(String),
    #[error("no response within the time limit")]
    TimedOut,
    #[error("the connection failed: {0}")]
    Disconnected(String),
    #[error("the response is malformed (status {0})")]
    Malformed(u16),
    #[error("the request was not signed: {0}")]
    NotSigned(String),
    #[error("the request was not sent, or the connection ended")]
    NotSent,
}

impl<E: ProvideErrorMetadata + Error + 'static> From<&SdkError<E, HttpResponse>> for CallFailure {
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(service) if service.raw().status().is_success() => {
                Self::Malformed(service.raw().status().as_u16())
            }
            SdkError::ServiceError(service) => {
                let (code, message) = (service.err().code(), service.err().message());
                // Messages of other errors may quote the request: a validation error quotes a value, a signature
                // error the signed headers.
                let is_harmless = matches!(
                    code,
                    Some(
                        "AccessDeniedException"
                            | "ProvisionedThroughputExceededException"
                            | "ResourceNotFoundException"
                            | "ThrottlingException"
                    )
                );
                Self::Reported {
                    code: code
                        .filter(|code| is_error_code(code))
                        .unwrap_or("no error code")
                        .to_owned(),
                    status: service.raw().status().as_u16(),
                    message: message
                        .filter(|_| is_harmless)
                        .map(|message| format!(": {message}"))
                        .unwrap_or_default(),
                }
            }
            SdkError::TimeoutError(_) => Self::TimedOut,
            // An unclassified error may quote the request.
            SdkError::DispatchFailure(failure)
                if failure.is_io() || failure.is_timeout() || failure.as_other().is_some() =>
            {
                let source = failure.as_connector_error().and_then(Error::source);
                Self::Disconnected(source.map(logging::chain).unwrap_or_default())
            }
            SdkError::ResponseError(response) => Self::Malformed(response.raw().status().as_u16()),
            error => find_source::<CredentialsError>(error)
                .map_or(Self::NotSent, |error| Self::NotSigned(error.to_string())),
        }
    }
}

/// Whether the text looks like a DynamoDB error code. Anything else isn't DynamoDB's and may quote the request.
fn is_error_code(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Returns an error's first source of this type.
fn find_source<T: Error + 'static>(error: &dyn Error) -> Option<&T> {
    let source = error.source()?;
    source.downcast_ref().or_else(|| find_source(source))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::get_item::GetItemError;

    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn cancellations_that_a_retry_may_fix_are_throttling() {
        for (codes, is_temporary) in [
            (["TransactionConflict", "None"], true),
            (["ConditionalCheckFailed", "TransactionConflict"], true),
            (["None", "ThrottlingError"], true),
            (["ProvisionedThroughputExceeded", "None"], true),
            (["ValidationError", "None"], false),
            (["ItemCollectionSizeLimitExceeded", "ThrottlingError"], false),
            (["None", "SomethingNew"], false),
            (["None", "ConditionalCheckFailed"], false),
        ] {
            assert_eq!(is_canceled_temporarily(&reasons(&codes)), is_temporary, "{codes:?}");
            let error = StoreError::canceled(&reasons(&codes));
            assert_eq!(matches!(error, StoreError::Throttled(_)), is_temporary, "{codes:?}");
            assert!(logging::chain(&error).ends_with(&codes.join(", ")), "{error:?}");
        }
    }

    #[test]
    fn texts_that_are_not_error_codes_are_not_logged() {
        for code in ["ThrottlingException", "InternalServerError"] {
            assert!(is_error_code(code), "{code}");
        }
        for text in ["{\"user\":\"ada\"}", "ada lovelace", "user-5", &"a".repeat(65)] {
            assert!(!is_error_code(text), "{text}");
        }
    }

    #[test]
    fn missing_credentials_are_logged_without_their_cause() {
        let cause = CredentialsError::provider_error("the secret is Zecret");
        let error: SdkError<GetItemError, HttpResponse> = SdkError::construction_failure(cause);
        let logged = logging::chain(&StoreError::from(error));
        assert!(logged.contains("the request was not signed"), "{logged}");
        assert!(!logged.contains("Zecret"), "{logged}");
    }
}
