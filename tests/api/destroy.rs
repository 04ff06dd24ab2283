//! Destroying a session, which can't be undone.

use crate::harness::{App, CREATE_WITH_ID, DESTROY, READ, REPLACE, TOUCH, new_id};

#[tokio::test]
async fn destroy_is_idempotent() {
    let app = App::new().await;
    let id = app.create_session().await;
    assert_eq!(app.send(DESTROY).id(&id).await.header_names(), ["Cache-Control"]);
    assert!(app.items().await.is_empty());
    assert_eq!(app.send(DESTROY).id(&id).await.status, 204);
    assert_eq!(app.send(DESTROY).id(&new_id()).await.status, 204);
}

#[tokio::test]
async fn only_create_restores_a_destroyed_session() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    app.send(DESTROY).id(&id).await;
    for attempt in [
        app.send(REPLACE),
        app.send(REPLACE).header("if-match", &etag),
        app.send(REPLACE).header("if-match", "*"),
        app.send(REPLACE).header("session-ttl", "60").header("session-user", "ada"),
        app.send(TOUCH),
        app.send(TOUCH).header("session-ttl", "60"),
    ] {
        assert_eq!(attempt.id(&id).await.outcome(), "404 session-not-found");
    }
    assert!(app.items().await.is_empty());
    assert_eq!(app.send(CREATE_WITH_ID).id(&id).await.status, 201);
    assert_eq!(app.send(READ).id(&id).await.status, 200);
}

#[tokio::test]
async fn destroy_respects_if_match() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    let destroy = |etag: &str| app.send(DESTROY).id(&id).header("if-match", etag);
    for stale in ["\"other\"", &format!("W/{etag}")] {
        assert_eq!(destroy(stale).await.outcome(), "412 etag-mismatch");
    }
    assert_eq!(app.send(READ).id(&id).await.status, 200);
    assert_eq!(destroy(&format!("\"other\", {etag}")).await.status, 204);
    assert_eq!(app.send(READ).id(&id).await.status, 404);
    // The session is already destroyed, so no condition can fail.
    assert_eq!(destroy(&etag).await.status, 204);
    assert_eq!(destroy("*").await.status, 204);
}
