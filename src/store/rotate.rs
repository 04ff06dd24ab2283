//! Rotation of a session to a new id.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::SessionStore;
use super::condition::{self, Version};
use super::error::StoreError;
use super::expression::Expression;
use super::item::{
    self, DATA, ETAG, EXPIRES, ID, Item, LABEL, LOCK, LOCK_UNTIL, PREDECESSOR, SUCCESSOR,
    SealedSession, TTL, TYPE, USER, WRITES,
};
use super::replace::NewData;
use super::transaction::TransactionOutcome;
use super::write::Write;
use crate::seal;
use crate::session::{
    Change, ETag, ETagCondition, Label, Lifetime, Liveness, SessionId, Timestamp, User, WriteId,
};

/// A rotation, apart from the ids.
pub struct Rotation<'a> {
    /// New data; `None` keeps the current data and its version.
    pub data: Option<NewData<'a>>,
    /// Time for which the old id stays readable; `None` for none.
    pub grace: Option<Duration>,
    /// Whether the caller chose the new id. Only then can a request be a retry of an applied one.
    pub is_repeatable: bool,
    /// What the rotation changes and requires, as any other write.
    pub write: Write,
}

/// A session under its new id.
#[derive(Debug)]
pub struct Rotated {
    /// When the session ends. For a retry of a rotation that named no lifetime, its current end.
    pub lifetime: Lifetime,
    /// Version of the data at the rotation. `None` if an earlier attempt was applied, and the data
    /// changed since.
    pub etag: Option<ETag>,
    /// Owner.
    pub user: Option<User>,
}

impl SessionStore {
    /// Returns the write id of a rotation to this id, the same for each of its attempts.
    pub fn rotation_id(new: &SessionId) -> WriteId {
        WriteId::derive(new, &[b"rotate"])
    }

    /// Rotates a session from one id to another (one `GetItem`, one `TransactWriteItems`). Everything
    /// that the rotation does not change is carried over as it is at that moment. Either the session has
    /// the new id afterwards, or nothing changed. If an earlier attempt was applied, it responds as that
    /// one did (one more `GetItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock
    /// is not as required; [`StoreError::ETagMismatch`] if the data does not have the required
    /// version; [`StoreError::Changed`] if the session changed between the two calls;
    /// [`StoreError::AlreadyExists`] if a live session has the new id; [`StoreError::TooLarge`].
    pub async fn rotate(
        &self,
        old: &SessionId,
        new: &SessionId,
        rotation: &Rotation<'_>,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        // Data that is too large is refused without a call.
        let sealed = rotation.data.map(|data| seal::seal(new, data.media_type, data.bytes));
        let sealed = sealed.transpose()?;
        let item = match self.required_item(old, required, now).await {
            // An earlier attempt may have rotated it, and a session may have been created under the old id
            // since.
            Err(refusal @ (StoreError::NotFound | StoreError::ETagMismatch(_)))
                if rotation.is_repeatable =>
            {
                return self.find_rotated(old, new, rotation, now).await?.ok_or(refusal);
            }
            item => item?,
        };
        let revision = item::recent_writes(&item)?.revision().clone();
        let rotated = rotated_item(old, new, rotation, sealed, item, now)?;
        let metadata = item::metadata(&rotated)?;
        let requirements = rotation.write.requires(Version::AsRead(&revision), self.liveness(now));
        let retire = self.retire_old(old, new, requirements.condition(), rotation, now)?;
        let put = self.put_new(rotated, now)?;
        match self.transact([retire, put]).await? {
            TransactionOutcome::Applied => Ok(Rotated {
                lifetime: metadata.lifetime,
                etag: Some(metadata.etag),
                user: metadata.user,
            }),
            TransactionOutcome::Refused { second: Some(item), is_in_doubt, .. } => {
                let taken = || match is_in_doubt {
                    true => StoreError::OutcomeUnknown,
                    false => StoreError::AlreadyExists(None),
                };
                rotated_before(old, rotation, &item, self.liveness(now))?.ok_or_else(taken)
            }
            TransactionOutcome::Refused { is_in_doubt: true, .. } => {
                self.find_rotated(old, new, rotation, now).await?.ok_or(StoreError::OutcomeUnknown)
            }
            TransactionOutcome::Refused { first, .. } => Err(requirements.refusal_reason(first)),
        }
    }

    /// Reads the item of a session whose data has the required version (one `GetItem`).
    async fn required_item(
        &self,
        id: &SessionId,
        required: &ETagCondition,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.item_for_update(id, now).await?;
        if required.matches(&item::etag(&item)?) {
            Ok(item)
        } else {
            Err(StoreError::ETagMismatch(Box::new(SealedSession(item))))
        }
    }

    /// Finds the session under its new id if an earlier attempt rotated it (one `GetItem`).
    async fn find_rotated(
        &self,
        old: &SessionId,
        new: &SessionId,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Option<Rotated>, StoreError> {
        let attributes = [item::METADATA, &WRITES].concat();
        match self.get_item(new.handle(), &attributes).await? {
            Some(item) => rotated_before(old, rotation, &item, self.liveness(now)),
            None => Ok(None),
        }
    }

    /// Returns the write that inserts the item of the new id.
    fn put_new(&self, item: Item, now: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let absent = condition::if_absent(self.liveness(now));
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(absent.condition())
            .set_expression_attribute_names(Some(absent.names))
            .set_expression_attribute_values(Some(absent.values))
            .return_values_on_condition_check_failure(ALL_OLD)
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
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let key = item::text(old.handle().as_str());
        let write = TransactWriteItem::builder();
        let Some(grace) = rotation.grace else {
            let delete = Delete::builder()
                .table_name(&*self.table)
                .key(ID, key)
                .condition_expression(condition.condition())
                .set_expression_attribute_names(Some(condition.names))
                .set_expression_attribute_values(Some(condition.values))
                .return_values_on_condition_check_failure(ALL_OLD)
                .build()
                .map_err(incomplete)?;
            return Ok(write.delete(delete).build());
        };
        // The old id belongs to the same user as the new one, so that revoke-all ends it too. It gets the
        // write id as well: an earlier write that is repeated must not take this state for its own.
        let update = condition
            .once(&rotation.write.id)
            .set(SUCCESSOR, item::text(new.handle().as_str()))
            .set(EXPIRES, item::number(now.after(grace).seconds()))
            .change(USER, &rotation.write.attributes.user, User::expose)
            .release_lock();
        let update = Update::builder()
            .table_name(&*self.table)
            .key(ID, key)
            .update_expression(update.update())
            .condition_expression(update.condition())
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .map_err(incomplete)?;
        Ok(write.update(update).build())
    }
}

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// A write lacks a required field. [`SessionStore::rotate`] sets all of them.
fn incomplete(error: BuildError) -> StoreError {
    StoreError::Refused(error.into())
}

/// Returns the session if an earlier attempt rotated it to this item of the new id.
fn rotated_before(
    old: &SessionId,
    rotation: &Rotation<'_>,
    item: &Item,
    live: Liveness,
) -> Result<Option<Rotated>, StoreError> {
    let is_own = item::predecessor(item)?.as_ref() == Some(old.handle());
    if !is_own || item::successor(item)?.is_some() || !item::is_live(item, live)? {
        return Ok(None);
    }
    let metadata = item::metadata(item)?;
    let etag = match rotation.data {
        Some(_) => Some(rotation.write.id.etag()),
        None => item::etag_at(item, &rotation.write.id)?,
    };
    let lifetime = rotation.write.lifetime_before(item, live.now)?;
    Ok(Some(Rotated { lifetime, etag, user: metadata.user }))
}

/// Returns the item under its new id. Everything that the rotation does not change is carried over.
fn rotated_item(
    old: &SessionId,
    new: &SessionId,
    rotation: &Rotation<'_>,
    sealed: Option<Vec<u8>>,
    item: Item,
    now: Timestamp,
) -> Result<Item, StoreError> {
    let Write { id: write, attributes, lock } = &rotation.write;
    let mut rotated = item.clone();
    let metadata = item::metadata(&item)?;
    let ttl = attributes.ttl.unwrap_or(metadata.ttl);
    if let Some(NewData { media_type, .. }) = rotation.data {
        rotated.insert(TYPE.to_owned(), item::text(media_type.as_str()));
        rotated.insert(ETAG.to_owned(), item::text(write.as_str()));
    }
    let sealed = match sealed {
        Some(sealed) => sealed,
        None => {
            // The key is derived from the id, so even unchanged data is sealed again.
            let session = item::open(old, item)?;
            seal::seal(new, &session.metadata.media_type, &session.data)?
        }
    };
    rotated.insert(DATA.to_owned(), item::bytes(sealed));
    rotated.insert(ID.to_owned(), item::text(new.handle().as_str()));
    rotated.insert(PREDECESSOR.to_owned(), item::text(old.handle().as_str()));
    rotated.insert(TTL.to_owned(), item::number(ttl.as_secs()));
    rotated.insert(EXPIRES.to_owned(), item::number(now.after(ttl).seconds()));
    item::push_write(&mut rotated, write);
    change(&mut rotated, USER, &attributes.user, User::expose);
    change(&mut rotated, LABEL, &attributes.label, Label::expose);
    if lock.releases() {
        rotated.remove(LOCK);
        rotated.remove(LOCK_UNTIL);
    }
    Ok(rotated)
}

/// Sets or removes an optional attribute of an item.
fn change<T>(item: &mut Item, name: &str, change: &Change<T>, value: impl Fn(&T) -> &str) {
    match change {
        Change::Keep => None,
        Change::Set(new) => item.insert(name.to_owned(), item::text(value(new))),
        Change::Remove => item.remove(name),
    };
}
