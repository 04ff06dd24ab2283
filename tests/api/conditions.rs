//! Preconditions and the order of refusals. Both are the same on every route, and no route ignores a precondition.

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, TOUCH, UNLOCK, new_id,
};

#[tokio::test]
async fn if_match_is_evaluated_or_refused() {
    let app = App::new().await;
    for event in [READ, HEAD, REPLACE, PATCH, TOUCH, ROTATE, DESTROY] {
        let created = app.send(CREATE).await;
        let id = created.header("Session-Id");
        let before = app.item(id).await;
        let send = |tag: &str| app.send(event).id(id).header("if-match", tag);
        let refused = send("\"stale\"").await;
        if event == HEAD {
            assert_eq!(refused.status, 412);
        } else {
            assert_eq!(refused.outcome(), "412 etag-mismatch", "{event}");
        }
        assert_eq!(app.item(id).await, before, "{event} must not change anything");
        let granted = send(&format!("\"stale\", {}", created.header("ETag"))).await;
        assert!(granted.status < 300, "{event}: {granted:?}");
    }
    for event in [CREATE, CREATE_WITH_ID, LOCK, UNLOCK, LIST, REVOKE_ALL, REVOKE] {
        app.take_calls();
        let request = app.send(event).header("if-match", "\"tag\"");
        assert_eq!(request.await.outcome(), "400 invalid-header", "{event}");
        assert!(app.take_calls().is_empty());
    }
}

#[tokio::test]
async fn if_none_match_is_evaluated_or_refused() {
    let app = App::new().await;
    let created = app.send(CREATE).await;
    let (id, tag) = (created.header("Session-Id"), created.header("ETag"));
    for event in [READ, HEAD] {
        assert_eq!(app.send(event).id(id).header("if-none-match", tag).await.status, 304);
        assert_eq!(app.send(event).id(id).header("if-none-match", "\"old\"").await.status, 200);
    }
    app.take_calls();
    for event in [CREATE, PATCH, DESTROY, TOUCH, ROTATE, LOCK, UNLOCK, LIST, REVOKE_ALL, REVOKE] {
        let request = app.send(event).header("if-none-match", "*");
        assert_eq!(request.await.outcome(), "400 invalid-header", "{event}");
    }
    let put = app.send(REPLACE).id(id).header("if-none-match", tag);
    assert_eq!(put.await.outcome(), "400 invalid-header");
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn not_modified_has_no_content_type() {
    let app = App::new().await;
    let created = app.send(CREATE).await;
    let (id, tag) = (created.header("Session-Id"), created.header("ETag"));
    for event in [READ, HEAD] {
        let read = app.send(event).id(id).header("if-none-match", tag).await;
        let names = read.header_names();
        assert!(!names.contains(&"Content-Type"), "{names:?}");
        assert_eq!(read.header("ETag"), tag);
    }
}

#[tokio::test]
async fn a_missing_session_comes_before_the_lock_and_the_lock_before_the_version() {
    let app = App::new().await;
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    for event in [REPLACE, PATCH, ROTATE] {
        for new in [None, Some(new_id())] {
            let id = app.create_session().await;
            let stale = |token: &str| {
                let request = app.send(event).id(&id).header("if-match", "\"stale\"");
                let request = match &new {
                    Some(new) if event == ROTATE => request.header("session-new-id", new),
                    _ => request,
                };
                if token.is_empty() { request } else { request.header("session-lock", token) }
            };
            assert_eq!(stale("").await.outcome(), "412 etag-mismatch", "{event}");
            assert_eq!(stale(other).await.outcome(), "412 not-lock-holder", "{event}");
            let lock = app.send(LOCK).id(&id).await;
            let token = lock.header("Session-Lock");
            assert_eq!(stale("").await.outcome(), "423 session-locked", "{event}");
            assert_eq!(stale(other).await.outcome(), "423 session-locked", "{event}");
            assert_eq!(stale(token).await.outcome(), "412 etag-mismatch", "{event}");
            assert_eq!(app.send(DESTROY).id(&id).await.status, 204);
            assert_eq!(stale(token).await.outcome(), "404 session-not-found", "{event}");
        }
    }
    let id = app.create_session().await;
    let touch = app.send(TOUCH).id(&id).header("if-match", "\"stale\"");
    let unlock = touch.copy().header("session-unlock", other);
    assert_eq!(unlock.await.outcome(), "412 not-lock-holder");
    assert_eq!(touch.await.outcome(), "412 etag-mismatch");
    let read = app.send(READ).id(&new_id()).header("if-match", "\"stale\"");
    assert_eq!(read.await.outcome(), "404 session-not-found");
}
