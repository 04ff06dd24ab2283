//! Names of the headers that the API reads or sends, spelled as in the documents.

pub(super) const ACCEPT_ENCODING: &str = "Accept-Encoding";
pub(super) const ACCEPT_PATCH: &str = "Accept-Patch";
pub(super) const CACHE_CONTROL: &str = "Cache-Control";
pub(super) const CONTENT_ENCODING: &str = "Content-Encoding";
pub(super) const CONTENT_LENGTH: &str = "Content-Length";
pub(super) const CONTENT_TYPE: &str = "Content-Type";
pub(super) const ETAG: &str = "ETag";
pub(super) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
pub(super) const IF_MATCH: &str = "If-Match";
pub(super) const IF_NONE_MATCH: &str = "If-None-Match";
pub(super) const PREFER: &str = "Prefer";
pub(super) const PREFERENCE_APPLIED: &str = "Preference-Applied";
pub(super) const RETRY_AFTER: &str = "Retry-After";
pub(super) const SESSION_CREATED: &str = "Session-Created";
pub(super) const SESSION_EXPIRES: &str = "Session-Expires";
pub(super) const SESSION_GRACE: &str = "Session-Grace";
pub(super) const SESSION_ID: &str = "Session-Id";
pub(super) const SESSION_LABEL: &str = "Session-Label";
pub(super) const SESSION_LEASE: &str = "Session-Lease";
pub(super) const SESSION_LIMIT: &str = "Session-Limit";
pub(super) const SESSION_LOCK: &str = "Session-Lock";
pub(super) const SESSION_NEW_ID: &str = "Session-New-Id";
pub(super) const SESSION_TTL: &str = "Session-TTL";
pub(super) const SESSION_UNLOCK: &str = "Session-Unlock";
pub(super) const SESSION_USER: &str = "Session-User";
pub(super) const SESSION_WAIT: &str = "Session-Wait";
