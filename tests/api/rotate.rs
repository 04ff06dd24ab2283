//! Rotation: moves a session to a new id atomically.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LIST, LOCK, PATCH, READ, REPLACE, REVOKE_ALL,
    ROTATE, Response, TOUCH, UNLOCK, new_id as fresh_id, send_concurrently,
};

fn new_id(rotated: &Response) -> String {
    assert_eq!(rotated.status, 200, "{rotated:?}");
    rotated.header("Session-Id").to_owned()
}

#[tokio::test]
async fn rotation_keeps_data_and_metadata() {
    let app = App::with_max_lifetime(1000).await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let old = created.header("Session-Id").to_owned();
    let before = app.send(READ).id(&old).await;
    app.take_calls();
    let rotated = app.send(ROTATE).id(&old).at(50).await;
    assert_eq!(app.take_calls(), ["GetItem", "TransactWriteItems"]);
    let new = new_id(&rotated);
    assert_ne!(new, old);
    assert_eq!(
        rotated.header_names(),
        ["Cache-Control", "ETag", "Session-Expires", "Session-Id", "Session-TTL"]
    );
    assert_eq!(rotated.header("Session-TTL"), "60");
    let after = app.send(READ).id(&new).at(50).await;
    assert_eq!(after.body, before.body);
    for name in ["Content-Type", "ETag", "Session-Created", "Session-User", "Session-TTL"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
    assert_eq!(app.send(READ).id(&old).at(50).await.outcome(), "404 session-not-found");
    assert_eq!(app.items().await.len(), 1);

    let newest = new_id(&app.send(ROTATE).id(&new).header("session-ttl", "2000").at(100).await);
    let last = app.send(READ).id(&newest).at(999).await;
    assert_eq!(last.header("Session-TTL"), "1", "the absolute lifetime must be kept");
    assert_eq!(app.send(READ).id(&newest).at(1000).await.status, 404);
}

#[tokio::test]
async fn refused_rotation_looks_for_an_earlier_attempt_only_if_it_can_be_repeated() {
    let app = App::new().await;
    for (event, if_match) in [(CREATE, Some("\"other\"")), (ROTATE, None)] {
        let id = app.create_session().await;
        if event == ROTATE {
            app.send(DESTROY).id(&id).await;
        }
        let rotate = || match if_match {
            Some(etag) => app.send(ROTATE).id(&id).header("if-match", etag),
            None => app.send(ROTATE).id(&id),
        };
        app.take_calls();
        let refused = rotate().await.outcome();
        assert_eq!(app.take_calls(), ["GetItem"], "{refused}");
        let repeatable = rotate().header("session-new-id", &fresh_id());
        assert_eq!(repeatable.await.outcome(), refused);
        assert_eq!(app.take_calls(), ["GetItem", "GetItem"], "{refused}");
    }
}

#[tokio::test]
async fn rotation_can_set_user_and_data() {
    let app = App::new().await;
    let created = app.send(CREATE).without("session-user").await;
    let login = app.send(ROTATE).id(created.header("Session-Id"));
    let login = login.header("session-user", "ada").header("content-type", "text/plain");
    let rotated = login.body(b"user=ada").await;
    let read = app.send(READ).id(&new_id(&rotated)).await;
    assert_eq!(read.body, b"user=ada");
    assert_eq!(read.header("Content-Type"), "text/plain");
    assert_eq!(read.header("Session-User"), "ada");
    assert_ne!(read.header("ETag"), created.header("ETag"));
}

#[tokio::test]
async fn old_id_is_read_only_during_grace_period() {
    let app = App::new().await;
    let created = app.send(CREATE).await;
    let old = created.header("Session-Id");
    let rotated = app.send(ROTATE).id(old).header("session-grace", "30").body(b"new").await;
    let new = new_id(&rotated);
    app.take_calls();
    let read = app.send(READ).id(old).at(29).await;
    assert_eq!(read.body, br#"{"cart":["apple"]}"#);
    assert_eq!(app.take_calls(), ["GetItem", "GetItem"]);
    assert_eq!(app.send(HEAD).id(old).at(29).await.header("ETag"), created.header("ETag"));
    let token = "AAAAAAAAAAAAAAAAAAAAAA";
    for (event, ttl) in [
        (REPLACE, ""),
        (PATCH, ""),
        (TOUCH, ""),
        (TOUCH, "600"),
        (ROTATE, ""),
        (LOCK, ""),
        (UNLOCK, ""),
        (DESTROY, ""),
    ] {
        let request = app.send(event).id(old).at(1);
        let request =
            if event == UNLOCK { request.header("session-unlock", token) } else { request };
        let request = if ttl.is_empty() { request } else { request.header("session-ttl", ttl) };
        assert_eq!(request.await.outcome(), "404 session-not-found", "{event}");
    }
    assert_eq!(app.send(CREATE_WITH_ID).id(old).at(29).await.outcome(), "412 session-exists");
    assert_eq!(app.send(READ).id(old).at(30).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&new).at(30).await.body, b"new");

    let listed = app.send(LIST).without("session-id").at(1).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "the old id must not be listed");
}

#[tokio::test]
async fn grace_period_ends_when_the_successor_ends_or_is_rotated() {
    let app = App::new().await;
    let rotate =
        async |id: &str| new_id(&app.send(ROTATE).id(id).header("session-grace", "300").await);
    let first = app.create_session().await;
    let second = rotate(&first).await;
    assert_eq!(app.send(READ).id(&first).await.status, 200);
    let third = rotate(&second).await;
    app.take_calls();
    assert_eq!(app.send(READ).id(&first).await.outcome(), "404 session-not-found");
    assert_eq!(app.take_calls(), ["GetItem", "GetItem"], "one hop, however often it was rotated");
    for id in [&second, &third] {
        assert_eq!(app.send(READ).id(id).await.status, 200);
    }
    assert_eq!(app.send(DESTROY).id(&third).await.status, 204);
    for id in [&first, &second, &third] {
        assert_eq!(app.send(READ).id(id).await.outcome(), "404 session-not-found");
        assert_eq!(app.send(HEAD).id(id).await.status, 404);
    }
    let first = app.create_session().await;
    let second = rotate(&first).await;
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.send(READ).id(&first).await.status, 404);
    assert_eq!(app.send(READ).id(&second).await.status, 404);
    let left = app.items().await;
    assert!(
        left.iter().all(|item| item["user"]["S"] != "ada"),
        "ids in their grace period must end too"
    );
}

#[tokio::test]
async fn an_id_whose_grace_period_ended_early_is_free() {
    let app = App::new().await;
    for event in [CREATE_WITH_ID, ROTATE] {
        let take = async |id: &str| match event {
            ROTATE => {
                let other = app.create_session().await;
                app.send(ROTATE).id(&other).header("session-new-id", id).await
            }
            _ => app.send(CREATE_WITH_ID).id(id).header("prefer", "return=representation").await,
        };
        let old = app.create_session().await;
        let rotated = app.send(ROTATE).id(&old).header("session-grace", "300").await;
        let taken = take(&old).await;
        assert_eq!(taken.outcome(), "412 session-exists");
        assert!(!taken.header_names().contains(&"Session-User"), "this must reveal nothing");
        assert_eq!(app.send(DESTROY).id(&old).await.outcome(), "404 session-not-found");
        assert_eq!(app.send(DESTROY).id(&new_id(&rotated)).await.status, 204);
        assert_eq!(app.send(DESTROY).id(&old).await.status, 204, "there's no such session anymore");
        assert!(take(&old).await.status < 300, "{event}");
        assert_eq!(app.send(READ).id(&old).await.status, 200);
    }
}

#[tokio::test]
async fn an_id_in_its_grace_period_shows_its_former_owner_and_ends_with_their_logouts() {
    let app = App::new().await;
    for (before, after) in [("", "ada"), ("ada", "bob"), ("ada", "")] {
        let create = app.send(CREATE).without("session-user");
        let create = if before.is_empty() { create } else { create.header("session-user", before) };
        let created = create.await;
        let old = created.header("Session-Id");
        let rotate = app.send(ROTATE).id(old).header("session-grace", "300");
        let new = new_id(&rotate.header("session-user", after).body(b"{}").await);
        let read = app.send(READ).id(old).await;
        assert_eq!(read.body, br#"{"cart":["apple"]}"#);
        if before.is_empty() {
            assert!(
                !read.header_names().contains(&"Session-User"),
                "the old id never had an owner"
            );
        } else {
            assert_eq!(read.header("Session-User"), before);
            let revoked = app.send(REVOKE_ALL).header("session-user", before).await;
            assert_eq!(revoked.body, br#"{"destroyed":0}"#, "it doesn't count as a session");
            assert_eq!(app.send(READ).id(old).await.status, 404);
        }
        assert_eq!(app.send(READ).id(&new).await.status, 200);
        assert_eq!(app.send(DESTROY).id(&new).await.status, 204);
    }
}

#[tokio::test]
async fn a_logout_that_keeps_the_session_ends_the_grace_period() {
    let app = App::new().await;
    for event in [TOUCH, REPLACE, PATCH] {
        let old = app.create_session().await;
        let new = fresh_id();
        let rotate = app.send(ROTATE).id(&old).header("session-new-id", &new);
        let rotate = rotate.header("session-grace", "300");
        assert_eq!(rotate.copy().await.status, 200);
        assert_eq!(app.send(event).id(&new).header("session-user", "\"\"").await.status, 204);
        assert_eq!(app.send(READ).id(&old).await.outcome(), "404 session-not-found", "{event}");
        assert_eq!(app.send(READ).id(&new).await.status, 200);
        assert_eq!(rotate.await.status, 200, "a retry of the rotation must still be recognized");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_rotations_have_one_winner() {
    let app = App::new().await;
    for _ in 0..10 {
        let old = app.create_session().await;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = |app: App, id: String, stop: Arc<AtomicBool>| async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                seen.push(app.send(READ).id(&id).await.status);
            }
            seen
        };
        let readers: Vec<_> =
            (0..4).map(|_| tokio::spawn(reader(app.clone(), old.clone(), stop.clone()))).collect();
        let responses = send_concurrently((0..5).map(|_| app.send(ROTATE).id(&old))).await;
        let winners: Vec<_> = responses.iter().filter(|response| response.status == 200).collect();
        assert_eq!(winners.len(), 1, "exactly one rotation must win: {responses:?}");
        assert!(responses.iter().all(|response| [200, 404].contains(&response.status)));
        assert_eq!(app.send(READ).id(&new_id(winners[0])).await.status, 200);
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            let seen = reader.await.unwrap();
            assert!(seen.is_sorted(), "the old id must not come back: {seen:?}");
            assert!(seen.iter().all(|status| [200, 404].contains(status)));
        }
        assert_eq!(app.send(READ).id(&old).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_loses_no_concurrent_replace() {
    let app = App::new().await;
    for _ in 0..10 {
        let old = app.create_session().await;
        let put = |n: u32| app.send(REPLACE).id(&old).body(n.to_string().as_bytes());
        let requests = (0..20).map(|n| if n == 10 { app.send(ROTATE).id(&old) } else { put(n) });
        let responses = send_concurrently(requests).await;
        let read = app.send(READ).id(&new_id(&responses[10])).await;
        assert!(responses.iter().all(|response| [200, 204, 404].contains(&response.status)));
        let etags: Vec<_> =
            responses.iter().filter(|r| r.status == 204).map(|r| r.header("ETag")).collect();
        let is_original = read.body == br#"{"cart":["apple"]}"#;
        assert!(is_original && etags.is_empty() || etags.contains(&read.header("ETag")));
    }
}

#[tokio::test]
async fn rotate_respects_if_match_and_validates_headers() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    let rotate = || app.send(ROTATE).id(&id);
    assert_eq!(rotate().header("if-match", "\"stale\"").await.outcome(), "412 etag-mismatch");
    for (header, value) in [
        ("session-grace", "301"),
        ("session-grace", "-1"),
        ("session-ttl", "0"),
        ("session-lock", "x"),
    ] {
        assert_eq!(rotate().header(header, value).await.outcome(), "400 invalid-header");
    }
    let large = vec![b'x'; 1024 * 1024 + 1];
    app.take_calls();
    assert_eq!(rotate().body(&large).await.outcome(), "413 data-too-large");
    assert!(app.take_calls().is_empty());
    assert_eq!(app.send(READ).id(&id).await.header("ETag"), etag);
    assert_eq!(rotate().header("if-match", &etag).await.status, 200);
    assert_eq!(rotate().await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn destroyed_sessions_cannot_be_read_through_their_old_id() {
    let app = App::new().await;
    let old = app.create_session().await;
    let rotated = app.send(ROTATE).id(&old).header("session-grace", "300").await;
    let new = new_id(&rotated);
    assert_eq!(app.send(DESTROY).id(&new).await.status, 204);
    let create = |id: &str| {
        app.send(CREATE_WITH_ID).id(id).header("prefer", "return=representation").body(b"mine")
    };
    assert_eq!(create(&new).await.status, 201);
    assert_eq!(app.send(READ).id(&old).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(HEAD).id(&old).await.status, 404);
    assert_eq!(app.send(READ).id(&new).await.body, b"mine");
}

#[tokio::test]
async fn session_new_id_must_be_free_and_different() {
    let app = App::new().await;
    let (id, taken) = (app.create_session().await, app.create_session().await);
    let rotate = |new: &str| {
        let rotate = app.send(ROTATE).id(&id).header("session-new-id", new);
        rotate.header("prefer", "return=representation")
    };
    assert_eq!(rotate(&id).await.outcome(), "400 invalid-header");
    let refused = rotate(&taken).await;
    assert_eq!(refused.outcome(), "412 session-exists");
    assert!(!refused.header_names().contains(&"Session-User"));
    let own = "laravel40characters0123456789abcdefghijk";
    let rotated = rotate(own).await;
    assert_eq!(rotated.header("Session-Id"), own);
    assert_eq!(app.send(READ).id(own).await.status, 200);
    assert_eq!(app.send(READ).id(&id).await.status, 404);
    assert_eq!(app.send(ROTATE).id(&taken).header("session-new-id", own).await.status, 412);
    // An id whose session has expired is free.
    assert_eq!(app.send(READ).id(own).at(3_600).await.status, 404);
    let fresh = app.send(CREATE).at(3_600).await;
    let rotate = app.send(ROTATE).id(fresh.header("Session-Id")).header("session-new-id", own);
    assert_eq!(rotate.at(3_600).await.status, 200);
}

#[tokio::test]
async fn rotation_of_data_that_is_too_large_makes_no_call() {
    let app = App::new().await;
    let mut noise = vec![0; 400_000];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut noise).unwrap();
    assert_eq!(app.send(ROTATE).id(&fresh_id()).body(&noise).await.status, 413);
    assert!(app.take_calls().is_empty());
}
