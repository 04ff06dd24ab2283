//! Sessions in DynamoDB: one method per operation, one call per method.
//!
//! Every read and every write condition checks for itself whether the session is still live, because
//! DynamoDB's TTL deletes up to two days late. What is not live is treated as absent, and no method
//! but [`SessionStore::create`] ever makes an item.

mod client;
mod expression;
mod item;
mod usage;

use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use crate::seal::{self, SealError};
use crate::session::{
    ETag, Lifetime, MediaType, Metadata, NoRandomness, Precondition, Session, SessionId, Timestamp,
    Ttl, User,
};
use expression::Expression;
use item::{DATA, ETAG, ID, Item, TYPE, USER};
use usage::Meter;

pub use client::{client, settings};
pub use item::CorruptItem;
pub use usage::Usage;

/// Why an operation on a session did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no live session of that id.
    #[error("no live session of that id")]
    NotFound,
    /// There is a live session of that id already.
    #[error("a live session of that id exists")]
    AlreadyExists,
    /// The data is of another version than the one asked for.
    #[error("the data is of another version")]
    ETagMismatch,
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
                | "ThrottlingException",
            ) => Self::Throttled(error.into()),
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

/// What a caller says of a session that it makes.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The data, any bytes.
    pub data: &'a [u8],
    /// What the data is.
    pub media_type: MediaType,
    /// How long the session lives when nobody uses it.
    pub ttl: Ttl,
    /// Seconds after which it ends however much it is used.
    pub max_lifetime: Option<u32>,
    /// Whom it belongs to.
    pub user: Option<User>,
}

/// What a caller puts in the place of a session's data.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// The data, any bytes.
    pub data: &'a [u8],
    /// What the data is.
    pub media_type: MediaType,
    /// A new idle lifetime; the old one goes on without.
    pub ttl: Option<Ttl>,
    /// A new owner; the old one stays without.
    pub user: Option<User>,
}

/// The table of sessions, as one request sees it.
#[derive(Debug, Clone)]
pub struct SessionStore {
    client: Client,
    table: Arc<str>,
    meter: Meter,
}

impl SessionStore {
    /// The sessions in this table.
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into(), meter: Meter::default() }
    }

    /// The same table with a usage that starts at nothing.
    #[must_use]
    pub fn metered_anew(&self) -> Self {
        Self { meter: Meter::default(), ..self.clone() }
    }

    /// What the calls made through this store cost so far.
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// Makes a session under this id and says what it is (one `PutItem`).
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where a live session has the id; [`StoreError::TooLarge`].
    pub async fn create(
        &self,
        id: &SessionId,
        new: NewSession<'_>,
        now: Timestamp,
    ) -> Result<Metadata, StoreError> {
        let deadline = new.max_lifetime.map(|most| Ttl::from_seconds(most).expires(now));
        let metadata = Metadata {
            etag: ETag::generate()?,
            media_type: new.media_type,
            created: now,
            lifetime: Lifetime { expires: new.ttl.expires(now), deadline },
            user: new.user,
        };
        let sealed = seal::seal(id, &metadata.media_type, new.data)?;
        let expression = Expression::if_not_live(now);
        let sent = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::new(&id.handle(), new.ttl, sealed, &metadata)))
            .condition_expression(expression.condition())
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.meter.clone())
            .send()
            .await;
        match sent {
            Ok(output) => self.meter.consumed(output.consumed_capacity()),
            Err(error) => match refusal(error, |e| match e {
                PutItemError::ConditionalCheckFailedException(refused) => Some(refused),
                _ => None,
            })? {
                Some(item) if is_own_write(&item, &metadata.etag) => {}
                _ => return Err(StoreError::AlreadyExists),
            },
        }
        Ok(metadata)
    }

    /// Reads a session and opens its data (one `GetItem`, strongly consistent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] for an item that does not open.
    pub async fn read(&self, id: &SessionId, now: Timestamp) -> Result<Session, StoreError> {
        let mut item = self.get(id, &[], now).await?;
        let metadata = item::metadata(&item)?;
        let sealed = item::take_sealed(&mut item)?;
        let data = seal::open(id, &metadata.media_type, sealed).map_err(CorruptItem::Data)?;
        Ok(Session { metadata, data })
    }

    /// Reads what is known of a session without its data (one `GetItem`, strongly consistent).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] for an item that this code did not write.
    pub async fn head(&self, id: &SessionId, now: Timestamp) -> Result<Metadata, StoreError> {
        let item = self.get(id, item::METADATA, now).await?;
        Ok(item::metadata(&item)?)
    }

    /// Puts new data in the place of a live session's, slides its expiry, and gives the data's new
    /// version (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] where the data is not of the version
    /// that the precondition asks for; [`StoreError::TooLarge`].
    pub async fn replace(
        &self,
        id: &SessionId,
        new: Replacement<'_>,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<ETag, StoreError> {
        let etag = ETag::generate()?;
        let sealed = seal::seal(id, &new.media_type, new.data)?;
        let update = Expression::if_live(now)
            .and_version(precondition)
            .set(DATA, item::bytes(sealed))
            .set(TYPE, item::text(new.media_type.as_str()))
            .set(ETAG, item::text(etag.as_str()))
            .set_some(USER, new.user.map(|user| item::text(user.expose())))
            .slide(new.ttl, now);
        match self.update(id, update, ReturnValue::None).await? {
            Update::Done(_) => Ok(etag),
            Update::Refused(Some(item)) if is_own_write(&item, &etag) => Ok(etag),
            Update::Refused(item) => Err(why_refused(item.as_ref(), now)),
        }
    }

    /// Slides a live session's expiry, by a new idle lifetime or by the one it has, and says when
    /// it ends now (one `UpdateItem`). The data keeps its version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn touch(
        &self,
        id: &SessionId,
        ttl: Option<Ttl>,
        now: Timestamp,
    ) -> Result<Lifetime, StoreError> {
        let update = Expression::if_live(now).slide(ttl, now).keep_deadline();
        match self.update(id, update, ReturnValue::UpdatedNew).await? {
            Update::Done(item) => Ok(item::lifetime(&item)?),
            Update::Refused(item) => Err(why_refused(item.as_ref(), now)),
        }
    }

    /// Ends a session; also done where there was none (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::ETagMismatch`] where the data is not of the version that the precondition
    /// asks for.
    pub async fn destroy(
        &self,
        id: &SessionId,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .key(ID, item::text(id.handle().as_str()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = match precondition {
            Precondition::Any => request,
            Precondition::OneOf(_) => {
                let expression = Expression::if_not_live(now).or_version(precondition);
                request
                    .condition_expression(expression.condition())
                    .set_expression_attribute_names(Some(expression.names))
                    .set_expression_attribute_values(Some(expression.values))
            }
        };
        match request.customize().interceptor(self.meter.clone()).send().await {
            Ok(output) => self.meter.consumed(output.consumed_capacity()),
            Err(error) => {
                refusal(error, |e| match e {
                    DeleteItemError::ConditionalCheckFailedException(refused) => Some(refused),
                    _ => None,
                })?;
                return Err(StoreError::ETagMismatch);
            }
        }
        Ok(())
    }

    /// The live item of a session: these attributes, or all where none is named.
    async fn get(
        &self,
        id: &SessionId,
        attributes: &[&str],
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&*self.table)
            .key(ID, item::text(id.handle().as_str()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = if attributes.is_empty() {
            request
        } else {
            let (projection, names) = expression::projection(attributes);
            request.projection_expression(projection).set_expression_attribute_names(Some(names))
        };
        let output = request.customize().interceptor(self.meter.clone()).send().await?;
        self.meter.consumed(output.consumed_capacity());
        let item = output.item.ok_or(StoreError::NotFound)?;
        if item::lifetime(&item)?.is_live(now) { Ok(item) } else { Err(StoreError::NotFound) }
    }

    async fn update(
        &self,
        id: &SessionId,
        expression: Expression,
        returned: ReturnValue,
    ) -> Result<Update, StoreError> {
        let sent = self
            .client
            .update_item()
            .table_name(&*self.table)
            .key(ID, item::text(id.handle().as_str()))
            .update_expression(expression.update())
            .condition_expression(expression.condition())
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values))
            .return_values(returned)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.meter.clone())
            .send()
            .await;
        match sent {
            Ok(output) => {
                self.meter.consumed(output.consumed_capacity());
                Ok(Update::Done(output.attributes.unwrap_or_default()))
            }
            Err(error) => {
                let found = refusal(error, |e| match e {
                    UpdateItemError::ConditionalCheckFailedException(refused) => Some(refused),
                    _ => None,
                })?;
                Ok(Update::Refused(found))
            }
        }
    }
}

/// What became of an update.
enum Update {
    /// It was made; with the attributes that were asked for.
    Done(Item),
    /// Its condition did not hold; with the item that was there, if any.
    Refused(Option<Item>),
}

/// The item that a condition was refused for, if there was one; any other error is passed on.
fn refusal<E>(
    error: SdkError<E, HttpResponse>,
    as_refusal: impl FnOnce(&E) -> Option<&ConditionalCheckFailedException>,
) -> Result<Option<Item>, StoreError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error.as_service_error().and_then(as_refusal) {
        Some(refused) => Ok(refused.item.clone()),
        None => Err(error.into()),
    }
}

/// Whether a write was refused for what it had itself written: the SDK tried it again because the
/// answer to the first attempt was lost.
fn is_own_write(found: &Item, etag: &ETag) -> bool {
    item::etag(found).is_ok_and(|found| found == *etag)
}

/// What stood in the way of an update: what is live could only be of another version.
fn why_refused(found: Option<&Item>, now: Timestamp) -> StoreError {
    match found.map(item::lifetime) {
        Some(Err(corrupt)) => corrupt.into(),
        Some(Ok(lifetime)) if lifetime.is_live(now) => StoreError::ETagMismatch,
        Some(Ok(_)) | None => StoreError::NotFound,
    }
}
