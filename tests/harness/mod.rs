//! What the tests share: the API on a new table, requests to it, and checked responses.

mod app;
pub(crate) mod engine;
mod fault_proxy;
mod http;
mod library;
mod log;
pub(crate) mod proxy;
mod request;
mod response;
mod routes;

pub(crate) use app::{App, Timeouts, count};
pub(crate) use engine::endpoint;
pub(crate) use fault_proxy::{Fault, FaultProxy};
pub(crate) use http::{TARGET, read_request};
pub(crate) use library::{handle, new_id, table_of_routes};
pub(crate) use log::Log;
pub(crate) use request::{Request, send_concurrently};
pub(crate) use response::Response;
pub(crate) use routes::{
    CREATE, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, Example, HEAD, LIST, LOCK, PATCH, READ, REPLACE,
    REVOKE, REVOKE_ALL, ROTATE, Route, TOUCH, UNLOCK, every_request, route, routes,
};
