//! Errors as callers see them: RFC 9457, `application/problem+json`.
//!
//! `detail` tells people what to do. It never repeats an id, a token, or data. The cause of an internal failure
//! goes into the log, not into the response.

use std::borrow::Cow;

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::header::{ACCEPT_ENCODING, ACCEPT_PATCH, CONTENT_TYPE, PREFERENCE_APPLIED, RETRY_AFTER};
use super::response::Response;
use crate::random::NoRandomness;
use crate::seal::{MAX_DATA, MAX_SEALED};
use crate::session::{Limits, SessionId, Timestamp};
use crate::store::{Cause, SealedSession, StoreError};

/// Media type of a merge patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// An API error. Its `type` is `urn:session-api:` followed by its code.
#[derive(Debug)]
pub(super) enum Problem {
    /// `Session-Id` is missing or malformed.
    InvalidSessionId,
    /// Another header is malformed.
    InvalidHeader {
        /// Name of the header.
        header: &'static str,
        /// Description of valid values, to follow "must be".
        expected: Cow<'static, str>,
    },
    /// The request has a `Session-*` header or a precondition that the route doesn't accept.
    UnknownHeader {
        /// The ones that the route accepts.
        known: &'static [&'static str],
    },
    /// The event's body isn't a string, or isn't base64 although the event says so. API Gateway never sends such
    /// an event.
    InvalidBody,
    /// A text body doesn't match its `Content-Length` or its signed hash. API Gateway passes on bodies with a text
    /// media type as text, and replaces any bytes that aren't UTF-8.
    AlteredBody,
    /// The request has a `Content-Encoding`.
    EncodedBody,
    /// No live session has the id.
    SessionNotFound,
    /// The function doesn't serve the route.
    RouteNotFound {
        /// Every route.
        known: Vec<&'static str>,
    },
    /// A live session already has the id. Holds the session if its id is the request's own and it wasn't rotated
    /// away.
    SessionExists(Option<Box<SealedSession>>),
    /// The data doesn't have the required version. Holds the session if a write was refused.
    ETagMismatch(Option<Box<SealedSession>>),
    /// Another request holds the session's lock.
    SessionLocked {
        /// When the lock expires.
        until: Timestamp,
    },
    /// The token doesn't hold the lock.
    NotLockHolder,
    /// The patch isn't JSON.
    InvalidPatch,
    /// The patch nests too many objects.
    PatchTooDeep {
        /// How many objects a patch may nest.
        limit: usize,
    },
    /// The request isn't a merge patch, or the session's data can't be patched.
    UnsupportedMediaType,
    /// The session's data is labeled JSON but isn't valid JSON.
    NotJson,
    /// The data is larger than a limit.
    DataTooLarge,
    /// DynamoDB throttled the request.
    StoreThrottled(Cause),
    /// DynamoDB didn't respond.
    StoreUnavailable(Cause),
    /// A bug in the code or its deployment.
    Internal(Cause),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::SessionNotFound,
            StoreError::AlreadyExists(session) => Self::SessionExists(session),
            StoreError::ETagMismatch(session) => Self::ETagMismatch(Some(session)),
            StoreError::Locked { until } => Self::SessionLocked { until },
            StoreError::NotLockHolder => Self::NotLockHolder,
            StoreError::TooLarge => Self::DataTooLarge,
            StoreError::Throttled(_) | StoreError::Changed => Self::StoreThrottled(error.into()),
            StoreError::Unavailable(_) | StoreError::OutcomeUnknown => {
                Self::StoreUnavailable(error.into())
            }
            StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::NotSealed(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

impl From<NoRandomness> for Problem {
    fn from(error: NoRandomness) -> Self {
        StoreError::from(error).into()
    }
}

/// A row in the table of problems.
struct Description {
    code: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: Cow<'static, str>,
}

impl Problem {
    /// Returns the code, which identifies the problem to programs.
    pub(super) fn code(&self) -> &'static str {
        self.describe().code
    }

    /// Returns the cause of an internal failure, for the log.
    pub(super) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::StoreThrottled(cause) | Self::StoreUnavailable(cause) | Self::Internal(cause) => {
                Some(cause)
            }
            _ => None,
        }
    }

    /// The table of problems: code, status, title, and detail.
    #[rustfmt::skip]
    fn describe(&self) -> Description {
        const STORE_FAILED: &str = "The request may or may not have taken effect. Wait for Retry-After, then resend it \
            with the same Idempotency-Key or Session-New-Id.";
        let (code, status, title, detail): (_, _, _, Cow<'static, str>) = match self {
            Self::InvalidSessionId => (
                "invalid-session-id", StatusCode::BAD_REQUEST, "The Session-Id is missing or malformed",
                "Send the session's id in the Session-Id header: 22 to 128 characters of A-Z, a-z, 0-9, '_', ',' and \
                 '-'.".into(),
            ),
            Self::InvalidHeader { header, expected } => (
                "invalid-header", StatusCode::BAD_REQUEST, "A header is invalid",
                format!("{header} must be {expected}.").into(),
            ),
            Self::UnknownHeader { known } => (
                "invalid-header", StatusCode::BAD_REQUEST, "A header is invalid",
                format!("This route accepts only these Session headers and preconditions: {}. Remove any others, or \
                    check their spelling.", known.join(", ")).into(),
            ),
            Self::InvalidBody => (
                "invalid-body", StatusCode::BAD_REQUEST, "The body is invalid",
                "The event's body must be a string, and valid base64 if isBase64Encoded is true. Invoke the function \
                 through API Gateway, or fix the event.".into(),
            ),
            Self::AlteredBody => (
                "invalid-body", StatusCode::BAD_REQUEST, "The body is invalid",
                "The body changed in transit: its length or hash isn't the one you sent. API Gateway decodes text \
                 media types as UTF-8 and replaces other bytes, so send data that isn't UTF-8 as \
                 application/octet-stream. Nothing was stored.".into(),
            ),
            Self::EncodedBody => (
                "unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The media type is not supported",
                "Send the data uncompressed, without Content-Encoding. The API compresses it at rest.".into(),
            ),
            Self::SessionNotFound => (
                "session-not-found", StatusCode::NOT_FOUND, "No such session",
                "The session expired, was destroyed or never existed. Create a new one.".into(),
            ),
            Self::RouteNotFound { known } => (
                "route-not-found", StatusCode::NOT_FOUND, "No such route",
                format!("The routes are {}. Check the method, the path and the URL.", known.join(", ")).into(),
            ),
            Self::SessionExists(_) => (
                "session-exists", StatusCode::PRECONDITION_FAILED, "The session already exists",
                "A live session has this id, or was just rotated away from it. Choose another id, or send the PUT \
                 without If-None-Match to replace the session's data.".into(),
            ),
            Self::ETagMismatch(_) => (
                "etag-mismatch", StatusCode::PRECONDITION_FAILED, "The session's data has changed",
                "If-Match doesn't match the current ETag. Read the session again, and redo your change on the \
                 current data.".into(),
            ),
            Self::SessionLocked { .. } => (
                "session-locked", StatusCode::LOCKED, "The session is locked",
                "Another request holds the session's lock. Wait for Retry-After, or take the lock with \
                 Session-Wait.".into(),
            ),
            Self::NotLockHolder => (
                "not-lock-holder", StatusCode::PRECONDITION_FAILED, "The token does not hold the lock",
                "The lock was released, or it expired and another request took it. Take the lock again, and redo \
                 your change on the session's current data.".into(),
            ),
            Self::InvalidPatch => (
                "invalid-patch", StatusCode::BAD_REQUEST, "The patch is invalid",
                "The body must be a JSON merge patch (RFC 7396).".into(),
            ),
            Self::PatchTooDeep { limit } => (
                "invalid-patch", StatusCode::BAD_REQUEST, "The patch is invalid",
                format!("A patch can nest at most {limit} objects, not counting objects in arrays. Replace the \
                    session's data with PUT instead.").into(),
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The media type is not supported",
                "Send the patch as application/merge-patch+json. It only applies to data stored as application/json \
                 or a type that ends in +json. Replace other data with PUT.".into(),
            ),
            Self::NotJson => (
                "not-json", StatusCode::UNPROCESSABLE_ENTITY, "The session's data is not JSON",
                "The stored data is labeled JSON but isn't valid JSON, so it can't be patched. Replace it with \
                 PUT.".into(),
            ),
            Self::DataTooLarge => (
                "data-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The data is too large",
                format!("A session holds at most {MAX_DATA} bytes, and at most {MAX_SEALED} bytes once compressed and \
                    encrypted. Nothing was stored. Keep large data elsewhere, and a reference to it in the \
                    session.").into(),
            ),
            Self::StoreThrottled(_) => (
                "store-throttled", StatusCode::SERVICE_UNAVAILABLE, "The session store is too busy",
                STORE_FAILED.into(),
            ),
            Self::StoreUnavailable(_) => (
                "store-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The session store cannot be reached",
                STORE_FAILED.into(),
            ),
            Self::Internal(_) => (
                "internal", StatusCode::INTERNAL_SERVER_ERROR, "The session API failed",
                "This is not your request's fault. Search the function's log for this instance.".into(),
            ),
        };
        Description { code, status, title, detail }
    }
}

/// The problem document (RFC 9457).
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
    /// Returns the response with the problem document. `instance` is the request's id in the log. `Retry-After`
    /// counts from `now`.
    pub(super) fn respond(&self, now: Timestamp, instance: Option<&str>) -> Response {
        let Description { code, status, title, detail } = self.describe();
        let r#type = format!("urn:session-api:{code}");
        let document =
            Document { r#type, title, status: status.as_u16(), detail: &detail, instance };
        let response = Response::new(status)
            .with(CONTENT_TYPE, "application/problem+json")
            .with_body(serde_json::to_vec(&document).unwrap_or_default());
        match self {
            Self::StoreThrottled(_) | Self::StoreUnavailable(_) => response.with(RETRY_AFTER, "1"),
            Self::SessionLocked { until } => {
                let seconds = until.since(now).as_millis().div_ceil(1000).max(1);
                response.with(RETRY_AFTER, &seconds.to_string())
            }
            Self::UnsupportedMediaType => response.with(ACCEPT_PATCH, MERGE_PATCH),
            Self::EncodedBody => response.with(ACCEPT_ENCODING, "identity"),
            _ => response,
        }
    }

    /// Instead of the problem document, returns a response with the session's current representation, for a
    /// request that prefers it. `id` is the request's session id.
    ///
    /// # Errors
    /// The problem itself if it doesn't hold the session; [`Problem::Internal`] if the session's data can't be
    /// opened.
    pub(super) fn with_current_representation(
        self,
        id: &SessionId,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Response, Self> {
        let (Self::ETagMismatch(Some(sealed)) | Self::SessionExists(Some(sealed))) = self else {
            return Err(self);
        };
        let session = sealed.open(id).map_err(StoreError::from)?;
        Ok(Response::new(StatusCode::PRECONDITION_FAILED)
            .with_metadata(&session.metadata, limits, now)
            .with(PREFERENCE_APPLIED, "return=representation")
            .with_body(session.data))
    }
}

#[cfg(test)]
mod tests;
