//! Merge patches: all take effect, even concurrent ones.

use serde_json::{Value, json};

use crate::harness::{
    App, CREATE, DESTROY, PATCH, READ, REPLACE, ROTATE, new_id, send_concurrently,
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_all_take_effect() {
    let app = App::new().await;
    let id = app.create_session().await;
    let patch = |n: u32| app.send(PATCH).id(&id).body(format!(r#"{{"key{n}":{n}}}"#).as_bytes());
    for response in send_concurrently((0..100).map(patch)).await {
        assert_eq!(response.outcome(), "204");
    }
    let read: Value = serde_json::from_slice(&app.send(READ).id(&id).await.body).unwrap();
    let mut expected = json!({ "cart": ["apple"] });
    (0..100).for_each(|n| expected[format!("key{n}")] = n.into());
    assert_eq!(read, expected);
}

#[tokio::test]
async fn patch_takes_one_read_and_one_write() {
    let app = App::new().await;
    let created = app.send(CREATE).header("session-ttl", "60").await;
    let id = created.header("Session-Id");
    app.take_calls();
    let patched = app.send(PATCH).id(id).body(br#"{"cart":null,"a":{"b":1}}"#).at(50).await;
    assert_eq!(patched.status, 204);
    assert_eq!(patched.header_names(), ["Cache-Control", "ETag", "Session-Expires", "Session-TTL"]);
    assert_eq!(patched.header("Session-TTL"), "60");
    assert_eq!(app.take_calls(), ["GetItem", "UpdateItem"]);
    let read = app.send(READ).id(id).at(109).await;
    assert_eq!(read.body, br#"{"a":{"b":1}}"#);
    assert_eq!(read.header("ETag"), patched.header("ETag"));
    assert_eq!(read.header("Session-TTL"), "1", "a patch must extend the expiry");
    assert_eq!(read.header("Session-User"), "ada");
    assert_eq!(read.header("Content-Type"), "application/json");
}

#[tokio::test]
async fn patch_keeps_other_members_byte_for_byte() {
    let app = App::new().await;
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    let data = format!(
        r#"{{ "z":12345678901234567890123,"a":1e999,"u":"stra\u00dfe \ud800","deep":{deep},
        "o":{{"$serde_json::private::RawValue":"[]"}} }}"#
    );
    let created = app.send(CREATE).header("content-type", "application/vnd.x+json; v=1");
    let created = created.body(data.as_bytes());
    let id = created.await.header("Session-Id").to_owned();
    assert_eq!(app.send(PATCH).id(&id).body(br#"{"n":true}"#).await.status, 204);
    let read = app.send(READ).id(&id).await;
    let expected = data.replace("} }", r#"},"n":true }"#);
    assert_eq!(read.body, expected.as_bytes());
    assert_eq!(read.header("Content-Type"), "application/vnd.x+json; v=1");
}

#[tokio::test]
async fn patch_returns_the_merged_data_if_preferred() {
    let app = App::new().await;
    let id = app.create_session().await;
    for prefer in ["return=representation", "respond-async, Return=\"Representation\"; x=1"] {
        let patched = app.send(PATCH).id(&id).header("prefer", prefer).await;
        assert_eq!(patched.status, 200);
        assert_eq!(patched.body, br#"{"cart":["apple"],"theme":"dark"}"#);
        assert_eq!(patched.header("Preference-Applied"), "return=representation");
        assert_eq!(patched.header("Content-Type"), "application/json");
        assert_eq!(patched.header("ETag"), app.send(READ).id(&id).await.header("ETag"));
    }
    assert_eq!(app.send(PATCH).id(&id).header("prefer", "return=minimal").await.status, 204);
}

#[tokio::test]
async fn etag_conflicts_return_the_current_data_if_preferred() {
    let app = App::new().await;
    let id = app.create_session().await;
    let won = app.send(READ).id(&id).await;
    for (event, condition) in [
        (PATCH, ("if-match", "\"stale\"")),
        (REPLACE, ("if-match", "\"stale\"")),
        (REPLACE, ("if-none-match", "*")),
        (ROTATE, ("if-match", "\"stale\"")),
        (DESTROY, ("if-match", "\"stale\"")),
    ] {
        let request = app.send(event).id(&id).header(condition.0, condition.1);
        let lost = request.header("prefer", "return=representation").await;
        assert_eq!(lost.status, 412);
        assert_eq!(lost.body, won.body);
        assert_eq!(lost.header("ETag"), won.header("ETag"));
        assert_eq!(lost.header("Content-Type"), "application/json");
        assert_eq!(lost.header("Preference-Applied"), "return=representation");
    }
}

#[tokio::test]
async fn patch_respects_if_match() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    let patch = |etag: &str| app.send(PATCH).id(&id).header("if-match", etag);
    assert_eq!(patch(&etag).await.status, 204);
    assert_eq!(patch(&etag).await.outcome(), "412 etag-mismatch");
    assert_eq!(patch("*").await.status, 204);
}

#[tokio::test]
async fn patches_of_sessions_that_have_ended_reveal_nothing_about_their_data() {
    let app = App::new().await;
    let text = || app.send(CREATE).header("content-type", "text/plain").body(b"no JSON");
    let expired = text().header("session-ttl", "60").await;
    let rotated = text().await;
    let rotate = app.send(ROTATE).id(rotated.header("Session-Id")).header("session-grace", "300");
    assert_eq!(rotate.await.status, 200);
    for session in [expired, rotated] {
        let patched = app.send(PATCH).id(session.header("Session-Id")).at(60).await;
        assert_eq!(patched.outcome(), "404 session-not-found");
    }
}

#[tokio::test]
async fn failed_patches_change_nothing() {
    let app = App::new().await;
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(1024 * 1024));
    let random: String = (0..13_000).map(|_| new_id()).collect();
    let past_the_item = format!(r#"{{"a":"{random}"}}"#);
    for (kind, data, patch_kind, patch, outcome) in [
        ("text/plain", "{}", "application/merge-patch+json", "{}", "415 unsupported-media-type"),
        ("application/json", "{}", "application/json", "{}", "415 unsupported-media-type"),
        ("application/json", "{}", "", "{}", "415 unsupported-media-type"),
        ("application/json", "{}", "application/merge-patch+json", "", "400 invalid-patch"),
        ("application/json", "{}", "application/merge-patch+json", "{\"a\":}", "400 invalid-patch"),
        ("application/json", "{}", "application/merge-patch+json", "{} {}", "400 invalid-patch"),
        ("application/json", "no JSON", "application/merge-patch+json", "{}", "422 not-json"),
        ("application/json", "", "application/merge-patch+json", "{}", "422 not-json"),
        ("application/json", "{}", "application/merge-patch+json", &large, "413 data-too-large"),
        (
            "application/json",
            "{}",
            "application/merge-patch+json",
            &past_the_item,
            "413 data-too-large",
        ),
    ] {
        let created = app.send(CREATE).header("content-type", kind).body(data.as_bytes()).await;
        let id = created.header("Session-Id");
        let before = app.send(READ).id(id).await;
        let patched = app.send(PATCH).id(id).header("content-type", patch_kind);
        let response = patched.body(patch.as_bytes()).await;
        assert_eq!(response.outcome(), outcome, "{kind}, {patch_kind}");
        assert_eq!(response.header_names().contains(&"Accept-Patch"), response.status == 415);
        assert_eq!(app.send(READ).id(id).await, before);
    }
    let id = app.create_session().await;
    for deep in ["[".repeat(100_000), r#"{"a":"#.repeat(129)] {
        let patch = app.send(PATCH).id(&id).body(deep.as_bytes());
        assert_eq!(patch.await.outcome(), "400 invalid-patch");
    }
    assert_eq!(app.send(PATCH).id(&new_id()).await.outcome(), "404 session-not-found");
}
