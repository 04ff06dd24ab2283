//! The DynamoDB engine that the tests use: the embedded one, or the one at `DYNAMODB_ENDPOINT`.

use std::sync::OnceLock;

use serde_json::Value;

use super::library::new_id;
use crate::table;

/// The engine's endpoint. The first call starts the embedded engine if we need it.
pub(crate) fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| std::env::var("DYNAMODB_ENDPOINT").unwrap_or_else(|_| start_embedded()))
}

/// Starts an embedded engine and returns its endpoint.
///
/// It gets its own thread and runtime, because it outlives any single test's runtime.
fn start_embedded() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()).await;
        });
    });
    endpoint
}

/// Creates a table for sessions and returns its name.
pub(crate) async fn create_table() -> String {
    let name = format!("sessions-{}", new_id());
    let create = {
        let name = name.clone();
        move || table::create(endpoint(), &name)
    };
    tokio::task::spawn_blocking(create).await.unwrap().unwrap();
    name
}

/// Calls a DynamoDB operation, bypassing the API. Returns the engine's response or its error body.
pub(crate) async fn call(operation: String, parameters: Value) -> Result<Value, String> {
    let call = move || table::call(endpoint(), &operation, &parameters);
    tokio::task::spawn_blocking(call).await.unwrap()
}
