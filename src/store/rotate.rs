//! The move of a session to a new id.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::expression::Expression;
use super::item::{self, DATA, ETAG, EXPIRES, ID, Item, SUCCESSOR, TTL, TYPE, USER};
use super::{SessionStore, StoreError, client, open, why_refused};
use crate::seal;
use crate::session::{
    ETag, LockClaim, MediaType, Metadata, Precondition, SessionId, Timestamp, Ttl, User, random,
};

/// Wait before the first retry of a transaction in progress. Each wait is twice as long as the last,
/// up to the maximum. These are the waits that [DynamoDB
/// recommends](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html):
/// the fourth retry comes more than 5 s after the first attempt, and so completes the transaction if
/// that attempt stalled.
const MIN_IN_PROGRESS_DELAY: Duration = Duration::from_millis(500);
const MAX_IN_PROGRESS_DELAY: Duration = Duration::from_secs(2);

/// What changes when a session moves.
pub struct Rotation<'a> {
    /// New data with its media type; the old stays without.
    pub data: Option<(&'a [u8], MediaType)>,
    /// A new idle lifetime; the old one goes on without.
    pub ttl: Option<Ttl>,
    /// A new owner; the old one stays without.
    pub user: Option<User>,
    /// How long the old id can still be read.
    pub grace: Option<Ttl>,
}

impl SessionStore {
    /// Moves a session from one id to another and says what it is there: owner, creation, absolute
    /// end and lock go along (one `GetItem`, one `TransactWriteItems`). Either the new id is there
    /// and the old one is gone, or nothing has changed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] and [`StoreError::NotLockHolder`] where the
    /// lock is not as claimed; [`StoreError::ETagMismatch`] where the data is not of the version
    /// that the precondition asks for, or changed between the two calls; [`StoreError::TooLarge`].
    pub async fn rotate(
        &self,
        old: &SessionId,
        new: &SessionId,
        rotation: &Rotation<'_>,
        precondition: &Precondition,
        claim: &LockClaim,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let item = self.current_item(old, precondition, now).await?;
        let version = item::etag(&item)?;
        let moved = moved(old, new, rotation, item, now)?;
        let metadata = item::metadata(&moved)?;
        let is_as_read = Expression::if_live(now)
            .and_version(&Precondition::OneOf(vec![version]))
            .and_lock(claim, now);
        self.swap(old, new, moved, is_as_read, rotation.grace, now).await.map_err(|refused| {
            match refused {
                Swap::Refused(found) => why_refused(found, claim, now),
                Swap::Failed(error) => error,
            }
        })?;
        Ok(metadata)
    }

    /// Writes the new item and takes the old one away, or leaves it for a while to be read.
    async fn swap(
        &self,
        old: &SessionId,
        new: &SessionId,
        moved: Item,
        is_as_read: Expression,
        grace: Option<Ttl>,
        now: Timestamp,
    ) -> Result<(), Swap> {
        let is_free = Expression::if_free(now);
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(moved))
            .condition_expression(is_free.condition())
            .set_expression_attribute_names(Some(is_free.names))
            .set_expression_attribute_values(Some(is_free.values))
            .build();
        let key = item::text(old.handle().as_str());
        let found = ReturnValuesOnConditionCheckFailure::AllOld;
        let away = match grace {
            None => Delete::builder()
                .table_name(&*self.table)
                .key(ID, key)
                .condition_expression(is_as_read.condition())
                .set_expression_attribute_names(Some(is_as_read.names))
                .set_expression_attribute_values(Some(is_as_read.values))
                .return_values_on_condition_check_failure(found)
                .build()
                .map(|delete| TransactWriteItem::builder().delete(delete).build()),
            Some(grace) => {
                let update = is_as_read
                    .set(SUCCESSOR, item::text(new.handle().as_str()))
                    .set(EXPIRES, item::number(grace.expires(now)))
                    .unlock();
                Update::builder()
                    .table_name(&*self.table)
                    .key(ID, key)
                    .update_expression(update.update())
                    .condition_expression(update.condition())
                    .set_expression_attribute_names(Some(update.names))
                    .set_expression_attribute_values(Some(update.values))
                    .return_values_on_condition_check_failure(found)
                    .build()
                    .map(|update| TransactWriteItem::builder().update(update).build())
            }
        };
        let refused =
            |error: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(error.into());
        let away = away.map_err(refused)?;
        let put = TransactWriteItem::builder().put(put.map_err(refused)?).build();
        // The old item first, so that its refusal is the first reason.
        self.transact(vec![away, put]).await
    }

    /// Writes these items or none (one `TransactWriteItems`, and another each time that DynamoDB
    /// reports an earlier attempt as still in progress). The caller limits the time.
    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), Swap> {
        // All attempts share one token, by which DynamoDB recognizes them as one transaction.
        let token = URL_SAFE_NO_PAD.encode(random::<16>().map_err(StoreError::from)?);
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
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
                    output.consumed_capacity().iter().for_each(|c| self.meter.consumed(Some(c)));
                    return Ok(());
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
                        Some(reason) => Err(Swap::Refused(reason.item().cloned())),
                        None => Err(StoreError::from(error).into()),
                    };
                }
                _ => return Err(StoreError::from(error).into()),
            }
        }
    }
}

/// Why a swap did not happen.
enum Swap {
    /// The old item, if there is one, is not as it was read.
    Refused(Option<Item>),
    Failed(StoreError),
}

impl From<StoreError> for Swap {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// The item under its new id.
fn moved(
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
    // All that is not said here goes along: creation, deadline, lock, and the owner unless there is
    // a new one. The data is sealed anew in any case, since its key comes from the id.
    let mut moved = item.clone();
    match &rotation.data {
        Some((data, media_type)) => {
            moved.insert(DATA.to_owned(), item::bytes(seal::seal(new, media_type, data)?));
            moved.insert(TYPE.to_owned(), item::text(media_type.as_str()));
            moved.insert(ETAG.to_owned(), item::text(ETag::generate()?.as_str()));
        }
        None => {
            let session = open(old, item)?;
            let sealed = seal::seal(new, &session.metadata.media_type, &session.data)?;
            moved.insert(DATA.to_owned(), item::bytes(sealed));
        }
    }
    moved.insert(ID.to_owned(), item::text(new.handle().as_str()));
    moved.insert(TTL.to_owned(), item::number(ttl.seconds().into()));
    moved.insert(EXPIRES.to_owned(), item::number(ttl.expires(now)));
    if let Some(user) = &rotation.user {
        moved.insert(USER.to_owned(), item::text(user.expose()));
    }
    Ok(moved)
}
