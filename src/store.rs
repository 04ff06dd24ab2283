//! Sessions in DynamoDB: one method per operation, one call per method wherever one will do.
//!
//! Every read and every write condition checks for itself whether the session is still live, because
//! DynamoDB's TTL deletes up to two days late. What is not live is treated as absent, and no method
//! but [`SessionStore::create`] and [`SessionStore::rotate`] ever makes an item.

mod client;
mod connect;
mod error;
mod expression;
mod item;
mod lock;
mod rotate;
mod usage;
mod user;

use std::error::Error;
use std::fmt;
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

use crate::seal;
use crate::session::{
    ETag, Handle, Lifetime, LockClaim, MediaType, Metadata, Precondition, Session, SessionId,
    Timestamp, Ttl, User,
};
use expression::Expression;
use item::{DATA, ETAG, ID, Item, TYPE, USER};
use usage::Meter;

pub use client::{client, settings};
pub use connect::FirstCall;
pub use error::{Cause, StoreError};
pub use item::CorruptItem;
pub use rotate::Rotation;
pub use usage::Usage;
pub use user::Listed;

/// What a caller says of a session that it makes.
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

/// A session that stood in the way of a write, still sealed.
pub struct Found(Item);

impl Found {
    /// Opens it, for whoever has its id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an item that does not open.
    pub fn open(self, id: &SessionId) -> Result<Session, StoreError> {
        open(id, self.0)
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found([sealed])")
    }
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
        let expression = Expression::if_free(now);
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
                found => {
                    let found = found.unwrap_or_default();
                    item::lifetime(&found)?;
                    return Err(StoreError::AlreadyExists(Box::new(Found(found))));
                }
            },
        }
        Ok(metadata)
    }

    /// Reads a session and opens its data (one `GetItem`, strongly consistent; one more for each
    /// rotation behind it, where the id was rotated with a grace).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] for an item that does not open.
    pub async fn read(&self, id: &SessionId, now: Timestamp) -> Result<Session, StoreError> {
        let item = self.get(&id.handle(), &[], now).await?;
        self.expect_successor_lives(&item, now).await?;
        open(id, item)
    }

    /// Reads a session that is to be changed (one `GetItem`, strongly consistent): an id that it has
    /// moved away from does not do.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::ETagMismatch`] where the data is not of the version
    /// that the precondition asks for; [`StoreError::Corrupt`] for an item that does not open.
    pub async fn current(
        &self,
        id: &SessionId,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        open(id, self.current_item(id, precondition, now).await?)
    }

    async fn current_item(
        &self,
        id: &SessionId,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.get(&id.handle(), &[], now).await?;
        if item::successor(&item)?.is_some() {
            return Err(StoreError::NotFound);
        }
        if !precondition.admits(&item::etag(&item)?) {
            return Err(StoreError::ETagMismatch(Box::new(Found(item))));
        }
        Ok(item)
    }

    /// Reads what is known of a session without its data (as many calls as [`Self::read`]).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] for an item that this code did not write.
    pub async fn head(&self, id: &SessionId, now: Timestamp) -> Result<Metadata, StoreError> {
        let item = self.get(&id.handle(), item::METADATA, now).await?;
        self.expect_successor_lives(&item, now).await?;
        Ok(item::metadata(&item)?)
    }

    /// An id that was rotated with a grace is good for as long as the session that it became, which
    /// may itself have been rotated since.
    async fn expect_successor_lives(&self, item: &Item, now: Timestamp) -> Result<(), StoreError> {
        let mut successor = item::successor(item)?;
        while let Some(handle) = successor {
            let item = self.get(&handle, item::METADATA, now).await?;
            successor = item::successor(&item)?;
        }
        Ok(())
    }

    /// Puts new data in the place of a live session's, slides its expiry, and gives the data's new
    /// version (one `UpdateItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] and [`StoreError::NotLockHolder`] where the
    /// lock is not as claimed; [`StoreError::ETagMismatch`] where the data is not of the version
    /// that the precondition asks for; [`StoreError::TooLarge`].
    pub async fn replace(
        &self,
        id: &SessionId,
        new: Replacement<'_>,
        precondition: &Precondition,
        claim: &LockClaim,
        now: Timestamp,
    ) -> Result<ETag, StoreError> {
        let etag = ETag::generate()?;
        let sealed = seal::seal(id, &new.media_type, new.data)?;
        let update = Expression::if_live(now)
            .and_version(precondition)
            .and_lock(claim, now)
            .set(DATA, item::bytes(sealed))
            .set(TYPE, item::text(new.media_type.as_str()))
            .set(ETAG, item::text(etag.as_str()))
            .set_some(USER, new.user.map(|user| item::text(user.expose())))
            .slide(new.ttl, now);
        let update = match claim {
            LockClaim::Released(_) => update.unlock(),
            LockClaim::Held(_) | LockClaim::Unlocked => update,
        };
        match self.update(id, update, ReturnValue::None).await? {
            Update::Done(_) => Ok(etag),
            Update::Refused(Some(item)) if is_own_write(&item, &etag) => Ok(etag),
            Update::Refused(item) => Err(why_refused(item, claim, now)),
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
            Update::Refused(Some(item)) => {
                item::lifetime(&item)?;
                Err(StoreError::NotFound)
            }
            Update::Refused(None) => Err(StoreError::NotFound),
        }
    }

    /// Ends a session; also done where there was none (one `DeleteItem`).
    ///
    /// # Errors
    /// [`StoreError::ETagMismatch`] where the data is not of the version that the precondition
    /// asks for; [`StoreError::NotFound`] where the session has moved to another id and lives on.
    pub async fn destroy(
        &self,
        id: &SessionId,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = Expression::if_free(now).or_current(precondition);
        match self.delete(&id.handle(), condition).await? {
            Update::Done(_) => Ok(()),
            Update::Refused(Some(item)) if item::successor(&item)?.is_none() => {
                Err(StoreError::ETagMismatch(Box::new(Found(item))))
            }
            Update::Refused(_) => Err(StoreError::NotFound),
        }
    }

    /// The live item of a handle: these attributes, or all where none is named.
    async fn get(
        &self,
        handle: &Handle,
        attributes: &[&str],
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
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

    async fn delete(&self, handle: &Handle, condition: Expression) -> Result<Update, StoreError> {
        let sent = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.meter.clone())
            .send()
            .await;
        match sent {
            Ok(output) => {
                self.meter.consumed(output.consumed_capacity());
                Ok(Update::Done(Item::new()))
            }
            Err(error) => {
                let found = refusal(error, |e| match e {
                    DeleteItemError::ConditionalCheckFailedException(refused) => Some(refused),
                    _ => None,
                })?;
                Ok(Update::Refused(found))
            }
        }
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

/// What became of an update or a deletion.
enum Update {
    /// It was made; with the attributes that were asked for.
    Done(Item),
    /// Its condition did not hold; with the item that was there, if any.
    Refused(Option<Item>),
}

/// Opens an item for whoever has its id.
fn open(id: &SessionId, mut item: Item) -> Result<Session, StoreError> {
    let metadata = item::metadata(&item)?;
    let sealed = item::take_sealed(&mut item)?;
    let data = seal::open(id, &metadata.media_type, sealed).map_err(CorruptItem::Data)?;
    Ok(Session { metadata, data })
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

/// What stood in the way of a write that claimed this of the lock.
fn why_refused(found: Option<Item>, claim: &LockClaim, now: Timestamp) -> StoreError {
    found
        .map_or(Ok(StoreError::NotFound), |item| obstacle(item, claim, now))
        .unwrap_or_else(Into::into)
}

fn obstacle(item: Item, claim: &LockClaim, now: Timestamp) -> Result<StoreError, CorruptItem> {
    if !item::lifetime(&item)?.is_live(now) || item::successor(&item)?.is_some() {
        return Ok(StoreError::NotFound);
    }
    let lock = item::lock(&item)?;
    let held = lock.as_ref().filter(|lock| lock.until > now);
    let is_as_claimed = match claim {
        LockClaim::Unlocked => held.is_none(),
        LockClaim::Held(token) | LockClaim::Released(token) => {
            lock.as_ref().is_some_and(|lock| lock.token == *token)
        }
    };
    Ok(match held {
        _ if is_as_claimed => StoreError::ETagMismatch(Box::new(Found(item))),
        Some(lock) => StoreError::Locked { until: lock.until },
        None => StoreError::NotLockHolder,
    })
}
