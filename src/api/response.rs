//! An answer of the API, before it becomes a Lambda payload.

use lambda_http::http::StatusCode;

use super::headers::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, SESSION_CREATED, SESSION_EXPIRES, SESSION_ID, SESSION_TTL,
    SESSION_USER,
};
use crate::session::{ETag, Lifetime, Metadata, SessionId, Timestamp};

/// Status, headers and body.
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// An answer without a body. No cache may keep any answer: sessions are personal, and an old
    /// answer is a wrong one (OWASP ASVS 5.0, 14.3.2).
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: vec![(CACHE_CONTROL, "no-store".to_owned())], body: Vec::new() }
    }

    pub(super) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub(super) fn with_etag(self, etag: &ETag) -> Self {
        self.with(ETAG, format!("\"{}\"", etag.as_str()))
    }

    /// `Session-TTL` and `Session-Expires`.
    pub(super) fn with_lifetime(self, lifetime: &Lifetime, now: Timestamp) -> Self {
        self.with(SESSION_TTL, lifetime.seconds_left(now).to_string())
            .with(SESSION_EXPIRES, Timestamp::from_seconds(lifetime.ends()).to_rfc3339())
    }

    /// All that is known of a session beside its data.
    pub(super) fn with_metadata(self, metadata: &Metadata, now: Timestamp) -> Self {
        let response = self
            .with(CONTENT_TYPE, metadata.media_type.as_str())
            .with_etag(&metadata.etag)
            .with_lifetime(&metadata.lifetime, now)
            .with(SESSION_CREATED, metadata.created.to_rfc3339());
        match &metadata.user {
            Some(user) => response.with(SESSION_USER, user.expose()),
            None => response,
        }
    }

    /// The id that this answer hands out, if it does.
    pub(super) fn session_id(&self) -> Option<SessionId> {
        let (_, id) = self.headers.iter().find(|(name, _)| *name == SESSION_ID)?;
        SessionId::parse(id)
    }
}
