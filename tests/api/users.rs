//! The sessions of a user: listed, and ended one by one or all at once.

use serde_json::{Value, json};

use crate::harness::{App, CREATE, LIST, READ, REPLACE, REVOKE, REVOKE_ALL, at_once, new_id};

async fn list(app: &App, user: &str, own: &str) -> Vec<Value> {
    let answer = app.send(LIST).header("session-user", user).id(own).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

fn handle(id: &str) -> String {
    session_api::session::SessionId::parse(id).unwrap().handle().as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_sessions_list_newest_first_and_end_all_but_one() {
    let app = App::new().await;
    let created = at_once((0..300).map(|n| app.send(CREATE).after(n))).await;
    let ids: Vec<_> = created.iter().map(|answer| answer.header("Session-Id")).collect();
    let other = app.send(CREATE).header("session-user", "grace").await;
    let own = ids[7];
    let listed = list(&app, "ada", own).await;
    let handles: Vec<_> = listed.iter().map(|entry| entry["handle"].as_str().unwrap()).collect();
    let expected: Vec<_> = ids.iter().rev().map(|id| handle(id)).collect();
    assert_eq!(handles, expected);
    let current: Vec<_> = listed.iter().filter(|entry| entry["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["handle"], handle(own));

    let revoked = app.send(REVOKE_ALL).id(own).await;
    assert_eq!(revoked.body, br#"{"destroyed":299}"#);
    assert_eq!(app.send(READ).id(own).await.status, 200);
    assert_eq!(app.send(READ).id(ids[0]).await.status, 404);
    assert_eq!(app.send(READ).id(other.header("Session-Id")).await.status, 200);
    assert_eq!(list(&app, "ada", own).await.len(), 1);
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn an_entry_says_when_and_until_when() {
    let app =
        App::with(|limits| limits.max_lifetime = Some(std::time::Duration::from_secs(100))).await;
    let created = app.send(CREATE).header("session-ttl", "600").await;
    let id = created.header("Session-Id");
    let read = app.send(READ).id(id).await;
    assert_eq!(
        list(&app, "ada", &new_id()).await,
        [json!({
            "handle": handle(id),
            "created": read.header("Session-Created"),
            "expires": created.header("Session-Expires"),
            "current": false,
        })]
    );
    assert_eq!(app.send(LIST).without("session-id").await.status, 200);
    assert_eq!(app.send(LIST).header("session-user", "nobody").await.body, b"[]");
}

#[tokio::test]
async fn expired_sessions_and_those_of_another_owner_are_not_listed_nor_ended() {
    let app = App::new().await;
    app.send(CREATE).header("session-ttl", "60").await;
    let moved = app.session().await;
    app.send(REPLACE).id(&moved).header("session-user", "grace").await;
    let answer = app.send(LIST).after(60).await;
    assert_eq!(answer.body, b"[]");
    assert_eq!(app.send(REVOKE_ALL).after(60).await.body, br#"{"destroyed":0}"#);
    assert_eq!(app.send(READ).id(&moved).await.status, 200);
}

#[tokio::test]
async fn a_handle_ends_a_session_of_its_user_and_reads_nothing() {
    let app = App::new().await;
    let id = app.session().await;
    let handle = handle(&id);
    let revoke =
        |user: &str, handle: &str| app.send(REVOKE).header("session-user", user).handle(handle);
    assert_eq!(app.send(READ).id(&handle).await.outcome(), "404 session-not-found");
    assert_eq!(revoke("grace", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(revoke("ada", &id).await.outcome(), "404 session-not-found", "an id is no handle");
    app.take_calls();
    assert_eq!(revoke("ada", "short").await.outcome(), "404 session-not-found");
    assert!(app.take_calls().is_empty());
    assert_eq!(revoke("ada", &handle).after(3600).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 200);
    assert_eq!(revoke("ada", &handle).await.status, 204);
    assert_eq!(app.take_calls(), ["DeleteItem", "GetItem", "DeleteItem"]);
    assert_eq!(revoke("ada", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 404);
}

#[tokio::test]
async fn whose_sessions_are_meant_must_be_said() {
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
