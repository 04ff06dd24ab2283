//! Successful requests: each endpoint's response headers, and the calls it makes.

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, HEAD, READ, REPLACE, TOUCH, new_id,
};

#[tokio::test]
async fn example_events_succeed_in_order() {
    let app = App::new().await;
    assert_eq!(app.send(CREATE).await.status, 201);
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    assert_eq!(app.send(READ).await.body, br#"{"cart":["apple"]}"#);
    assert_eq!(app.send(HEAD).await.status, 200);
    assert_eq!(app.send(REPLACE).await.status, 204);
    assert_eq!(app.send(READ).await.body, br#"{"cart":["apple","pear"]}"#);
    assert_eq!(app.send(TOUCH).await.status, 204);
    assert_eq!(app.send(DESTROY).await.status, 204);
    assert_eq!(app.send(READ).await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn operations_take_one_call_and_invalid_requests_none() {
    let app = App::new().await;
    for (event, call) in [
        (CREATE, "PutItem"),
        (CREATE_WITH_ID, "PutItem"),
        (CREATE_WITH_ID, "PutItem"), // 412 session-exists
        (READ, "GetItem"),
        (HEAD, "GetItem"),
        (REPLACE, "UpdateItem"),
        (TOUCH, "UpdateItem"),
        (DESTROY, "DeleteItem"),
        (DESTROY, "DeleteItem"), // 204, although already destroyed
        (READ, "GetItem"),       // 404
        (REPLACE, "UpdateItem"), // 404
        (TOUCH, "UpdateItem"),   // 404
    ] {
        app.send(event).await;
        assert_eq!(app.take_calls(), [call]);
    }
    for event in [READ, HEAD, REPLACE, TOUCH, DESTROY] {
        assert_eq!(app.send(event).id("short").await.status, 400);
    }
    for event in [CREATE, CREATE_WITH_ID, REPLACE, TOUCH] {
        assert_eq!(app.send(event).header("session-ttl", "0").await.status, 400);
    }
    for event in [CREATE, CREATE_WITH_ID, REPLACE] {
        assert_eq!(app.send(event).body(&vec![b'a'; 1024 * 1024 + 1]).await.status, 413);
    }
    assert_eq!(app.send(READ).edit_event(|e| e["routeKey"] = "GET /".into()).await.status, 404);
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn create_returns_id_and_lifetime() {
    let app = App::new().await;
    let response = app.send(CREATE).header("session-ttl", "60").await;
    assert_eq!(response.status, 201);
    assert_eq!(
        response.header_names(),
        ["Cache-Control", "ETag", "Session-Expires", "Session-Id", "Session-TTL"]
    );
    assert_eq!(response.header("Session-Id").len(), 43);
    assert_eq!(response.header("Session-TTL"), "60");
    assert_eq!(response.header("Session-Expires"), app.rfc3339(60));
}

#[tokio::test]
async fn create_has_defaults_for_everything() {
    let app = App::new().await;
    let bare = app.send(CREATE).without("content-length").without("content-type");
    let bare = bare.without("session-ttl").without("session-user").without("session-label");
    let created = bare.edit_event(|e| drop(e.as_object_mut().unwrap().remove("body"))).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("Session-TTL"), "86400");
    let read = app.send(READ).id(created.header("Session-Id")).await;
    assert_eq!(read.body, b"");
    assert_eq!(
        read.header_names(),
        [
            "Cache-Control",
            "Content-Type",
            "ETag",
            "Session-Created",
            "Session-Expires",
            "Session-TTL"
        ]
    );
    assert_eq!(read.header("Content-Type"), "application/octet-stream");
}

#[tokio::test]
async fn read_returns_data_and_metadata() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    let read = app.send(READ).id(id).at(10).await;
    assert_eq!(read.status, 200);
    assert!(read.is_text);
    assert_eq!(
        read.header_names(),
        [
            "Cache-Control",
            "Content-Type",
            "ETag",
            "Session-Created",
            "Session-Expires",
            "Session-Label",
            "Session-TTL",
            "Session-User"
        ]
    );
    assert_eq!(read.header("Content-Type"), "application/json");
    assert_eq!(read.header("ETag"), created.header("ETag"));
    assert_eq!(read.header("Session-User"), "ada");
    assert_eq!(read.header("Session-Label"), "Firefox%20on%20Linux");
    assert_eq!(read.header("Session-Created"), app.rfc3339(0));
    assert_eq!(read.header("Session-Expires"), app.rfc3339(60));
    assert_eq!(read.header("Session-TTL"), "50");

    let head = app.send(HEAD).id(id).at(10).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header_names(), read.header_names());
    for name in read.header_names() {
        assert_eq!(head.header(name), read.header(name));
    }
}

#[tokio::test]
async fn reads_respect_if_none_match() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    for event in [READ, HEAD] {
        for known in [&etag, "*", &format!("W/{etag}"), &format!("\"other\", {etag}")] {
            let response = app.send(event).id(&id).header("if-none-match", known).await;
            assert_eq!(response.status, 304, "{known}");
            assert_eq!(response.header("ETag"), etag);
            assert_eq!(response.header("Session-TTL"), "3600");
        }
        let response = app.send(event).id(&id).header("if-none-match", "\"other\"").await;
        assert_eq!(response.status, 200);
    }
    let missing = app.send(READ).id(&new_id()).header("if-none-match", "*").await;
    assert_eq!(missing.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn replace_changes_data_media_type_and_etag() {
    let app = App::new().await;
    let created = app.send(CREATE).await;
    let id = created.header("Session-Id");
    let replaced = app.send(REPLACE).id(id).header("content-type", "text/plain").body(b"new").await;
    assert_eq!(replaced.status, 204);
    assert_eq!(replaced.header_names(), ["Cache-Control", "ETag"]);
    assert_ne!(replaced.header("ETag"), created.header("ETag"));
    let read = app.send(READ).id(id).await;
    assert_eq!(read.body, b"new");
    assert_eq!(read.header("Content-Type"), "text/plain");
    assert_eq!(read.header("ETag"), replaced.header("ETag"));

    let untyped = app.send(REPLACE).id(id).without("content-type").await;
    assert_eq!(untyped.status, 204);
    let read = app.send(READ).id(id).await;
    assert_eq!(read.header("Content-Type"), "application/octet-stream");
}

#[tokio::test]
async fn replace_keeps_the_user_unless_given_another() {
    let app = App::new().await;
    let id = app.create_session().await;
    app.send(REPLACE).id(&id).await;
    assert_eq!(app.send(READ).id(&id).await.header("Session-User"), "ada");
    app.send(REPLACE).id(&id).header("session-user", "grace").await;
    assert_eq!(app.send(READ).id(&id).await.header("Session-User"), "grace");
}

#[tokio::test]
async fn replace_respects_if_match() {
    let app = App::new().await;
    let id = app.create_session().await;
    let old = app.send(READ).id(&id).await.header("ETag").to_owned();
    let put = |etag: &str| app.send(REPLACE).id(&id).header("if-match", etag);
    let new = put(&format!("\"other\", {old}")).await;
    assert_eq!(new.status, 204);
    let new = new.header("ETag");
    for stale in [&old, "\"other\"", &format!("W/{new}")] {
        assert_eq!(put(stale).await.outcome(), "412 etag-mismatch", "{stale}");
    }
    assert_eq!(app.send(READ).id(&id).await.header("ETag"), new);
    assert_eq!(put("*").await.status, 204);
    let missing = app.send(REPLACE).id(&new_id());
    assert_eq!(missing.header("if-match", new).await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn if_match_accepts_100_etags() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    let list = |last: &str| format!("{}{last}", "\"other\", ".repeat(99));
    let put = |etags: &str| app.send(REPLACE).id(&id).header("if-match", etags);
    assert_eq!(put(&list("\"last\"")).await.outcome(), "412 etag-mismatch");
    assert_eq!(put(&list(&etag)).await.status, 204);
}

#[tokio::test]
async fn put_creates_only_with_if_none_match() {
    let app = App::new().await;
    let id = "php,style-id_".repeat(2);
    assert_eq!(app.send(REPLACE).id(&id).await.outcome(), "404 session-not-found");
    let created = app.send(CREATE_WITH_ID).id(&id).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header_names(), ["Cache-Control", "ETag", "Session-Expires", "Session-TTL"]);
    let etag = created.header("ETag");
    assert_eq!(app.send(CREATE_WITH_ID).id(&id).body(b"x").await.outcome(), "412 session-exists");
    let read = app.send(READ).id(&id).await;
    assert_eq!(read.header("ETag"), etag);
    assert_eq!(read.body, br#"{"cart":["apple"]}"#);
}

#[tokio::test]
async fn touch_slides_only_the_expiry() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    let touched = app.send(TOUCH).id(id).at(50).await;
    assert_eq!(touched.status, 204);
    assert_eq!(touched.header_names(), ["Cache-Control", "ETag", "Session-Expires", "Session-TTL"]);
    assert_eq!(touched.header("ETag"), created.header("ETag"));
    assert_eq!(touched.header("Session-TTL"), "60");
    assert_eq!(touched.header("Session-Expires"), app.rfc3339(110));
    let read = app.send(READ).id(id).at(100).await;
    assert_eq!(read.header("Session-TTL"), "10");
    assert_eq!(read.header("ETag"), created.header("ETag"));

    let longer = app.send(TOUCH).id(id).header("session-ttl", "600").at(100).await;
    assert_eq!(longer.header("Session-TTL"), "600");
    let again = app.send(TOUCH).id(id).at(200).await;
    assert_eq!(again.header("Session-Expires"), app.rfc3339(800));
}

#[tokio::test]
async fn session_ids_are_case_sensitive() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    assert_eq!(app.send(READ).id(&EXAMPLE_ID.to_uppercase()).await.status, 404);
}
