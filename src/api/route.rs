//! The API's routes.

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

/// Every route with its key, as API Gateway writes it.
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
    /// The route of this key, if there is one.
    pub(super) fn find(key: &str) -> Option<Self> {
        ROUTES.iter().find(|(_, k)| *k == key).map(|(route, _)| *route)
    }

    /// The route of this method and path, where no gateway has matched them.
    pub(super) fn matching(method: &str, path: &str) -> Option<Self> {
        let key = match path.strip_prefix("/sessions/") {
            Some(handle) if !handle.is_empty() && !handle.contains('/') => {
                format!("{method} /sessions/{{handle}}")
            }
            _ => format!("{method} {path}"),
        };
        Self::find(&key)
    }

    /// The route's key.
    pub(super) fn key(self) -> &'static str {
        ROUTES.iter().find(|(route, _)| *route == self).map_or("", |(_, key)| key)
    }
}
