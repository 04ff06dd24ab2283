//! Routes of the API.

use super::header::{
    IF_MATCH, IF_NONE_MATCH, SESSION_GRACE, SESSION_ID, SESSION_LABEL, SESSION_LEASE,
    SESSION_LIMIT, SESSION_LOCK, SESSION_NEW_ID, SESSION_TTL, SESSION_UNLOCK, SESSION_USER,
    SESSION_WAIT,
};

/// A route: a method on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /session`
    Create,
    /// `GET /session`
    Read,
    /// `HEAD /session`
    Head,
    /// `PUT /session`
    Replace,
    /// `PATCH /session`
    Patch,
    /// `DELETE /session`
    Destroy,
    /// `POST /session/touch`
    Touch,
    /// `POST /session/rotate`
    Rotate,
    /// `POST /session/lock`
    Lock,
    /// `DELETE /session/lock`
    Unlock,
    /// `GET /sessions`
    List,
    /// `DELETE /sessions`
    RevokeAll,
    /// `DELETE /sessions/{handle}`
    Revoke,
}

/// Every route with its key, in API Gateway's form.
const ROUTES: [(Route, &str); 13] = [
    (Route::Create, "POST /session"),
    (Route::Read, "GET /session"),
    (Route::Head, "HEAD /session"),
    (Route::Replace, "PUT /session"),
    (Route::Patch, "PATCH /session"),
    (Route::Destroy, "DELETE /session"),
    (Route::Touch, "POST /session/touch"),
    (Route::Rotate, "POST /session/rotate"),
    (Route::Lock, "POST /session/lock"),
    (Route::Unlock, "DELETE /session/lock"),
    (Route::List, "GET /sessions"),
    (Route::RevokeAll, "DELETE /sessions"),
    (Route::Revoke, "DELETE /sessions/{handle}"),
];

impl Route {
    /// Finds the route with this key.
    pub(super) fn find(key: &str) -> Option<Self> {
        ROUTES.iter().find(|(_, k)| *k == key).map(|(route, _)| *route)
    }

    /// Finds the route of a method and path that no gateway has matched.
    pub(super) fn matching(method: &str, path: &str) -> Option<Self> {
        let key = match path.strip_prefix("/sessions/") {
            Some(handle) if !handle.is_empty() && !handle.contains('/') => {
                format!("{method} /sessions/{{handle}}")
            }
            _ => format!("{method} {path}"),
        };
        Self::find(&key)
    }

    /// Returns the key of the route.
    pub(super) fn key(self) -> &'static str {
        ROUTES.iter().find(|(route, _)| *route == self).map_or("", |(_, key)| key)
    }

    /// Returns the keys of all routes.
    pub(super) fn keys() -> impl Iterator<Item = &'static str> {
        ROUTES.iter().map(|(_, key)| *key)
    }

    /// Returns the `Session-*` headers and the preconditions that the route accepts. Ignoring another one
    /// would look like success.
    pub(super) fn headers(self) -> &'static [&'static str] {
        match self {
            Self::Create => &[SESSION_TTL, SESSION_USER, SESSION_LABEL],
            Self::Read | Self::Head => &[SESSION_ID, IF_MATCH, IF_NONE_MATCH],
            Self::Destroy => &[SESSION_ID, IF_MATCH],
            Self::Replace => &[
                SESSION_ID,
                IF_MATCH,
                IF_NONE_MATCH,
                SESSION_TTL,
                SESSION_USER,
                SESSION_LABEL,
                SESSION_LOCK,
                SESSION_UNLOCK,
            ],
            Self::Patch => &[
                SESSION_ID,
                IF_MATCH,
                SESSION_TTL,
                SESSION_USER,
                SESSION_LABEL,
                SESSION_LOCK,
                SESSION_UNLOCK,
            ],
            Self::Touch => {
                &[SESSION_ID, IF_MATCH, SESSION_TTL, SESSION_USER, SESSION_LABEL, SESSION_UNLOCK]
            }
            Self::Rotate => &[
                SESSION_ID,
                SESSION_NEW_ID,
                IF_MATCH,
                SESSION_TTL,
                SESSION_USER,
                SESSION_LABEL,
                SESSION_GRACE,
                SESSION_LOCK,
                SESSION_UNLOCK,
            ],
            Self::Lock => &[SESSION_ID, SESSION_TTL, SESSION_LEASE, SESSION_WAIT, SESSION_LOCK],
            Self::Unlock => &[SESSION_ID, SESSION_UNLOCK],
            Self::List => &[SESSION_USER, SESSION_ID],
            Self::RevokeAll => &[SESSION_USER, SESSION_ID, SESSION_LIMIT],
            Self::Revoke => &[SESSION_USER],
        }
    }
}
