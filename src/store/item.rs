//! A session as an item of the table, and back. The names of its attributes stand here once.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::seal::OpenError;
use crate::session::{
    ETag, Handle, Lifetime, LockToken, MediaType, Metadata, Timestamp, Ttl, User,
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
/// Version of the data.
pub(super) const ETAG: &str = "etag";
/// Epoch milliseconds at which the session was made.
pub(super) const CREATED: &str = "created";
/// Epoch seconds at which the session ends however much it is used.
pub(super) const DEADLINE: &str = "deadline";
/// Whom the session belongs to; hash key of the index.
pub(super) const USER: &str = "user";

/// Token of the lock's holder.
pub(super) const LOCK: &str = "lock";
/// Epoch milliseconds at which the lock falls by itself.
pub(super) const LOCK_UNTIL: &str = "lock_until";
/// Handle that the session moved to; on an id that was rotated with a grace.
pub(super) const SUCCESSOR: &str = "successor";

/// The deadline of a session that has none, for the one place that must write a number: 9999-12-31.
pub(super) const NEVER: u64 = 253_402_300_799;

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that this code cannot have written, or that was changed since.
#[derive(Debug, thiserror::Error)]
pub enum CorruptItem {
    /// The attribute is missing, of the wrong type, or holds what it never may.
    #[error("the item's attribute {0:?} is missing or malformed")]
    Attribute(&'static str),
    /// The data does not open.
    #[error(transparent)]
    Data(#[from] OpenError),
}

/// A lock that somebody took.
pub(super) struct Lock {
    pub(super) token: LockToken,
    /// When it falls by itself.
    pub(super) until: Timestamp,
}

/// What [`metadata`], [`lifetime`] and [`successor`] read.
pub(super) const METADATA: &[&str] = &[ETAG, TYPE, CREATED, EXPIRES, DEADLINE, USER, SUCCESSOR];

/// Attributes that say who holds the lock of a session, and whether the session is live.
pub(super) const LOCK_STATE: &[&str] = &[EXPIRES, DEADLINE, SUCCESSOR, LOCK, LOCK_UNTIL];

/// The item of a session that is made.
pub(super) fn new(handle: &Handle, ttl: Ttl, sealed: Vec<u8>, metadata: &Metadata) -> Item {
    let Metadata { etag, media_type, created, lifetime, user } = metadata;
    let mut item = HashMap::from([
        (ID.to_owned(), text(handle.as_str())),
        (EXPIRES.to_owned(), number(lifetime.expires)),
        (TTL.to_owned(), number(ttl.seconds().into())),
        (DATA.to_owned(), bytes(sealed)),
        (TYPE.to_owned(), text(media_type.as_str())),
        (ETAG.to_owned(), text(etag.as_str())),
        (CREATED.to_owned(), number(created.millis())),
    ]);
    item.extend(lifetime.deadline.map(|deadline| (DEADLINE.to_owned(), number(deadline))));
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
    Ok(Lifetime { expires: integer(item, EXPIRES)?, deadline })
}

/// Reads the version of the data.
pub(super) fn etag(item: &Item) -> Result<ETag, CorruptItem> {
    string(item, ETAG).map(ETag::from_text)
}

/// Reads who holds the lock and until when, if anybody took it and did not give it back.
pub(super) fn lock(item: &Item) -> Result<Option<Lock>, CorruptItem> {
    match item.get(LOCK) {
        None => Ok(None),
        Some(_) => Ok(Some(Lock {
            token: parsed(item, LOCK, LockToken::parse)?,
            until: Timestamp::from_millis(integer(item, LOCK_UNTIL)?),
        })),
    }
}

/// Reads where the session moved to, if it did.
pub(super) fn successor(item: &Item) -> Result<Option<Handle>, CorruptItem> {
    match item.get(SUCCESSOR) {
        None => Ok(None),
        Some(_) => parsed(item, SUCCESSOR, Handle::parse).map(Some),
    }
}

/// Reads the idle lifetime.
pub(super) fn ttl(item: &Item) -> Result<Ttl, CorruptItem> {
    let seconds = u32::try_from(integer(item, TTL)?);
    seconds.map(Ttl::from_seconds).map_err(|_| CorruptItem::Attribute(TTL))
}

/// Reads the handle.
pub(super) fn handle(item: &Item) -> Result<Handle, CorruptItem> {
    parsed(item, ID, Handle::parse)
}

/// Takes the sealed data out of the item.
pub(super) fn take_sealed(item: &mut Item) -> Result<Vec<u8>, CorruptItem> {
    match item.remove(DATA) {
        Some(AttributeValue::B(sealed)) => Ok(sealed.into_inner()),
        _ => Err(CorruptItem::Attribute(DATA)),
    }
}

/// A string attribute's value.
pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A number attribute's value.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A binary attribute's value.
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
