//! The sessions of a user: listing them, and destroying one or all.

use serde_json::{Value, json};

use crate::harness::{
    App, CREATE, LIST, READ, REPLACE, REVOKE, REVOKE_ALL, TOUCH, handle, new_id, send_concurrently,
};

async fn list(app: &App, user: &str, current_id: &str) -> Vec<Value> {
    let response = app.send(LIST).header("session-user", user).id(current_id).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), "application/json");
    serde_json::from_slice(&response.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_revoke_all_handle_300_sessions() {
    let app = App::new().await;
    let created = send_concurrently((0..300).map(|n| app.send(CREATE).at(n))).await;
    let ids: Vec<_> = created.iter().map(|response| response.header("Session-Id")).collect();
    let other = app.send(CREATE).header("session-user", "grace").await;
    let own = ids[7];
    let listed = list(&app, "ada", own).await;
    let handles: Vec<_> = listed.iter().map(|entry| entry["handle"].as_str().unwrap()).collect();
    let expected: Vec<_> = ids.iter().rev().map(|id| handle(id)).collect();
    assert_eq!(handles, expected);
    let current: Vec<_> = listed.iter().filter(|entry| entry["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["handle"], handle(own));

    let early = app.send(REVOKE_ALL).id(own).at(9).await;
    assert_eq!(early.body, br#"{"destroyed":9}"#, "later sessions did not exist yet");
    let revoked = app.send(REVOKE_ALL).id(own).at(300).await;
    assert_eq!(revoked.body, br#"{"destroyed":290}"#);
    assert_eq!(app.send(READ).id(own).await.status, 200);
    assert_eq!(app.send(READ).id(ids[0]).await.status, 404);
    assert_eq!(app.send(READ).id(other.header("Session-Id")).await.status, 200);
    assert_eq!(list(&app, "ada", own).await.len(), 1);
    assert_eq!(app.send(REVOKE_ALL).at(300).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn list_entries_describe_their_session() {
    let app = App::with_max_lifetime(100).await;
    let created = app.send(CREATE).header("session-label", "lynx").await;
    let id = created.header("Session-Id");
    let read = app.send(READ).id(id).await;
    let touched = app.send(TOUCH).id(id).header("session-ttl", "60").at(30).await;
    let expected = |label: Value, used: &str, expires: &str| {
        json!({
            "handle": handle(id),
            "created": read.header("Session-Created"),
            "used": used,
            "expires": expires,
            "label": label,
            "current": false,
        })
    };
    let used = app.rfc3339(30);
    let entry = expected("lynx".into(), &used, touched.header("Session-Expires"));
    assert_eq!(list(&app, "ada", &new_id()).await, [entry]);
    let touched = app.send(TOUCH).id(id).header("session-label", "").at(50).await;
    let entry = expected(Value::Null, &app.rfc3339(50), touched.header("Session-Expires"));
    assert_eq!(list(&app, "ada", &new_id()).await, [entry]);
    assert_eq!(app.send(LIST).without("session-id").await.status, 200);
    assert_eq!(app.send(LIST).header("session-user", "nobody").await.body, b"[]");
}

#[tokio::test]
async fn expired_sessions_and_sessions_of_other_users_are_excluded() {
    let app = App::new().await;
    app.send(CREATE).header("session-ttl", "60").await;
    let reassigned = app.create_session().await;
    app.send(REPLACE).id(&reassigned).header("session-user", "grace").await;
    let response = app.send(LIST).at(60).await;
    assert_eq!(response.body, b"[]");
    assert_eq!(app.send(REVOKE_ALL).at(60).await.body, br#"{"destroyed":0}"#);
    assert_eq!(app.send(READ).id(&reassigned).await.status, 200);
}

#[tokio::test]
async fn handles_only_destroy_sessions_of_their_user() {
    let app = App::new().await;
    let id = app.create_session().await;
    let handle = handle(&id);
    let revoke =
        |user: &str, handle: &str| app.send(REVOKE).header("session-user", user).handle(handle);
    assert_eq!(app.send(READ).id(&handle).await.outcome(), "404 session-not-found");
    assert_eq!(revoke("grace", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(
        revoke("ada", &id).await.outcome(),
        "404 session-not-found",
        "a session id is not a handle"
    );
    app.take_calls();
    assert_eq!(revoke("ada", "short").await.outcome(), "404 session-not-found");
    assert!(app.take_calls().is_empty());
    assert_eq!(revoke("ada", &handle).at(3600).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 200);
    assert_eq!(revoke("ada", &handle).await.status, 204);
    assert_eq!(app.take_calls(), ["DeleteItem", "GetItem", "DeleteItem"]);
    assert_eq!(revoke("ada", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 404);
}

#[tokio::test]
async fn user_routes_require_session_user() {
    let app = App::new().await;
    for event in [LIST, REVOKE_ALL, REVOKE] {
        for request in [
            app.send(event).without("session-user"),
            app.send(event).header("session-user", ""),
            app.send(event).header("session-user", "two words"),
        ] {
            assert_eq!(request.await.outcome(), "400 invalid-header");
        }
    }
    for event in [LIST, REVOKE_ALL] {
        assert_eq!(app.send(event).id("short").await.outcome(), "400 invalid-session-id");
    }
    assert!(app.take_calls().is_empty());
}
