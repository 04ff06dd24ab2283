//! Why an operation on a session did not happen.

use std::error::Error;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::Found;
use super::item::CorruptItem;
use crate::seal::SealError;
use crate::session::{NoRandomness, Timestamp};

/// Why an operation on a session did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no live session of that id.
    #[error("no live session of that id")]
    NotFound,
    /// There is a live session of that id already.
    #[error("a live session of that id exists")]
    AlreadyExists(Box<Found>),
    /// The data is of another version than the one asked for.
    #[error("the data is of another version")]
    ETagMismatch(Box<Found>),
    /// Somebody else holds the lock.
    #[error("somebody else holds the lock")]
    Locked {
        /// When it falls by itself.
        until: Timestamp,
    },
    /// The token is not the lock's, and nobody holds it.
    #[error("the token is not the lock's")]
    NotLockHolder,
    /// The data is past a limit. Nothing was written.
    #[error("the data is too large")]
    TooLarge,
    /// DynamoDB has more requests than it takes at the moment.
    #[error("DynamoDB throttles")]
    Throttled(#[source] Cause),
    /// DynamoDB was not reached, did not answer in time, or failed. A write may have happened.
    #[error("DynamoDB did not answer")]
    Unavailable(#[source] Cause),
    /// The item in the table is not one that this code wrote.
    #[error("the item is corrupt")]
    Corrupt(#[from] CorruptItem),
    /// A defect, here or in how the function is set up: DynamoDB refused the call itself.
    #[error("DynamoDB refused the call")]
    Refused(#[source] Cause),
    /// The data could not be sealed for a reason that is not its size.
    #[error("the data could not be sealed")]
    NotSealed(#[source] Cause),
}

/// What is behind an error, for the log.
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
