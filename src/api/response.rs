//! The API's responses.

use lambda_http::Body;
use lambda_http::http::{HeaderValue, StatusCode};

use super::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, SESSION_CREATED, SESSION_EXPIRES, SESSION_ID, SESSION_LABEL,
    SESSION_TTL, SESSION_USER,
};
use crate::session::{ETag, Handle, Lifetime, Limits, Metadata, SessionId, Timestamp};

/// A response, with the handle of any new id that it hands out. Deliberately not `Debug`: that would print ids and
/// data.
pub(super) struct Response {
    pub(super) http: lambda_http::Response<Body>,
    /// Handle of the response's new id, for the log.
    pub(super) new_handle: Option<Handle>,
}

impl Response {
    /// Returns a response without a body. Caches must not store any response: sessions are personal, and a stale
    /// response is wrong (OWASP ASVS 5.0, 14.3.2).
    pub(super) fn new(status: StatusCode) -> Self {
        let mut http = lambda_http::Response::new(Body::Text(String::new()));
        *http.status_mut() = status;
        Self { http, new_handle: None }.with(CACHE_CONTROL, "no-store")
    }

    pub(super) fn with(mut self, header: &'static str, value: &str) -> Self {
        // Never fails: the values come from types that hold only visible ASCII, spaces, and tabs.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.http.headers_mut().insert(header, value);
        }
        self
    }

    /// Sets the body. Text stays readable in the Lambda payload.
    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        *self.http.body_mut() = readable(body).map_or_else(Body::Binary, Body::Text);
        self
    }

    /// Sets `Session-Id` to a new id.
    pub(super) fn with_new_id(mut self, id: &SessionId) -> Self {
        self.new_handle = Some(id.handle().clone());
        self.with(SESSION_ID, id.expose())
    }

    pub(super) fn with_etag(self, etag: &ETag) -> Self {
        self.with(ETAG, &format!("\"{}\"", etag.as_str()))
    }

    /// Sets `ETag` if the version is known.
    pub(super) fn with_some_etag(self, etag: Option<&ETag>) -> Self {
        match etag {
            Some(etag) => self.with_etag(etag),
            None => self,
        }
    }

    /// Sets `Session-TTL` and `Session-Expires`.
    pub(super) fn with_lifetime(
        self,
        lifetime: &Lifetime,
        limits: &Limits,
        now: Timestamp,
    ) -> Self {
        let end = limits.end(lifetime);
        let seconds_left = end.seconds().saturating_sub(now.seconds());
        self.with(SESSION_TTL, &seconds_left.to_string()).with(SESSION_EXPIRES, &end.to_rfc3339())
    }

    /// Sets all of a session's headers. A `304` has no `Content-Type` (RFC 9110, 15.4.5).
    pub(super) fn with_metadata(
        self,
        metadata: &Metadata,
        limits: &Limits,
        now: Timestamp,
    ) -> Self {
        let response = match self.http.status() {
            StatusCode::NOT_MODIFIED => self,
            _ => self.with(CONTENT_TYPE, metadata.media_type.as_str()),
        };
        let response = response
            .with_etag(&metadata.etag)
            .with_lifetime(&metadata.lifetime, limits, now)
            .with(SESSION_CREATED, &metadata.lifetime.created.to_rfc3339());
        let response = match &metadata.user {
            Some(user) => response.with(SESSION_USER, user.expose()),
            None => response,
        };
        match &metadata.label {
            Some(label) => response.with(SESSION_LABEL, label.expose()),
            None => response,
        }
    }
}

/// Returns the bytes as text if they're UTF-8 with no control characters except tabs and line breaks.
/// JSON spends six bytes on any other control character, so 1 MiB of them would exceed Lambda's 6 MB limit for
/// a response.
fn readable(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    let is_control = |b: &u8| b.is_ascii_control() & !matches!(b, b'\t' | b'\n' | b'\r');
    // Without an early exit, the compiler vectorizes the loop.
    if bytes.iter().fold(false, |found, b| found | is_control(b)) {
        return Err(bytes);
    }
    String::from_utf8(bytes).map_err(|error| error.into_bytes())
}
