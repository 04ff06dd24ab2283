//! Data at rest: what a copy of the table reveals, and how the API handles tampered items.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, LOCK, PATCH, READ, REPLACE, ROTATE, TOUCH,
};

#[tokio::test]
async fn table_contains_no_ids_and_no_plaintext() {
    let app = App::new().await;
    // Too short and too random to compress, so only encryption can hide it.
    let secret = b"5up3r-s3cr3t:8Hq2";
    let created = app.send(CREATE).body(secret).await;
    let id = created.header("Session-Id");
    let items = app.items().await;
    let binary = STANDARD.decode(items[0]["data"]["B"].as_str().unwrap()).unwrap();
    let raw = [serde_json::to_vec(&items).unwrap(), binary].concat();
    for hidden in [id.as_bytes(), secret, STANDARD.encode(secret).as_bytes()] {
        assert!(!raw.windows(hidden.len()).any(|window| window == hidden));
    }
}

#[tokio::test]
async fn items_have_exactly_the_documented_attributes() {
    let app = App::with_max_lifetime(7200).await;
    let create = app.send(CREATE_WITH_ID).header("session-ttl", "60");
    let created = create.header("session-label", "lynx").await;
    let item = app.items().await.remove(0);
    assert_eq!(
        attributes(&item),
        [
            "created", "data", "etag", "expires", "id", "label", "owned", "ttl", "type", "user",
            "w0", "w1", "w2", "w3",
        ]
    );
    let start = app.start();
    // printf events-example-id-… | openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(item["id"]["S"], "qPPzEUxsmGefgYDoLJGChiTn--fw7aewUGs7tQ9NgDE");
    assert_eq!(item["expires"]["N"], (start.as_secs() + 60).to_string());
    assert_eq!(item["ttl"]["N"], "60");
    assert_eq!(item["created"]["N"], start.as_millis().to_string());
    assert_eq!(item["owned"]["N"], item["created"]["N"]);
    assert_eq!(item["type"]["S"], "application/json");
    assert_eq!(item["user"]["S"], "ada");
    assert_eq!(item["label"]["S"], "lynx");
    assert_eq!(format!("\"{}\"", item["etag"]["S"].as_str().unwrap()), created.header("ETag"));
}

fn attributes(item: &Value) -> Vec<&str> {
    let mut attributes: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
    attributes.sort_unstable();
    attributes
}

/// Whether this write made the current version of an item's data.
fn is_made_by(item: &Value, write: &str) -> bool {
    item["etag"]["S"].as_str().unwrap().split_once('.').unwrap().0 == write
}

fn write_ids(item: &Value) -> [&str; 4] {
    ["w0", "w1", "w2", "w3"].map(|name| item[name]["S"].as_str().unwrap())
}

#[tokio::test]
async fn items_keep_the_last_four_write_ids() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let created = app.items().await.remove(0);
    let [first, rest @ ..] = write_ids(&created);
    assert!(is_made_by(&created, first));
    assert_eq!(rest, ["-"; 3]);
    let mut expected = vec![first.to_owned(), "-".into(), "-".into(), "-".into()];
    for event in [REPLACE, TOUCH, PATCH, LOCK, TOUCH, TOUCH] {
        assert!(app.send(event).await.status < 300);
        let item = app.items().await.remove(0);
        let writes = write_ids(&item);
        assert_eq!(writes[1..], expected[..3], "{event}");
        assert!(!expected.contains(&writes[0].to_owned()));
        let changes_data = event == REPLACE || event == PATCH;
        assert_eq!(is_made_by(&item, writes[0]), changes_data, "{event}");
        expected = writes.map(str::to_owned).to_vec();
    }
}

#[tokio::test]
async fn rotated_items_name_each_other() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let before = app.items().await.remove(0);
    app.send(ROTATE).header("session-grace", "60").await;
    let items = app.items().await;
    let (old, new): (Vec<_>, Vec<_>) = items.iter().partition(|item| item["id"] == before["id"]);
    assert_eq!(old[0]["successor"], new[0]["id"]);
    assert_eq!(new[0]["predecessor"], old[0]["id"]);
    assert_eq!(write_ids(new[0])[1..], write_ids(&before)[..3]);
    for name in ["created", "etag", "owned", "ttl", "type", "user"] {
        assert_eq!(new[0][name], before[name], "{name}");
    }
}

#[tokio::test]
async fn tampered_items_cause_internal_errors() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let good = app.items().await.remove(0);
    let sealed = STANDARD.decode(good["data"]["B"].as_str().unwrap()).unwrap();
    let cut = |length: usize| json!({ "B": STANDARD.encode(&sealed[..length]) });
    let mut flipped = sealed.clone();
    flipped[20] ^= 1;
    let mut future = sealed.clone();
    future[0] = 2;
    let mut bodies = BTreeSet::new();
    for (attribute, value) in [
        ("data", cut(sealed.len() - 1)),
        ("data", cut(1)),
        ("data", json!({ "B": STANDARD.encode(&flipped) })),
        ("data", json!({ "B": STANDARD.encode(&future) })),
        ("data", json!({ "S": "not binary" })),
        ("data", json!(null)),
        ("type", json!({ "S": "text/plain" })),
        ("type", json!({ "S": "no media type" })),
        ("type", json!(null)),
        ("etag", json!(null)),
        ("created", json!({ "N": "-1" })),
        ("created", json!({ "N": "1.5" })),
        ("expires", json!({ "S": "2099-01-01" })),
        ("expires", json!(null)),
        ("user", json!({ "S": "not\nvisible" })),
    ] {
        let mut item = good.clone();
        if value.is_null() {
            item.as_object_mut().unwrap().remove(attribute);
        } else {
            item[attribute] = value.clone();
        }
        // None of the cases has a `user` that isn't a string: the index requires one, so DynamoDB would refuse the
        // item.
        app.put_item(item).await;
        let read = app.send(READ).await;
        assert_eq!(read.outcome(), "500 internal", "{attribute}: {value}");
        bodies.insert(String::from_utf8(read.body).unwrap());
    }
    assert_eq!(bodies.len(), 1, "the response must not reveal the cause: {bodies:?}");
}

#[tokio::test]
async fn items_without_expiry_do_not_count_as_absent() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let mut item = app.items().await.remove(0);
    item.as_object_mut().unwrap().remove("expires");
    app.put_item(item.clone()).await;
    for event in [HEAD, REPLACE, TOUCH, CREATE_WITH_ID] {
        assert_eq!(app.send(event).await.status, 500);
    }
    assert_eq!(app.items().await, [item]);
    assert_eq!(app.send(DESTROY).await.status, 204);
}

#[tokio::test]
async fn data_is_bound_to_its_session() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let mut mine = app.items().await.remove(0);
    let other = app.create_session().await;
    let theirs = app.items().await.into_iter().find(|item| item["id"] != mine["id"]).unwrap();
    mine["data"] = theirs["data"].clone();
    app.put_item(mine).await;
    assert_eq!(app.send(READ).await.outcome(), "500 internal");
    assert_eq!(app.send(READ).id(&other).await.status, 200);
}
