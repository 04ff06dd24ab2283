use axum::{Router, http::StatusCode, routing::get};
use tower_sessions::Session;

// README
async fn page(session: Session) -> Result<String, StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    let visits: u32 = session.get("visits").await.map_err(unavailable)?.unwrap_or(0) + 1;
    session.insert("visits", visits).await.map_err(unavailable)?;
    Ok(visits.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = with_sessions(Router::new().route("/", get(page)))?;
    let address = format!("localhost:{}", std::env::var("PORT")?);
    Ok(axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?)
}
