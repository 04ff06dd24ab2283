//! Runs tower-sessions' own store tests, from its package's source in the folder `TOWER_SESSIONS`.

// It's not our code.
#![allow(missing_docs, unreachable_pub)]

mod common {
    include!(concat!(env!("TOWER_SESSIONS"), "/tests/common/mod.rs"));
}

use axum::Router;
use tower_sessions::SessionManagerLayer;
use tower_sessions_session_api::SessionApiStore;

async fn app(max_age: Option<Duration>, domain: Option<String>) -> Router {
    let store = SessionApiStore::from_env().unwrap();
    let manager = SessionManagerLayer::new(store.clone()).with_secure(true);
    common::build_app(manager, max_age, domain).layer(store.layer())
}

route_tests!(app);
