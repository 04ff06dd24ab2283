//! Rotation of a session to a new id.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};

use super::SessionStore;
use super::call::WriteOutcome;
use super::client;
use super::condition::{self, Requirements};
use super::error::StoreError;
use super::expression::Expression;
use super::item::{self, DATA, ETAG, EXPIRES, ID, Item, SUCCESSOR, TTL, TYPE, USER};
use crate::random;
use crate::seal;
use crate::session::{
    ETag, ETagCondition, LockCondition, MediaType, Metadata, SessionId, Timestamp, User,
};

/// Wait before the first retry of a transaction in progress. Each wait is twice as long as the last,
/// up to the maximum. These are the waits that [DynamoDB
/// recommends](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html):
/// the fourth retry comes more than 5 s after the first attempt, and so completes the transaction if
/// that attempt stalled.
const MIN_IN_PROGRESS_DELAY: Duration = Duration::from_millis(500);
const MAX_IN_PROGRESS_DELAY: Duration = Duration::from_secs(2);

/// Changes to a session that come with its rotation.
pub struct Rotation<'a> {
    /// New data with its media type; `None` keeps the current data.
    pub data: Option<(&'a [u8], MediaType)>,
    /// New idle lifetime, in whole seconds; `None` keeps the current one.
    pub ttl: Option<Duration>,
    /// New owner; `None` keeps the current one.
    pub user: Option<User>,
    /// Time for which the old id stays readable; `None` for none.
    pub grace: Option<Duration>,
}

impl SessionStore {
    /// Rotates a session from one id to another and returns its new metadata (one `GetItem`, one
    /// `TransactWriteItems`). Owner, creation, deadline and lock are carried over. Either the session
    /// has the new id afterwards, or nothing changed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock
    /// is not as required; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version, or changed between the two calls; [`StoreError::TooLarge`].
    pub async fn rotate(
        &self,
        old: &SessionId,
        new: &SessionId,
        rotation: &Rotation<'_>,
        etag: &ETagCondition,
        lock: &LockCondition,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let item = self.item_for_update(old, etag, now).await?;
        let as_read = ETagCondition::OneOf(vec![item::etag(&item)?]);
        let rotated = rotated_item(old, new, rotation, item, now)?;
        let metadata = item::metadata(&rotated)?;
        let required = Requirements { etag: &as_read, lock, now };
        let put = self.put_new(rotated, now)?;
        let retire = self.retire_old(old, new, required.condition(), rotation.grace, now)?;
        // DynamoDB reports the reasons of a cancellation in the order of the writes.
        match self.transact(vec![retire, put]).await? {
            WriteOutcome::Applied(_) => Ok(metadata),
            WriteOutcome::Refused(item) => Err(required.refusal_reason(item)),
        }
    }

    /// Returns the write that inserts the item of the new id.
    fn put_new(&self, item: Item, now: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let absent = condition::if_absent(now);
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(absent.condition())
            .set_expression_attribute_names(Some(absent.names))
            .set_expression_attribute_values(Some(absent.values))
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Returns the write that deletes the item of the old id, or that keeps it readable for the grace
    /// period.
    fn retire_old(
        &self,
        old: &SessionId,
        new: &SessionId,
        condition: Expression,
        grace: Option<Duration>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let key = item::text(old.handle().as_str());
        let on_failure = ReturnValuesOnConditionCheckFailure::AllOld;
        let write = TransactWriteItem::builder();
        let Some(grace) = grace else {
            let delete = Delete::builder()
                .table_name(&*self.table)
                .key(ID, key)
                .condition_expression(condition.condition())
                .set_expression_attribute_names(Some(condition.names))
                .set_expression_attribute_values(Some(condition.values))
                .return_values_on_condition_check_failure(on_failure)
                .build()
                .map_err(incomplete)?;
            return Ok(write.delete(delete).build());
        };
        let update = condition
            .set(SUCCESSOR, item::text(new.handle().as_str()))
            .set(EXPIRES, item::number(now.after(grace).seconds()))
            .release_lock();
        let update = Update::builder()
            .table_name(&*self.table)
            .key(ID, key)
            .update_expression(update.update())
            .condition_expression(update.condition())
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(on_failure)
            .build()
            .map_err(incomplete)?;
        Ok(write.update(update).build())
    }

    /// Applies all of the writes or none (one `TransactWriteItems`, and another each time that
    /// DynamoDB reports an earlier attempt as still in progress). It retries until the caller's time
    /// limit. The refusal is that of the first write's condition.
    async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<WriteOutcome, StoreError> {
        // All attempts share one token, by which DynamoDB recognizes them as one transaction.
        let token = random::base64url::<16>()?;
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut delay = MIN_IN_PROGRESS_DELAY;
        loop {
            let sent = transaction
                .clone()
                .customize()
                .config_override(client::transaction_settings(self.client.config()))
                .interceptor(self.meter.clone())
                .send()
                .await;
            let error = match sent {
                Ok(output) => {
                    for capacity in output.consumed_capacity() {
                        self.meter.add_capacity(Some(capacity));
                    }
                    return Ok(WriteOutcome::Applied(Item::new()));
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                    tokio::time::sleep(delay).await;
                    delay = delay.saturating_mul(2).min(MAX_IN_PROGRESS_DELAY);
                }
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reason = canceled.cancellation_reasons().first();
                    return match reason.filter(|r| r.code() == Some("ConditionalCheckFailed")) {
                        Some(reason) => Ok(WriteOutcome::Refused(reason.item().cloned())),
                        None => Err(error.into()),
                    };
                }
                _ => return Err(error.into()),
            }
        }
    }
}

/// A write lacks a required field. [`SessionStore::rotate`] sets all of them.
fn incomplete(error: BuildError) -> StoreError {
    StoreError::Refused(error.into())
}

/// Returns the item under its new id. Everything that the rotation does not change is carried over.
fn rotated_item(
    old: &SessionId,
    new: &SessionId,
    rotation: &Rotation<'_>,
    item: Item,
    now: Timestamp,
) -> Result<Item, StoreError> {
    let ttl = match rotation.ttl {
        Some(ttl) => ttl,
        None => item::ttl(&item)?,
    };
    let mut rotated = item.clone();
    match &rotation.data {
        Some((data, media_type)) => {
            rotated.insert(DATA.to_owned(), item::bytes(seal::seal(new, media_type, data)?));
            rotated.insert(TYPE.to_owned(), item::text(media_type.as_str()));
            rotated.insert(ETAG.to_owned(), item::text(ETag::generate()?.as_str()));
        }
        None => {
            // The key is derived from the id, so even unchanged data is sealed again.
            let session = item::open(old, item)?;
            let sealed = seal::seal(new, &session.metadata.media_type, &session.data)?;
            rotated.insert(DATA.to_owned(), item::bytes(sealed));
        }
    }
    rotated.insert(ID.to_owned(), item::text(new.handle().as_str()));
    rotated.insert(TTL.to_owned(), item::number(ttl.as_secs()));
    rotated.insert(EXPIRES.to_owned(), item::number(now.after(ttl).seconds()));
    if let Some(user) = &rotation.user {
        rotated.insert(USER.to_owned(), item::text(user.expose()));
    }
    Ok(rotated)
}
