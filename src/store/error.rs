//! Errors of the store.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::item::{CorruptItem, SealedSession};
use crate::random::NoRandomness;
use crate::seal::SealError;
use crate::session::Timestamp;

/// Reasons why an operation on a session was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No live session has the id.
    #[error("no live session has the id")]
    NotFound,
    /// A live session already has the id. Holds that session, unless it was rotated away or has
    /// another id than the request.
    #[error("a live session already has the id")]
    AlreadyExists(Option<Box<SealedSession>>),
    /// The data does not have the required version.
    #[error("the data does not have the required version")]
    ETagMismatch(Box<SealedSession>),
    /// The session changed between the read and the write of an operation.
    #[error("the session changed between the read and the write")]
    Changed,
    /// Another request holds the lock.
    #[error("another request holds the lock")]
    Locked {
        /// When the lock expires.
        until: Timestamp,
    },
    /// The token does not hold the lock, and nobody else does.
    #[error("the token does not hold the lock")]
    NotLockHolder,
    /// The data is larger than a limit. Nothing was written.
    #[error("the data is too large")]
    TooLarge,
    /// DynamoDB throttled the request.
    #[error("DynamoDB throttled the request")]
    Throttled(#[source] Cause),
    /// DynamoDB was not reached, did not respond in time or failed. A write may have been applied.
    #[error("DynamoDB did not respond")]
    Unavailable(#[source] Cause),
    /// The write was refused or had no effect, but an earlier attempt may have been applied.
    #[error("it is unknown whether an earlier attempt was applied")]
    OutcomeUnknown,
    /// The item in the table is not one that this code wrote.
    #[error("the item is corrupt")]
    Corrupt(#[from] CorruptItem),
    /// DynamoDB refused the call itself: a defect of this code or of the function's configuration.
    #[error("DynamoDB refused the call")]
    Refused(#[source] Cause),
    /// The data could not be sealed, for a reason other than its size.
    #[error("the data could not be sealed")]
    NotSealed(#[source] Cause),
}

/// Cause of an error, for the log.
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
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        match error.code() {
            Some(
                "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "ThrottlingException"
                | "TransactionCanceledException"
                | "TransactionConflictException",
            ) => Self::Throttled(error.into()),
            Some("TransactionInProgressException") => Self::Unavailable(error.into()),
            _ => match error {
                SdkError::TimeoutError(_)
                | SdkError::DispatchFailure(_)
                | SdkError::ResponseError(_) => Self::Unavailable(error.into()),
                _ if status.is_some_and(|status| status >= 500) => Self::Unavailable(error.into()),
                _ => Self::Refused(error.into()),
            },
        }
    }
}
