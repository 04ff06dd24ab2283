//! Conversion between sessions and items of the table. Attribute names are defined here only.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::seal::{self, OpenError};
use crate::session::{
    ETag, Handle, Lifetime, LockToken, MediaType, Metadata, Session, SessionId, Timestamp, User,
};

/// Partition key: the session's handle.
pub(super) const ID: &str = "id";
/// Epoch seconds at which an idle session ends; the table's TTL attribute.
pub(super) const EXPIRES: &str = "expires";
/// Idle lifetime in seconds.
pub(super) const TTL: &str = "ttl";
/// Sealed data.
pub(super) const DATA: &str = "data";
/// Media type of the data.
pub(super) const TYPE: &str = "type";
/// Version of the data: its entity tag.
pub(super) const ETAG: &str = "etag";
/// Epoch milliseconds at which the session was created.
pub(super) const CREATED: &str = "created";
/// Epoch seconds of the session's absolute end; absent if it has none.
pub(super) const DEADLINE: &str = "deadline";
/// Owner; hash key of [`USER_INDEX`].
pub(super) const USER: &str = "user";
/// Token of the lock's holder.
pub(super) const LOCK: &str = "lock";
/// Epoch milliseconds at which the lock expires.
pub(super) const LOCK_UNTIL: &str = "lock_until";
/// Handle of the session's new id, on an id that was rotated away with a grace period.
pub(super) const SUCCESSOR: &str = "successor";

/// Index of the table that finds the items of a user.
pub(super) const USER_INDEX: &str = "user-index";

/// Deadline of a session without one, where an expression requires a number: the end of 9999, in epoch
/// seconds.
pub(super) const NEVER: u64 = 253_402_300_799;

/// An item, as the SDK represents it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Reasons why an item is not one that this code wrote.
#[derive(Debug, thiserror::Error)]
pub enum CorruptItem {
    /// The attribute is missing, has the wrong type or holds an invalid value.
    #[error("the item's attribute {0:?} is missing or malformed")]
    Attribute(&'static str),
    /// The data cannot be opened.
    #[error(transparent)]
    Data(#[from] OpenError),
}

/// A lock that was taken and not released.
pub(super) struct Lock {
    pub(super) token: LockToken,
    /// When it expires.
    pub(super) until: Timestamp,
}

/// Attributes that [`metadata`], [`lifetime`] and [`successor`] read.
pub(super) const METADATA: &[&str] = &[ETAG, TYPE, CREATED, EXPIRES, DEADLINE, USER, SUCCESSOR];

/// Attributes that [`lock`], [`lifetime`] and [`successor`] read.
pub(super) const LOCK_STATE: &[&str] = &[EXPIRES, DEADLINE, SUCCESSOR, LOCK, LOCK_UNTIL];

/// Returns the item of a new session.
pub(super) fn new(handle: &Handle, ttl: Duration, sealed: Vec<u8>, metadata: &Metadata) -> Item {
    let Metadata { etag, media_type, created, lifetime, user } = metadata;
    let mut item = HashMap::from([
        (ID.to_owned(), text(handle.as_str())),
        (EXPIRES.to_owned(), number(lifetime.expires.seconds())),
        (TTL.to_owned(), number(ttl.as_secs())),
        (DATA.to_owned(), bytes(sealed)),
        (TYPE.to_owned(), text(media_type.as_str())),
        (ETAG.to_owned(), text(etag.as_str())),
        (CREATED.to_owned(), number(created.millis())),
    ]);
    item.extend(
        lifetime.deadline.map(|deadline| (DEADLINE.to_owned(), number(deadline.seconds()))),
    );
    item.extend(user.as_ref().map(|user| (USER.to_owned(), text(user.expose()))));
    item
}

/// Reads everything but the data.
pub(super) fn metadata(item: &Item) -> Result<Metadata, CorruptItem> {
    let user = match item.get(USER) {
        None => None,
        Some(_) => Some(parsed(item, USER, User::parse)?),
    };
    Ok(Metadata {
        etag: etag(item)?,
        media_type: parsed(item, TYPE, MediaType::parse)?,
        created: Timestamp::from_millis(integer(item, CREATED)?),
        lifetime: lifetime(item)?,
        user,
    })
}

/// Reads when the session ends.
pub(super) fn lifetime(item: &Item) -> Result<Lifetime, CorruptItem> {
    let deadline = match item.get(DEADLINE) {
        None => None,
        Some(_) => Some(integer(item, DEADLINE)?).filter(|&deadline| deadline < NEVER),
    };
    Ok(Lifetime {
        expires: Timestamp::from_seconds(integer(item, EXPIRES)?),
        deadline: deadline.map(Timestamp::from_seconds),
    })
}

/// Reads the version of the data.
pub(super) fn etag(item: &Item) -> Result<ETag, CorruptItem> {
    parsed(item, ETAG, ETag::parse)
}

/// Reads the lock, whether it has expired or not. Returns `None` if it was released or never taken.
pub(super) fn lock(item: &Item) -> Result<Option<Lock>, CorruptItem> {
    match item.get(LOCK) {
        None => Ok(None),
        Some(_) => Ok(Some(Lock {
            token: parsed(item, LOCK, LockToken::parse)?,
            until: Timestamp::from_millis(integer(item, LOCK_UNTIL)?),
        })),
    }
}

/// Reads the handle of the session's new id. Returns `None` unless it was rotated away.
pub(super) fn successor(item: &Item) -> Result<Option<Handle>, CorruptItem> {
    match item.get(SUCCESSOR) {
        None => Ok(None),
        Some(_) => parsed(item, SUCCESSOR, Handle::parse).map(Some),
    }
}

/// Reads the idle lifetime.
pub(super) fn ttl(item: &Item) -> Result<Duration, CorruptItem> {
    let seconds = u32::try_from(integer(item, TTL)?).map_err(|_| CorruptItem::Attribute(TTL))?;
    Ok(Duration::from_secs(seconds.into()))
}

/// Reads the handle.
pub(super) fn handle(item: &Item) -> Result<Handle, CorruptItem> {
    parsed(item, ID, Handle::parse)
}

/// Whether the data of an item has this version. A write that is refused because of its own version
/// was applied by an earlier attempt, whose response was lost.
pub(super) fn has_etag(item: &Item, expected: &ETag) -> bool {
    etag(item).is_ok_and(|etag| etag == *expected)
}

/// Opens an item with the session's id.
pub(super) fn open(id: &SessionId, mut item: Item) -> Result<Session, CorruptItem> {
    let metadata = metadata(&item)?;
    let sealed = take_sealed(&mut item)?;
    let data = seal::open(id, &metadata.media_type, sealed)?;
    Ok(Session { metadata, data })
}

/// A session that a write was refused for, still sealed.
pub struct SealedSession(pub(super) Item);

impl SealedSession {
    /// Opens the session with its id.
    ///
    /// # Errors
    /// [`CorruptItem`] if the item cannot be opened.
    pub fn open(self, id: &SessionId) -> Result<Session, CorruptItem> {
        open(id, self.0)
    }
}

impl fmt::Debug for SealedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSession([sealed])")
    }
}

/// Removes the sealed data from the item and returns it.
fn take_sealed(item: &mut Item) -> Result<Vec<u8>, CorruptItem> {
    match item.remove(DATA) {
        Some(AttributeValue::B(sealed)) => Ok(sealed.into_inner()),
        _ => Err(CorruptItem::Attribute(DATA)),
    }
}

/// Returns the value of a string attribute.
pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Returns the value of a number attribute.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Returns the value of a binary attribute.
pub(super) fn bytes(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

fn string<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, CorruptItem> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).ok_or(CorruptItem::Attribute(name))
}

fn parsed<T>(
    item: &Item,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, CorruptItem> {
    parse(string(item, name)?).ok_or(CorruptItem::Attribute(name))
}

fn integer(item: &Item, name: &'static str) -> Result<u64, CorruptItem> {
    let value = item.get(name).and_then(|value| value.as_n().ok());
    value.and_then(|value| value.parse().ok()).ok_or(CorruptItem::Attribute(name))
}
