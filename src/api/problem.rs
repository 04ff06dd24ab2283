//! What went wrong, as the caller is told: RFC 9457, `application/problem+json`.
//!
//! `detail` is for people and says what to do. It never repeats an id, a token or data; the cause of
//! a failure of ours goes to the log and not into the answer.

use std::borrow::Cow;

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::headers::{ACCEPT_ENCODING, ACCEPT_PATCH, CONTENT_TYPE, MERGE_PATCH, RETRY_AFTER};
use super::response::Response;
use crate::seal::{MAX_DATA, MAX_SEALED};
use crate::session::Timestamp;
use crate::store::{Cause, Found, StoreError};

/// An error of the API. Its code is the end of its `type`, `urn:session-api:…`.
#[derive(Debug)]
pub enum Problem {
    /// `Session-Id` is missing or malformed.
    InvalidSessionId,
    /// Another header is malformed.
    InvalidHeader {
        /// Its name.
        header: &'static str,
        /// What it may hold.
        expected: Cow<'static, str>,
    },
    /// The event claims a base64 body that does not decode. API Gateway makes no such event.
    InvalidBody,
    /// A text body does not have the length that `Content-Length` states. API Gateway passes a body
    /// of a text media type on as text, which replaces bytes that are not UTF-8.
    AlteredBody,
    /// The request has a `Content-Encoding`.
    EncodedBody,
    /// No live session has the id.
    SessionNotFound,
    /// The function has no such route.
    RouteNotFound,
    /// A live session has the id already.
    SessionExists(Box<Found>),
    /// The data is of another version than the one asked for.
    ETagMismatch(Box<Found>),
    /// Somebody else holds the session's lock.
    SessionLocked {
        /// When it falls by itself.
        until: Timestamp,
    },
    /// The token is not the lock's.
    NotLockHolder,
    /// The patch is not JSON.
    InvalidPatch,
    /// The request is not a merge patch, or the session's data is not of a type that takes one.
    UnsupportedMediaType,
    /// The session's data is not the JSON that its type says.
    NotJson,
    /// The data is past a limit.
    DataTooLarge,
    /// DynamoDB throttles.
    StoreThrottled(Cause),
    /// DynamoDB cannot be asked.
    StoreUnavailable(Cause),
    /// A defect, of the code or of how it is deployed.
    Internal(Cause),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::SessionNotFound,
            StoreError::AlreadyExists(found) => Self::SessionExists(found),
            StoreError::ETagMismatch(found) => Self::ETagMismatch(found),
            StoreError::Locked { until } => Self::SessionLocked { until },
            StoreError::NotLockHolder => Self::NotLockHolder,
            StoreError::TooLarge => Self::DataTooLarge,
            StoreError::Throttled(_) => Self::StoreThrottled(error.into()),
            StoreError::Unavailable(_) => Self::StoreUnavailable(error.into()),
            StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::NotSealed(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

impl Problem {
    /// The code that programs go by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidSessionId => "invalid-session-id",
            Self::InvalidHeader { .. } => "invalid-header",
            Self::InvalidBody | Self::AlteredBody => "invalid-body",
            Self::SessionNotFound => "session-not-found",
            Self::RouteNotFound => "route-not-found",
            Self::SessionExists(_) => "session-exists",
            Self::ETagMismatch(_) => "etag-mismatch",
            Self::SessionLocked { .. } => "session-locked",
            Self::NotLockHolder => "not-lock-holder",
            Self::InvalidPatch => "invalid-patch",
            Self::UnsupportedMediaType | Self::EncodedBody => "unsupported-media-type",
            Self::NotJson => "not-json",
            Self::DataTooLarge => "data-too-large",
            Self::StoreThrottled(_) => "store-throttled",
            Self::StoreUnavailable(_) => "store-unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What is behind a failure of ours, for the log.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::StoreThrottled(cause) | Self::StoreUnavailable(cause) | Self::Internal(cause) => {
                Some(cause)
            }
            _ => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidSessionId
            | Self::InvalidHeader { .. }
            | Self::InvalidBody
            | Self::AlteredBody
            | Self::InvalidPatch => StatusCode::BAD_REQUEST,
            Self::SessionNotFound | Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::SessionExists(_) | Self::ETagMismatch(_) | Self::NotLockHolder => {
                StatusCode::PRECONDITION_FAILED
            }
            Self::SessionLocked { .. } => StatusCode::LOCKED,
            Self::UnsupportedMediaType | Self::EncodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotJson => StatusCode::UNPROCESSABLE_ENTITY,
            Self::DataTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StoreThrottled(_) | Self::StoreUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::InvalidSessionId => "The Session-Id is missing or malformed",
            Self::InvalidHeader { .. } => "A header is malformed",
            Self::InvalidBody => "The body is malformed",
            Self::AlteredBody => "The body was changed on the way",
            Self::EncodedBody => "The body has a Content-Encoding",
            Self::SessionNotFound => "There is no such session",
            Self::RouteNotFound => "There is no such route",
            Self::SessionExists(_) => "The session exists already",
            Self::ETagMismatch(_) => "The session's data has changed",
            Self::SessionLocked { .. } => "The session is locked",
            Self::NotLockHolder => "The lock is not held by this token",
            Self::InvalidPatch => "The patch is malformed",
            Self::UnsupportedMediaType => "The media type cannot be patched",
            Self::NotJson => "The session's data is not JSON",
            Self::DataTooLarge => "The data is too large",
            Self::StoreThrottled(_) => "The session store is too busy",
            Self::StoreUnavailable(_) => "The session store cannot be reached",
            Self::Internal(_) => "The session API failed",
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::InvalidSessionId => "Send the session's id in the Session-Id header: 22 to 128 \
                                       characters of A-Z, a-z, 0-9, '_', ',' and '-'."
                .into(),
            Self::InvalidHeader { header, expected } => {
                format!("{header} must be {expected}.").into()
            }
            Self::InvalidBody => {
                "The event marks the body as base64, but it is not. Invoke the function through API \
                 Gateway, or fix the event."
                    .into()
            }
            Self::AlteredBody => {
                "The body does not have the length that Content-Length states. API Gateway passes \
                 text media types on as UTF-8 and replaces other bytes: send data that is not \
                 UTF-8 as application/octet-stream. Nothing was stored."
                    .into()
            }
            Self::EncodedBody => {
                "Send the data uncompressed and without a Content-Encoding header. The API itself \
                 compresses it at rest."
                    .into()
            }
            Self::SessionNotFound => {
                "The session has expired, was destroyed or never was. Start a new one.".into()
            }
            Self::RouteNotFound => "See the table of routes in the README.".into(),
            Self::SessionExists(_) => {
                "A live session has this id. Choose another id, or leave out If-None-Match to \
                 replace the session's data."
                    .into()
            }
            Self::ETagMismatch(_) => {
                "The data is of another version than If-Match asks for. Read the session again, \
                 and repeat the change on what it holds now."
                    .into()
            }
            Self::SessionLocked { .. } => {
                "Another request holds the session's lock. Wait as long as Retry-After says, or \
                 take the lock with Session-Lock-Wait."
                    .into()
            }
            Self::NotLockHolder => {
                "The lock was given back, or fell and was taken by another. Take it again, and \
                 repeat the change on what the session holds then."
                    .into()
            }
            Self::InvalidPatch => "The body must be a JSON merge patch (RFC 7396).".into(),
            Self::UnsupportedMediaType => {
                "Send a patch as application/merge-patch+json, to a session whose data is \
                 application/json or has a type that ends in +json. Replace other data with PUT."
                    .into()
            }
            Self::NotJson => {
                "The data says that it is JSON and is not, so there is nothing to patch. Replace \
                 it with PUT."
                    .into()
            }
            Self::DataTooLarge => format!(
                "A session holds at most {MAX_DATA} bytes, and no more than {MAX_SEALED} once \
                 compressed and encrypted. Nothing was written; keep large data elsewhere and a \
                 reference to it in the session."
            )
            .into(),
            Self::StoreThrottled(_) | Self::StoreUnavailable(_) => {
                "Whether the session exists cannot be said right now. Try again in a moment.".into()
            }
            Self::Internal(_) => {
                "The request is not at fault. The function's log has the cause under this instance."
                    .into()
            }
        }
    }
}

/// The document of RFC 9457.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl Problem {
    /// The response, sent at `now`. `instance` is the id by which the log names the request.
    pub(super) fn respond(&self, now: Timestamp, instance: Option<&str>) -> Response {
        let status = self.status();
        let document = Document {
            r#type: format!("urn:session-api:{}", self.code()),
            title: self.title(),
            status: status.as_u16(),
            detail: &self.detail(),
            instance,
        };
        let response = Response::new(status)
            .with(CONTENT_TYPE, "application/problem+json")
            .with_body(serde_json::to_vec(&document).unwrap_or_default());
        match self {
            Self::StoreThrottled(_) | Self::StoreUnavailable(_) => response.with(RETRY_AFTER, "1"),
            Self::SessionLocked { until } => {
                let left = until.millis().saturating_sub(now.millis()).div_ceil(1000).max(1);
                response.with(RETRY_AFTER, left.to_string())
            }
            Self::UnsupportedMediaType => response.with(ACCEPT_PATCH, MERGE_PATCH),
            Self::EncodedBody => response.with(ACCEPT_ENCODING, "identity"),
            _ => response,
        }
    }
}
