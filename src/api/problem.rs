//! What went wrong, as the caller is told: RFC 9457, `application/problem+json`.
//!
//! `detail` is for people and says what to do. It never repeats an id, a token or data; the cause of
//! a failure of ours goes to the log and not into the answer.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use super::headers::{CONTENT_TYPE, RETRY_AFTER};
use super::response::Response;
use crate::seal::{MAX_DATA, MAX_SEALED};
use crate::store::{Cause, StoreError};

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
    /// No live session has the id.
    SessionNotFound,
    /// The function has no such route.
    RouteNotFound,
    /// A live session has the id already.
    SessionExists,
    /// The data is of another version than the one asked for.
    ETagMismatch,
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
            StoreError::AlreadyExists => Self::SessionExists,
            StoreError::ETagMismatch => Self::ETagMismatch,
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
            Self::InvalidBody => "invalid-body",
            Self::SessionNotFound => "session-not-found",
            Self::RouteNotFound => "route-not-found",
            Self::SessionExists => "session-exists",
            Self::ETagMismatch => "etag-mismatch",
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
            Self::InvalidSessionId | Self::InvalidHeader { .. } | Self::InvalidBody => {
                StatusCode::BAD_REQUEST
            }
            Self::SessionNotFound | Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::SessionExists | Self::ETagMismatch => StatusCode::PRECONDITION_FAILED,
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
            Self::SessionNotFound => "There is no such session",
            Self::RouteNotFound => "There is no such route",
            Self::SessionExists => "The session exists already",
            Self::ETagMismatch => "The session's data has changed",
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
                "The body is marked as base64 and is not. Invoke the function through API Gateway, \
                 or mend the event."
                    .into()
            }
            Self::SessionNotFound => {
                "The session has expired, was destroyed or never was. Start a new one.".into()
            }
            Self::RouteNotFound => "See the table of routes in the README.".into(),
            Self::SessionExists => {
                "A live session has this id. Choose another id, or leave out If-None-Match to \
                 replace the session's data."
                    .into()
            }
            Self::ETagMismatch => {
                "The data is of another version than If-Match asks for. Read the session again, \
                 and repeat the change on what it holds now."
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
                "This is not your request's fault. The function's log has the cause under this \
                 request's id."
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
}

impl From<&Problem> for Response {
    fn from(problem: &Problem) -> Self {
        let status = problem.status();
        let document = Document {
            r#type: format!("urn:session-api:{}", problem.code()),
            title: problem.title(),
            status: status.as_u16(),
            detail: &problem.detail(),
        };
        let response = Self::new(status)
            .with(CONTENT_TYPE, "application/problem+json")
            .with_body(serde_json::to_vec(&document).unwrap_or_default());
        match problem {
            Problem::StoreThrottled(_) | Problem::StoreUnavailable(_) => {
                response.with(RETRY_AFTER, "1")
            }
            _ => response,
        }
    }
}
