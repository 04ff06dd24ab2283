//! Expired is gone, in the very second, while the item still lies in the table.

use crate::harness::{App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, READ, REPLACE, TOUCH};

#[tokio::test]
async fn a_session_is_there_one_second_before_its_end_and_gone_in_it() {
    let app = App::new().await;
    for (after, live) in [(59, true), (60, false), (61, false)] {
        for event in [READ, HEAD, REPLACE, TOUCH] {
            let id = app.send(CREATE).header("session-ttl", "60").await;
            let id = id.header("Session-Id");
            let answer = app.send(event).id(id).after(after).await;
            if live {
                assert!(answer.status < 300, "{event} after {after}: {answer:?}");
            } else {
                let read = if event == HEAD { "404" } else { "404 session-not-found" };
                assert!(answer.outcome().starts_with(read), "{event} after {after}: {answer:?}");
            }
        }
    }
    assert_eq!(app.items().await.len(), 12, "no item was deleted");
}

#[tokio::test]
async fn an_expired_sessions_version_matches_no_condition() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let (id, etag) = (created.header("Session-Id"), created.header("ETag"));
    let put = app.send(REPLACE).id(id).header("if-match", etag).after(60).await;
    assert_eq!(put.outcome(), "404 session-not-found");
    let delete = app.send(DESTROY).id(id).header("if-match", "\"other\"").after(60).await;
    assert_eq!(delete.status, 204);
    assert!(app.items().await.is_empty());
}

#[tokio::test]
async fn an_expired_sessions_id_is_free_again() {
    let app = App::new().await;
    let create = || app.send(CREATE_WITH_ID).header("session-ttl", "60");
    assert_eq!(create().await.status, 201);
    assert_eq!(create().after(59).await.outcome(), "412 session-exists");
    assert_eq!(create().without("session-user").body(b"new").after(60).await.status, 201);
    let read = app.send(READ).after(60).await;
    assert_eq!(read.body, b"new");
    assert!(!read.header_names().contains(&"Session-User"), "the old session's owner is gone too");
}

#[tokio::test]
async fn a_write_slides_by_the_lifetime_that_the_session_has() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    assert_eq!(app.send(REPLACE).id(id).after(50).await.status, 204);
    assert_eq!(app.send(READ).id(id).after(109).await.header("Session-TTL"), "1");
    assert_eq!(app.send(REPLACE).id(id).header("session-ttl", "5").after(109).await.status, 204);
    assert_eq!(app.send(REPLACE).id(id).after(113).await.status, 204);
    assert_eq!(app.send(READ).id(id).after(117).await.header("Session-TTL"), "1");
    assert_eq!(app.send(READ).id(id).after(118).await.status, 404);
}

#[tokio::test]
async fn no_use_outlives_the_absolute_end() {
    let app =
        App::with(|limits| limits.max_lifetime = Some(std::time::Duration::from_secs(100))).await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    assert_eq!(created.header("Session-TTL"), "60");
    let touched = app.send(TOUCH).id(id).after(59).await;
    assert_eq!(touched.header("Session-TTL"), "41", "the absolute end is nearer than the idle one");
    assert_eq!(app.send(REPLACE).id(id).header("session-ttl", "600").after(99).await.status, 204);
    let read = app.send(READ).id(id).after(99).await;
    assert_eq!(read.header("Session-TTL"), "1");
    assert_eq!(read.header("Session-Expires"), touched.header("Session-Expires"));
    for event in [READ, REPLACE, TOUCH] {
        assert_eq!(app.send(event).id(id).after(100).await.outcome(), "404 session-not-found");
    }
    assert_eq!(app.send(CREATE_WITH_ID).id(id).after(100).await.status, 201);

    let short = app.send(CREATE).header("session-ttl", "600").await;
    assert_eq!(short.header("Session-TTL"), "100");
}

#[tokio::test]
async fn a_touch_does_not_give_an_end_to_a_session_that_has_none() {
    let app = App::new().await;
    let id = app.session().await;
    for after in [0, 1, 2] {
        assert_eq!(app.send(TOUCH).id(&id).after(after).await.header("Session-TTL"), "3600");
    }
    let read = app.send(READ).id(&id).header("session-ttl", "60").after(2).await;
    assert_eq!(read.header("Session-TTL"), "3600");
}
