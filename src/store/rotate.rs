//! Rotates a session to a new id.

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
    self, CorruptItem, DATA, ETAG, EXPIRES, ID, Item, LABEL, LOCK, LOCK_UNTIL, OWNED, PREDECESSOR,
    SUCCESSOR, TTL, TYPE, USER,
};
use super::replace::NewData;
use super::transaction::TransactionOutcome;
use super::write::Write;
use crate::seal;
use crate::session::{
    Change, ETag, ETagCondition, Label, Lifetime, Liveness, SessionId, Timestamp, User, WriteId,
};

/// A rotation of a session from one id to another.
pub struct Rotation<'a> {
    /// Id that the session leaves.
    pub old: &'a SessionId,
    /// Id that the session gets.
    pub new: &'a SessionId,
    /// New data; `None` keeps the current data and its version.
    pub data: Option<NewData<'a>>,
    /// How long the old id stays readable; `None` if it doesn't.
    pub grace: Option<Duration>,
    /// Whether the caller chose the new id. Only then can this be a retry of a rotation that was applied.
    pub is_repeatable: bool,
    /// Version that the data must have.
    pub required: ETagCondition,
    /// What the rotation changes and requires, like any other write.
    pub write: Write,
}

/// A session under its new id.
#[derive(Debug)]
pub struct Rotated {
    /// When the session was created, and when it expires.
    pub lifetime: Lifetime,
    /// Version of the data as of the rotation. `None` if an earlier attempt was applied and the data has changed
    /// since.
    pub etag: Option<ETag>,
}

impl SessionStore {
    /// Returns the write id for a rotation between these ids, which is the same for all its attempts.
    pub fn rotation_id(old: &SessionId, new: &SessionId) -> WriteId {
        WriteId::derive(new, &[b"rotate", old.handle().as_str().as_bytes()])
    }

    /// Rotates a session from one id to another (one `GetItem`, one `TransactWriteItems`). Everything that the rotation
    /// doesn't change is carried over as it is at that moment. Afterwards, either the session has the new id or nothing
    /// has changed. If an earlier attempt was applied, returns its result (one more `GetItem`).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Locked`] or [`StoreError::NotLockHolder`] if the lock isn't as
    /// required; [`StoreError::ETagMismatch`] if the data doesn't have the required version;
    /// [`StoreError::Changed`] if the session changed between the two calls; [`StoreError::AlreadyExists`] if a
    /// live session has the new id; [`StoreError::TooLarge`].
    pub async fn rotate(
        &self,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        // Refuse data that's too large before making any call.
        let sealed = rotation
            .data
            .map(|data| seal::seal(rotation.new, data.media_type, data.bytes))
            .transpose()?;
        let item = match self.item_to_rotate(rotation, now).await {
            // An earlier attempt may have rotated the session, and a new session may have been created under the old id
            // since.
            Err(
                refusal @ (StoreError::NotFound
                | StoreError::Locked { .. }
                | StoreError::NotLockHolder
                | StoreError::ETagMismatch(_)
                | StoreError::OutcomeUnknown),
            ) if rotation.is_repeatable => {
                return self.find_rotated(rotation, now).await?.ok_or(refusal);
            }
            item => item?,
        };
        let revision = item::recent_writes(&item)?.revision().clone();
        let rotated = self.rotated_item(rotation, sealed, item, now)?;
        let done =
            Rotated { lifetime: item::lifetime(&rotated)?, etag: Some(item::etag(&rotated)?) };
        let live = self.liveness(now);
        let required = rotation.write.requires(Version::AsRead(&revision), live);
        let mut free = condition::if_absent_or_left_for(live, rotation.old.handle());
        loop {
            let retire = self.retire_old(rotation, required.condition(), now)?;
            let put = self.put_new(rotated.clone(), free)?;
            match self.transact([retire, put]).await? {
                TransactionOutcome::Applied => return Ok(done),
                TransactionOutcome::Refused { second: Some(item), is_in_doubt, .. } => {
                    if let Some(rotated) = rotated_before(rotation, &item, live)? {
                        return Ok(rotated);
                    } else if is_in_doubt {
                        return Err(StoreError::OutcomeUnknown);
                    } else if !self.is_grace_over(rotation.new.handle(), &item, now).await? {
                        return Err(StoreError::AlreadyExists(None));
                    }
                    let writes = item::recent_writes(&item)?;
                    free = condition::if_absent_or_as_read(live, writes.revision());
                }
                TransactionOutcome::Refused { is_in_doubt: true, .. } => {
                    let found = self.find_rotated(rotation, now).await?;
                    return found.ok_or(StoreError::OutcomeUnknown);
                }
                TransactionOutcome::Refused { first, .. } => {
                    let item = first.ok_or(StoreError::NotFound)?;
                    return Err(required.refusal(&item)?.unwrap_or(StoreError::Changed));
                }
            }
        }
    }

    /// Reads the item to rotate and checks that it meets the rotation's requirements (one `GetItem`).
    async fn item_to_rotate(
        &self,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let item = self.get_item(rotation.old.handle(), &[]).await?.ok_or(StoreError::NotFound)?;
        let version = Version::Data(&rotation.required);
        match rotation.write.requires(version, self.liveness(now)).refusal(&item)? {
            Some(reason) => Err(reason),
            None => Ok(item),
        }
    }

    /// Finds the session under its new id if an earlier attempt rotated it (one `GetItem`).
    async fn find_rotated(
        &self,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Option<Rotated>, StoreError> {
        match self.get_item(rotation.new.handle(), item::STATE).await? {
            Some(item) => Ok(rotated_before(rotation, &item, self.liveness(now))?),
            None => Ok(None),
        }
    }

    /// Returns the write that inserts the item under the new id.
    fn put_new(&self, item: Item, free: Expression) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(free.condition())
            .set_expression_attribute_names(Some(free.names))
            .set_expression_attribute_values(Some(free.values))
            .return_values_on_condition_check_failure(ALL_OLD)
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Returns the write that deletes the item under the old id, or that keeps it readable for the grace period. The
    /// old item keeps its old owner, so whoever knew the id before a login learns nothing new.
    fn retire_old(
        &self,
        rotation: &Rotation<'_>,
        condition: Expression,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let key = item::text(rotation.old.handle().as_str());
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
        // The old item gets the write id too, so a repeat of an earlier write doesn't mistake this state for its
        // own. The write id may already be there if the session has returned to an id that it had before.
        let update = condition
            .push_write(&rotation.write.id)
            .set(SUCCESSOR, item::text(rotation.new.handle().as_str()))
            .set(EXPIRES, item::number(now.after(grace).seconds()))
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

    /// Returns the item under its new id. Everything that the rotation doesn't change is carried over.
    fn rotated_item(
        &self,
        rotation: &Rotation<'_>,
        sealed: Option<Vec<u8>>,
        item: Item,
        now: Timestamp,
    ) -> Result<Item, StoreError> {
        let Write { id: write, attributes, lock } = &rotation.write;
        let mut rotated = item.clone();
        let ttl = attributes.ttl.unwrap_or(self.limits.clamp(item::ttl(&item)?));
        if let Some(NewData { media_type, .. }) = rotation.data {
            rotated.insert(TYPE.to_owned(), item::text(media_type.as_str()));
            rotated.insert(ETAG.to_owned(), item::text(ETag::generate(write)?.as_str()));
        }
        let sealed = match sealed {
            Some(sealed) => sealed,
            None => {
                // The key is derived from the id, so even unchanged data is sealed again.
                let session = item::open(rotation.old, item)?;
                seal::seal(rotation.new, &session.metadata.media_type, &session.data)?
            }
        };
        rotated.insert(DATA.to_owned(), item::bytes(sealed));
        rotated.insert(ID.to_owned(), item::text(rotation.new.handle().as_str()));
        rotated.insert(PREDECESSOR.to_owned(), item::text(rotation.old.handle().as_str()));
        rotated.insert(TTL.to_owned(), item::number(ttl.as_secs()));
        rotated.insert(EXPIRES.to_owned(), item::number(now.after(ttl).seconds()));
        item::push_write(&mut rotated, write);
        change(&mut rotated, USER, &attributes.user, User::expose);
        change(&mut rotated, LABEL, &attributes.label, Label::expose);
        match attributes.user {
            Change::Keep => None,
            Change::Set(_) => rotated.insert(OWNED.to_owned(), item::number(now.millis())),
            Change::Remove => rotated.remove(OWNED),
        };
        if lock.releases() {
            rotated.remove(LOCK);
            rotated.remove(LOCK_UNTIL);
        }
        Ok(rotated)
    }
}

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// A write lacks a required field. Never happens, because [`SessionStore::rotate`] sets all of them.
fn incomplete(error: BuildError) -> StoreError {
    StoreError::Refused(error.into())
}

/// Returns the session if this item under the new id is the result of an earlier attempt.
fn rotated_before(
    rotation: &Rotation<'_>,
    item: &Item,
    live: Liveness,
) -> Result<Option<Rotated>, CorruptItem> {
    let write = &rotation.write.id;
    // A session that lost its owner no longer knows its former id.
    let is_own = item::predecessor(item)?.as_ref() == Some(rotation.old.handle())
        || item::has_write(item, write);
    if !is_own || !item::is_current(item, live)? {
        return Ok(None);
    }
    Ok(Some(Rotated { lifetime: item::lifetime(item)?, etag: item::etag_at(item, write)? }))
}

/// Sets or removes an optional attribute of an item.
fn change<T>(item: &mut Item, name: &str, change: &Change<T>, value: impl Fn(&T) -> &str) {
    match change {
        Change::Keep => None,
        Change::Set(new) => item.insert(name.to_owned(), item::text(value(new))),
        Change::Remove => item.remove(name),
    };
}
