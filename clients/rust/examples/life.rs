//! Takes a session through its life with this client, to test a deployed API. Prints `lived` at the end.

#[path = "../tests/support/app.rs"]
mod app;
#[path = "../tests/support/browser.rs"]
mod browser;

use std::time::Duration;

use browser::Browser;
use serde_json::json;
use tower_sessions::session::Id;
use tower_sessions_session_api::{Options, SessionApiStore};

#[tokio::main]
async fn main() {
    // If a write at the end of a request fails, tower-sessions only logs the reason.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let user = format!("life of {} ü!'()*", Id::default());
    let owner = user.clone();
    let options = Options::from_env()
        .unwrap()
        .with_user(move |_| Some(owner.clone()))
        .with_label(|_| Some("Rust & life".into()))
        .with_touch_after(Duration::ZERO)
        .with_retries(0);
    let store = SessionApiStore::new(options).unwrap();
    let mut browser = Browser::new(&app::app(&store, |layer| layer.with_always_save(true)));
    let created = browser.visit(json!([["set", "text", "grüße"]])).await;
    assert_eq!(created.status, 200, "{}", created.error);
    assert_eq!(browser.visit(json!([["set", "n", 1]])).await.status, 200);
    // Slides the expiry.
    assert_eq!(browser.visit(json!([])).await.session, json!({ "text": "grüße", "n": 1 }));
    let old = browser.cookie.clone();
    assert_eq!(browser.visit(json!([["regenerate"], ["unset", "n"]])).await.status, 200);
    assert_eq!(browser.visit(json!([])).await.session, json!({ "text": "grüße" }));
    let devices = store.devices(&user, Some(&browser.id())).await.unwrap();
    assert!(devices[0].current);
    assert_eq!(devices[0].label.as_deref(), Some("Rust & life"));
    let current = std::mem::replace(&mut browser.cookie, old);
    assert_eq!(browser.visit(json!([])).await.session, json!({}));
    browser.cookie = current;
    assert!(store.logout_device(&user, &devices[0].handle).await.unwrap());
    assert_eq!(browser.visit(json!([])).await.session, json!({}));
    assert_eq!(browser.visit(json!([["set", "n", 1]])).await.status, 200);
    assert_eq!(store.logout_everywhere(&user).await.unwrap(), 1);
    assert_eq!(browser.visit(json!([["destroy"]])).await.status, 200);
    print!("lived");
}
