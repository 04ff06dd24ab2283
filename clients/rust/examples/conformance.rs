//! The app that the scenes in `tests/conformance` visit. Usage: `conformance ADDRESS`

#[path = "../tests/support/app.rs"]
mod app;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tower::ServiceExt;
use tower_sessions::Expiry;
use tower_sessions_session_api::{Options, SessionApiStore};

/// Options of a scene. Scenes name options the same way for all clients.
#[derive(Deserialize)]
struct SceneOptions {
    url: String,
    touch_after: u64,
    function_urls: Option<String>,
    ttl: Option<i64>,
    lock: Option<u64>,
    lease: Option<u64>,
    retries: Option<u32>,
    max_sessions: Option<u32>,
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("the first argument is the address");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let apps: Arc<Mutex<HashMap<String, Router>>> = Arc::default();
    let router = Router::new().fallback(move |request: Request| serve(apps.clone(), request));
    axum::serve(listener, router).await.unwrap();
}

/// Serves a request with an app that has the options in its headers.
async fn serve(apps: Arc<Mutex<HashMap<String, Router>>>, request: Request) -> Response {
    let options = request.headers()["x-options"].to_str().unwrap().to_owned();
    let app = apps.lock().unwrap().entry(options).or_insert_with_key(|text| create(text)).clone();
    app.oneshot(request).await.into_response()
}

fn create(text: &str) -> Router {
    let scene: SceneOptions = serde_json::from_str(text).unwrap();
    let mut options = Options::new(&scene.url)
        .unwrap()
        .with_touch_after(Duration::from_secs(scene.touch_after))
        .with_user(|data| Some(data.get("user")?.as_str()?.to_owned()));
    if let Some(urls) = scene.function_urls {
        options = options.with_function_urls(&urls).unwrap();
    }
    if let Some(wait) = scene.lock {
        options = options.with_lock(Duration::from_secs(wait)).unwrap();
    }
    if let Some(lease) = scene.lease {
        options = options.with_lease(Duration::from_secs(lease)).unwrap();
    }
    if let Some(retries) = scene.retries {
        options = options.with_retries(retries);
    }
    if let Some(number) = scene.max_sessions {
        options = options.with_max_sessions(number).unwrap();
    }
    let ttl = time::Duration::seconds(scene.ttl.unwrap_or(86_400));
    let store = SessionApiStore::new(options).unwrap();
    app::app(&store, |layer| layer.with_secure(false).with_expiry(Expiry::OnInactivity(ttl)))
}
