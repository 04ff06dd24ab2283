//! Sends, meters, and retries transactions.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity, TransactWriteItem};

use super::SessionStore;
use super::client;
use super::error::StoreError;
use super::item::Item;
use super::outcome::UnknownOutcomes;
use crate::random;

/// Wait before the first retry of a transaction that's still in progress. Each wait is twice as long as the last,
/// up to the maximum. These are the waits that [DynamoDB
/// recommends](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html): the
/// fourth retry comes more than 5 s after the first attempt, so it completes the transaction if that attempt
/// stalled.
const MIN_IN_PROGRESS_DELAY: Duration = Duration::from_millis(500);
const MAX_IN_PROGRESS_DELAY: Duration = Duration::from_secs(2);

/// The outcome of a transaction with two writes.
pub(super) enum TransactionOutcome {
    /// Both writes were applied.
    Applied,
    /// Neither was applied, because at least one condition wasn't met.
    Refused {
        /// The item that the first write failed on; `None` if it didn't fail, or the item doesn't exist.
        first: Option<Item>,
        /// The item for which the second write was refused; `None` if it wasn't.
        second: Option<Item>,
        /// Whether an earlier attempt's outcome is unknown, so it may have been applied.
        is_in_doubt: bool,
    },
}

impl SessionStore {
    /// Applies both writes or neither (one `TransactWriteItems`, and another each time DynamoDB reports an earlier
    /// attempt as still in progress). Retries until the caller's time limit. The second write must require that
    /// its item doesn't exist.
    pub(super) async fn transact(
        &self,
        writes: [TransactWriteItem; 2],
    ) -> Result<TransactionOutcome, StoreError> {
        // All attempts share one token, which tells DynamoDB that they're the same transaction.
        let token = random::base64url::<16>()?;
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes.into()))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let unknown = UnknownOutcomes::default();
        let mut was_in_progress = false;
        let mut delay = MIN_IN_PROGRESS_DELAY;
        loop {
            let sent = transaction
                .clone()
                .customize()
                .config_override(client::transaction_settings(self.client.config()))
                .interceptor(self.meter.clone())
                .interceptor(unknown.clone())
                .send()
                .await;
            let error = match sent {
                Ok(output) => {
                    // Capacity is reported per table, and there's only one.
                    self.meter.add_capacity(output.consumed_capacity().first())?;
                    return Ok(TransactionOutcome::Applied);
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                    was_in_progress = true;
                    tokio::time::sleep(delay).await;
                    delay = delay.saturating_mul(2).min(MAX_IN_PROGRESS_DELAY);
                }
                Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                    if is_refused(canceled.cancellation_reasons()) =>
                {
                    let item = |n: usize| {
                        canceled.cancellation_reasons().get(n).and_then(CancellationReason::item)
                    };
                    return Ok(TransactionOutcome::Refused {
                        first: item(0).cloned(),
                        second: item(1).cloned(),
                        is_in_doubt: was_in_progress || unknown.exist(),
                    });
                }
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    return Err(StoreError::canceled(canceled.cancellation_reasons()));
                }
                _ => return Err(error.into()),
            }
        }
    }
}

/// Whether a transaction was canceled only because conditions weren't met.
fn is_refused(reasons: &[CancellationReason]) -> bool {
    let codes = || reasons.iter().filter_map(CancellationReason::code);
    codes().any(|code| code == "ConditionalCheckFailed")
        && codes().all(|code| matches!(code, "None" | "ConditionalCheckFailed"))
}
