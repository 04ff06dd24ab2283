//! Expiry: a session counts as absent from the second it expires, even if its item is still in the table.

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE, ROTATE,
    TOUCH, UNLOCK, handle,
};

#[tokio::test]
async fn sessions_expire_at_the_exact_second() {
    let app = App::new().await;
    for (seconds, is_live) in [(59, true), (60, false), (61, false)] {
        for event in [READ, HEAD, REPLACE, TOUCH] {
            let created = app.send(CREATE).header("session-ttl", "60").await;
            let id = created.header("Session-Id");
            let response = app.send(event).id(id).at(seconds).await;
            if is_live {
                assert!(response.status < 300, "{event} after {seconds} s: {response:?}");
            } else {
                assert_eq!(
                    response.outcome(),
                    "404 session-not-found",
                    "{event} after {seconds} s"
                );
            }
        }
    }
    assert_eq!(app.items().await.len(), 12, "expired items must stay");
}

#[tokio::test]
async fn expired_sessions_match_no_etag_condition() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let (id, etag) = (created.header("Session-Id"), created.header("ETag"));
    let put = app.send(REPLACE).id(id).header("if-match", etag).at(60).await;
    assert_eq!(put.outcome(), "404 session-not-found");
    let delete = app.send(DESTROY).id(id).header("if-match", "\"other\"").at(60).await;
    assert_eq!(delete.status, 204);
    assert!(app.items().await.is_empty());
}

#[tokio::test]
async fn ids_of_expired_sessions_can_be_reused() {
    let app = App::new().await;
    let create = || app.send(CREATE_WITH_ID).header("session-ttl", "60");
    assert_eq!(create().await.status, 201);
    assert_eq!(create().at(59).await.outcome(), "412 session-exists");
    assert_eq!(create().without("session-user").body(b"new").at(60).await.status, 201);
    let read = app.send(READ).at(60).await;
    assert_eq!(read.body, b"new");
    assert!(
        !read.header_names().contains(&"Session-User"),
        "the new session must not inherit the user"
    );
}

#[tokio::test]
async fn writes_slide_expiry_by_the_stored_ttl() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    assert_eq!(app.send(REPLACE).id(id).at(50).await.status, 204);
    assert_eq!(app.send(READ).id(id).at(109).await.header("Session-TTL"), "1");
    assert_eq!(app.send(REPLACE).id(id).header("session-ttl", "5").at(109).await.status, 204);
    assert_eq!(app.send(REPLACE).id(id).at(113).await.status, 204);
    assert_eq!(app.send(READ).id(id).at(117).await.header("Session-TTL"), "1");
    assert_eq!(app.send(READ).id(id).at(118).await.status, 404);
}

#[tokio::test]
async fn activity_does_not_extend_the_absolute_lifetime() {
    let app = App::with_max_lifetime(100).await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    assert_eq!(created.header("Session-TTL"), "60");
    let touched = app.send(TOUCH).id(id).at(59).await;
    assert_eq!(
        touched.header("Session-TTL"),
        "41",
        "the absolute lifetime ends before the idle one"
    );
    assert_eq!(app.send(REPLACE).id(id).header("session-ttl", "600").at(99).await.status, 204);
    let read = app.send(READ).id(id).at(99).await;
    assert_eq!(read.header("Session-TTL"), "1");
    assert_eq!(read.header("Session-Expires"), touched.header("Session-Expires"));
    for event in [READ, REPLACE, TOUCH] {
        assert_eq!(app.send(event).id(id).at(100).await.outcome(), "404 session-not-found");
    }
    assert_eq!(app.send(CREATE_WITH_ID).id(id).at(100).await.status, 201);

    let short = app.send(CREATE).header("session-ttl", "600").await;
    assert_eq!(short.header("Session-TTL"), "100");
}

#[tokio::test]
async fn touch_without_an_absolute_lifetime_extends_forever() {
    let app = App::new().await;
    let id = app.create_session().await;
    for seconds in [0, 1, 2] {
        assert_eq!(app.send(TOUCH).id(&id).at(seconds).await.header("Session-TTL"), "3600");
    }
    let read = app.send(READ).id(&id).at(2).await;
    assert_eq!(read.header("Session-TTL"), "3600");
}

#[tokio::test]
async fn sessions_created_before_the_revocation_are_absent() {
    let app = App::new().await;
    let old = app.create_session().await;
    let new = app.send(CREATE).at(10).await;
    let new = new.header("Session-Id");
    let revoked = app.revoked_before(10);
    for event in [READ, HEAD, REPLACE, PATCH, TOUCH, ROTATE, LOCK, UNLOCK] {
        let request = revoked.send(event).id(&old).at(11);
        assert_eq!(request.await.status, 404, "{event}");
    }
    assert_eq!(revoked.send(REVOKE).handle(&handle(&old)).at(11).await.status, 404);
    assert_eq!(revoked.send(READ).id(new).at(11).await.status, 200);
    assert_eq!(revoked.send(TOUCH).id(new).at(11).await.status, 204);
    let listed = revoked.send(LIST).at(11).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(revoked.send(CREATE_WITH_ID).id(&old).at(11).await.status, 201, "its id is free");
    assert_eq!(revoked.send(READ).id(&old).at(11).await.status, 200);
}

#[tokio::test]
async fn absolute_lifetime_ends_sessions_that_are_older_than_the_setting() {
    let before = App::new().await;
    let created = before.send(CREATE).header("session-ttl", "8640000").await;
    let id = created.header("Session-Id");
    let app = before.redeployed(None, Some(60));
    let read = app.send(READ).id(id).at(59).await;
    assert_eq!(read.header("Session-TTL"), "1");
    assert_eq!(read.header("Session-Expires"), app.rfc3339(60));
    for event in [READ, HEAD, TOUCH, REPLACE, PATCH, ROTATE, LOCK] {
        assert_eq!(app.send(event).id(id).at(60).await.status, 404, "{event}");
    }
    let longer = before.redeployed(None, Some(120));
    assert_eq!(longer.send(READ).id(id).at(60).await.header("Session-TTL"), "60");
    assert_eq!(app.send(CREATE_WITH_ID).id(id).at(60).await.status, 201, "its id is free");
}

#[tokio::test]
async fn writes_slide_the_expiry_by_at_most_the_current_maximum() {
    let before = App::new().await;
    let app = before.redeployed(Some(60), None);
    for event in [REPLACE, PATCH, TOUCH, ROTATE, LOCK] {
        let created = before.send(CREATE).header("session-ttl", "8640000").await;
        let id = created.header("Session-Id");
        let untouched = app.send(READ).id(id).at(1).await;
        assert_eq!(untouched.header("Session-TTL"), "8639999", "reads must not extend the session");
        let changed = app.send(event).id(id).at(1).await;
        assert!(changed.status < 300, "{event}: {changed:?}");
        let id = if event == ROTATE { changed.header("Session-Id") } else { id };
        assert_eq!(app.send(READ).id(id).at(1).await.header("Session-TTL"), "60", "{event}");
        app.take_calls();
        assert!(app.send(event).id(id).at(30).await.status < 424, "{event}");
        let writes = app.take_calls().iter().filter(|call| *call != "GetItem").count();
        assert_eq!(writes, 1, "{event}: from now on, one call is enough");
    }
}

#[tokio::test]
async fn items_stay_in_the_table_for_at_most_one_absolute_lifetime_after_their_last_use() {
    let app = App::with_max_lifetime(100).await;
    let created = app.send(CREATE).header("session-ttl", "8640000").await;
    let item = app.item(created.header("Session-Id")).await.unwrap();
    assert_eq!(item["expires"]["N"], (app.start().as_secs() + 100).to_string());
}
