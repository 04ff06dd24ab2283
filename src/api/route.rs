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
    /// `DELETE /session`
    Destroy,
    /// `POST /session/touch`
    Touch,
}

/// Every route with its key, as API Gateway writes it.
const ROUTES: [(Route, &str); 6] = [
    (Route::Create, "POST /session"),
    (Route::Read, "GET /session"),
    (Route::Head, "HEAD /session"),
    (Route::Replace, "PUT /session"),
    (Route::Destroy, "DELETE /session"),
    (Route::Touch, "POST /session/touch"),
];

impl Route {
    /// The route of this key, if there is one.
    pub(super) fn find(key: &str) -> Option<Self> {
        ROUTES.iter().find(|(_, k)| *k == key).map(|(route, _)| *route)
    }

    /// The route's key.
    pub(super) fn key(self) -> &'static str {
        ROUTES.iter().find(|(route, _)| *route == self).map_or("", |(_, key)| key)
    }
}
