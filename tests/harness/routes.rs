//! The table of routes, `tests/routes.json`, and an event file for each route.

use std::sync::OnceLock;

use serde::Deserialize;

/// A row of the table.
#[derive(Debug, Deserialize)]
pub(crate) struct Route {
    /// Method and path, as in `POST /session`.
    pub(crate) route: String,
    /// Lambda function that serves it.
    pub(crate) function: String,
    /// Its event file in `events/`.
    pub(crate) event: String,
    /// Headers that it reads. Those in square brackets are optional.
    pub(crate) headers: Vec<String>,
    /// Status of the response to the event file, if the session exists.
    pub(crate) success: u16,
    /// All statuses that are not common to all routes.
    pub(crate) statuses: Vec<u16>,
}

/// Rows of the table.
pub(crate) fn routes() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(|| serde_json::from_str(include_str!("../routes.json")).unwrap())
}

pub(crate) const CREATE: &str = include_str!("../../events/create.json");
pub(crate) const CREATE_WITH_ID: &str = include_str!("../../events/create-with-id.json");
pub(crate) const READ: &str = include_str!("../../events/read.json");
pub(crate) const HEAD: &str = include_str!("../../events/head.json");
pub(crate) const REPLACE: &str = include_str!("../../events/replace.json");
pub(crate) const TOUCH: &str = include_str!("../../events/touch.json");
pub(crate) const PATCH: &str = include_str!("../../events/patch.json");
pub(crate) const ROTATE: &str = include_str!("../../events/rotate.json");
pub(crate) const LOCK: &str = include_str!("../../events/lock.json");
pub(crate) const UNLOCK: &str = include_str!("../../events/unlock.json");
pub(crate) const LIST: &str = include_str!("../../events/list.json");
pub(crate) const REVOKE_ALL: &str = include_str!("../../events/revoke-all.json");
pub(crate) const REVOKE: &str = include_str!("../../events/revoke.json");
pub(crate) const DESTROY: &str = include_str!("../../events/destroy.json");

/// All event files.
pub(crate) const ALL: [&str; 14] = [
    CREATE,
    CREATE_WITH_ID,
    READ,
    HEAD,
    REPLACE,
    PATCH,
    TOUCH,
    ROTATE,
    LOCK,
    UNLOCK,
    LIST,
    REVOKE_ALL,
    REVOKE,
    DESTROY,
];

/// Session id in the event files.
pub(crate) const EXAMPLE_ID: &str = "events-example-id-0123456789abcdefghijklmnop";
