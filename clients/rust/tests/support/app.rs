//! An axum app whose pages do the steps in a request's body: names and their parameters.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tower_sessions::session::Error;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_session_api::SessionApiStore;

/// tower-sessions can't list a session's keys, so we look for these and `k0` to `k39`.
const KEYS: [&str; 14] = [
    "a", "b", "c", "cart", "gone", "lang", "large", "n", "name", "nested", "start", "text", "type",
    "user",
];

thread_local! {
    /// Where pages wait in their step `hold`. Each test runs in its own thread.
    pub(crate) static HOLD: Arc<Hold> = Arc::new(Hold {
        inside: Semaphore::new(0),
        go: Semaphore::new(0),
    });
}

/// Counts the pages that have begun to wait, and those that may go on.
pub(crate) struct Hold {
    pub(crate) inside: Semaphore,
    pub(crate) go: Semaphore,
}

/// Returns the app, after `configure` has changed the layer of tower-sessions.
pub(crate) fn app(
    store: &SessionApiStore,
    configure: impl FnOnce(SessionManagerLayer<SessionApiStore>) -> SessionManagerLayer<SessionApiStore>,
) -> Router {
    Router::new()
        .route("/", post(page))
        .layer(configure(SessionManagerLayer::new(store.clone())))
        .layer(store.layer())
        .layer(axum::extract::DefaultBodyLimit::max(10_000_000))
}

async fn page(
    session: Session,
    Json(steps): Json<Vec<(String, Value, Value)>>,
) -> Result<Json<Value>, Failed> {
    for (step, first, second) in &steps {
        let key = first.as_str().unwrap_or_default();
        match step.as_str() {
            "set" => session.insert(key, second).await?,
            "unset" => _ = session.remove_value(key).await?,
            "increment" => {
                let n = session.get::<u64>(key).await?.unwrap_or(0);
                session.insert(key, n + 1).await?;
            }
            "sleep" => tokio::time::sleep(Duration::from_millis(first.as_u64().unwrap())).await,
            "hold" => {
                let hold = HOLD.with(Arc::clone);
                hold.inside.add_permits(1);
                hold.go.acquire().await.unwrap().forget();
            }
            "regenerate" => session.cycle_id().await?,
            "destroy" => session.flush().await?,
            "clear" => session.clear().await,
            "delete" => session.delete().await?,
            "save" => session.save().await?,
            "load" => session.load().await?,
            "expire" => {
                let duration = time::Duration::seconds(first.as_i64().unwrap());
                session.set_expiry(Some(Expiry::OnInactivity(duration)));
            }
            "panic" => panic!("as told"),
            "spawn" => {
                let session = session.clone();
                tokio::spawn(async move { session.save().await }).await.unwrap()?;
            }
            _ => return Err(Failed(format!("There is no step {step}"))),
        }
    }
    let mut data = Map::new();
    let numbered = (0..40).map(|n| format!("k{n}"));
    for key in numbered.chain(KEYS.map(str::to_owned)) {
        if let Some(value) = session.get_value(&key).await? {
            data.insert(key, value);
        }
    }
    Ok(Json(json!({ "session": data })))
}

/// A session error, whose text is in the response.
struct Failed(String);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": self.0 }))).into_response()
    }
}
