//! What whoever copies the table would hold, and what the API makes of a table that was tampered
//! with.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::{App, CREATE, CREATE_WITH_ID, DESTROY, HEAD, READ, REPLACE, TOUCH};

#[tokio::test]
async fn a_copy_of_the_table_holds_no_id_and_no_plaintext() {
    let app = App::new().await;
    // Too short and too random to be compressed, so that nothing but encryption hides it.
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
async fn an_item_has_the_attributes_of_the_contract_and_no_others() {
    let app =
        App::with(|limits| limits.max_lifetime = Some(std::time::Duration::from_secs(7200))).await;
    app.send(CREATE_WITH_ID).header("session-ttl", "60").await;
    let item = app.items().await.remove(0);
    let mut attributes: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        ["created", "data", "deadline", "etag", "expires", "id", "ttl", "type", "user"]
    );
    let now = app.now();
    // printf events-example-id-… | openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(item["id"]["S"], "qPPzEUxsmGefgYDoLJGChiTn--fw7aewUGs7tQ9NgDE");
    assert_eq!(item["expires"]["N"], (now.seconds() + 60).to_string());
    assert_eq!(item["ttl"]["N"], "60");
    assert_eq!(item["created"]["N"], now.millis().to_string());
    assert_eq!(item["deadline"]["N"], (now.seconds() + 7200).to_string());
    assert_eq!(item["type"]["S"], "application/json");
    assert_eq!(item["user"]["S"], "ada");
}

#[tokio::test]
async fn an_item_that_was_tampered_with_is_an_error_of_ours_and_never_data() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let good = app.items().await.remove(0);
    let sealed = STANDARD.decode(good["data"]["B"].as_str().unwrap()).unwrap();
    let cut = |length: usize| json!({ "B": STANDARD.encode(&sealed[..length]) });
    let mut flipped = sealed.clone();
    flipped[20] ^= 1;
    let mut future = sealed.clone();
    future[0] = 2;
    let mut answers = BTreeSet::new();
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
        ("deadline", json!({ "S": "2099-01-01" })),
        ("user", json!({ "S": "not\nvisible" })),
    ] {
        let mut item = good.clone();
        if value.is_null() {
            item.as_object_mut().unwrap().remove(attribute);
        } else {
            item[attribute] = value.clone();
        }
        // A user that is no string cannot be written at all: the index wants one.
        app.put_item(item).await;
        let read = app.send(READ).await;
        assert_eq!(read.outcome(), "500 internal", "{attribute}: {value}");
        answers.insert(String::from_utf8(read.body).unwrap());
    }
    assert_eq!(answers.len(), 1, "the cause is for the log: {answers:?}");
}

#[tokio::test]
async fn an_item_without_an_expiry_is_not_mistaken_for_no_session() {
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
async fn two_sessions_data_cannot_be_swapped() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let mut mine = app.items().await.remove(0);
    let other = app.session().await;
    let theirs = app.items().await.into_iter().find(|item| item["id"] != mine["id"]).unwrap();
    mine["data"] = theirs["data"].clone();
    app.put_item(mine).await;
    assert_eq!(app.send(READ).await.outcome(), "500 internal");
    assert_eq!(app.send(READ).id(&other).await.status, 200);
}
