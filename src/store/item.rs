//! Converts between sessions and the table's items. Attribute names are defined only here.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::seal::{self, OpenError};
use crate::session::{
    ETag, Handle, Label, Lifetime, Liveness, LockToken, MediaType, Metadata, RecentWrites, Session,
    SessionId, Timestamp, User, WriteId,
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
/// The last write ids, newest first. The newest is the item's revision.
pub(super) const WRITES: [&str; RecentWrites::LENGTH] = ["w0", "w1", "w2", "w3"];
/// Epoch milliseconds at which the session was created.
pub(super) const CREATED: &str = "created";
/// Owner; hash key of [`USER_INDEX`].
pub(super) const USER: &str = "user";
/// Epoch milliseconds at which the owner was last set; absent without an owner.
pub(super) const OWNED: &str = "owned";
/// Name shown in the user's device list, in plain text.
pub(super) const LABEL: &str = "label";
/// Token of the lock's holder.
pub(super) const LOCK: &str = "lock";
/// Epoch milliseconds at which the lock expires.
pub(super) const LOCK_UNTIL: &str = "lock_until";
/// Handle of the session's new id, on an item that was rotated away with a grace period.
pub(super) const SUCCESSOR: &str = "successor";
/// Handle of the session's former id, on an item that a rotation made.
pub(super) const PREDECESSOR: &str = "predecessor";

/// The table's index for finding a user's items.
pub(super) const USER_INDEX: &str = "user-index";

/// Placeholder for the writes that a new item hasn't had yet: an update expression can't read a missing
/// attribute.
const NO_WRITE: &str = "-";

/// An item, as the SDK represents it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Why an item can't be one that this code wrote.
#[derive(Debug, thiserror::Error)]
pub enum CorruptItem {
    /// The attribute is missing, has the wrong type, or holds an invalid value.
    #[error("the item's attribute {0:?} is missing or malformed")]
    Attribute(&'static str),
    /// The data can't be opened.
    #[error(transparent)]
    Data(#[from] OpenError),
}

/// A lock that was taken and hasn't been released.
pub(super) struct Lock {
    pub(super) token: LockToken,
    /// When it expires.
    pub(super) until: Timestamp,
}

/// Attributes that [`metadata`], [`is_live`], [`owned`], [`successor`], and [`predecessor`] read.
pub(super) const METADATA: &[&str] =
    &[ETAG, TYPE, CREATED, EXPIRES, TTL, USER, OWNED, LABEL, SUCCESSOR, PREDECESSOR];

/// Attributes that [`is_current`], [`recent_writes`], [`etag_at`], [`lock`], and [`predecessor`] read.
pub(super) const STATE: &[&str] =
    &[ETAG, CREATED, EXPIRES, SUCCESSOR, PREDECESSOR, LOCK, LOCK_UNTIL, "w0", "w1", "w2", "w3"];

/// Returns the item for a new session.
pub(super) fn new(handle: &Handle, sealed: Vec<u8>, write: &WriteId, metadata: &Metadata) -> Item {
    let Metadata { etag, media_type, ttl, lifetime, user, label } = metadata;
    let mut item = HashMap::from([
        (ID.to_owned(), text(handle.as_str())),
        (EXPIRES.to_owned(), number(lifetime.expires.seconds())),
        (TTL.to_owned(), number(ttl.as_secs())),
        (DATA.to_owned(), bytes(sealed)),
        (TYPE.to_owned(), text(media_type.as_str())),
        (ETAG.to_owned(), text(etag.as_str())),
        (CREATED.to_owned(), number(lifetime.created.millis())),
    ]);
    item.extend(WRITES.map(|name| (name.to_owned(), text(NO_WRITE))));
    push_write(&mut item, write);
    if let Some(user) = user {
        item.insert(USER.to_owned(), text(user.expose()));
        item.insert(OWNED.to_owned(), number(lifetime.created.millis()));
    }
    item.extend(label.as_ref().map(|label| (LABEL.to_owned(), text(label.expose()))));
    item
}

/// Reads everything but the data.
pub(super) fn metadata(item: &Item) -> Result<Metadata, CorruptItem> {
    Ok(Metadata {
        etag: etag(item)?,
        media_type: parsed(item, TYPE, MediaType::parse)?,
        ttl: ttl(item)?,
        lifetime: lifetime(item)?,
        user: user(item)?,
        label: optional(item, LABEL, Label::parse)?,
    })
}

/// Whether the session is live, or was rotated away and is still in its grace period.
pub(super) fn is_live(item: &Item, live: Liveness) -> Result<bool, CorruptItem> {
    Ok(live.admits(&lifetime(item)?))
}

/// Whether the session is live under this id.
pub(super) fn is_current(item: &Item, live: Liveness) -> Result<bool, CorruptItem> {
    Ok(is_live(item, live)? && successor(item)?.is_none())
}

pub(super) fn user(item: &Item) -> Result<Option<User>, CorruptItem> {
    optional(item, USER, User::parse)
}

/// Reads when the session got its owner, in epoch milliseconds.
pub(super) fn owned(item: &Item) -> Result<u64, CorruptItem> {
    integer(item, OWNED)
}

pub(super) fn recent_writes(item: &Item) -> Result<RecentWrites, CorruptItem> {
    let [w0, w1, w2, w3] = WRITES.map(|name| parsed(item, name, WriteId::parse));
    Ok(RecentWrites::new([w0?, w1?, w2?, w3?]))
}

/// Whether this write was applied to the item.
pub(super) fn has_write(item: &Item, write: &WriteId) -> bool {
    recent_writes(item).is_ok_and(|writes| writes.contains(write))
}

/// Whether the session is live under this id and remembers this write.
pub(super) fn remembers(item: &Item, write: &WriteId, live: Liveness) -> Result<bool, CorruptItem> {
    Ok(has_write(item, write) && is_current(item, live)?)
}

/// Reads which version the data had right after this write, if the item still shows it.
pub(super) fn etag_at(item: &Item, write: &WriteId) -> Result<Option<ETag>, CorruptItem> {
    Ok(recent_writes(item)?.etag_at(write, &etag(item)?).cloned())
}

/// Adds a write id to the last write ids.
pub(super) fn push_write(item: &mut Item, write: &WriteId) {
    let mut next = Some(text(write.as_str()));
    for name in WRITES {
        next = next.and_then(|id| item.insert(name.to_owned(), id));
    }
}

/// Reads when the session was created, and when it expires.
pub(super) fn lifetime(item: &Item) -> Result<Lifetime, CorruptItem> {
    Ok(Lifetime {
        created: Timestamp::from_millis(integer(item, CREATED)?),
        expires: Timestamp::from_seconds(integer(item, EXPIRES)?),
    })
}

/// Reads the version of the data.
pub(super) fn etag(item: &Item) -> Result<ETag, CorruptItem> {
    parsed(item, ETAG, ETag::parse)
}

/// Reads the lock, expired or not. Returns `None` if it was released or never taken.
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
    optional(item, SUCCESSOR, Handle::parse)
}

/// Reads the handle of the session's former id. Returns `None` unless a rotation made the item.
pub(super) fn predecessor(item: &Item) -> Result<Option<Handle>, CorruptItem> {
    optional(item, PREDECESSOR, Handle::parse)
}

pub(super) fn ttl(item: &Item) -> Result<Duration, CorruptItem> {
    let seconds = u32::try_from(integer(item, TTL)?).map_err(|_| CorruptItem::Attribute(TTL))?;
    Ok(Duration::from_secs(seconds.into()))
}

pub(super) fn handle(item: &Item) -> Result<Handle, CorruptItem> {
    parsed(item, ID, Handle::parse)
}

/// Opens an item with the session's id.
pub(super) fn open(id: &SessionId, mut item: Item) -> Result<Session, CorruptItem> {
    let metadata = metadata(&item)?;
    let sealed = take_sealed(&mut item)?;
    let data = seal::open(id, &metadata.media_type, sealed)?;
    Ok(Session { metadata, data })
}

/// The session for which a write was refused, still sealed.
pub struct SealedSession(pub(super) Item);

impl SealedSession {
    /// Opens the session with its id.
    ///
    /// # Errors
    /// [`CorruptItem`] if the item can't be opened.
    pub fn open(self, id: &SessionId) -> Result<Session, CorruptItem> {
        open(id, self.0)
    }
}

impl fmt::Debug for SealedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSession([sealed])")
    }
}

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

fn optional<T>(
    item: &Item,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, CorruptItem> {
    item.get(name).map(|_| parsed(item, name, parse)).transpose()
}

fn integer(item: &Item, name: &'static str) -> Result<u64, CorruptItem> {
    let value = item.get(name).and_then(|value| value.as_n().ok());
    value.and_then(|value| value.parse().ok()).ok_or(CorruptItem::Attribute(name))
}
