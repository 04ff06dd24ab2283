//! Requests that a client repeats with the same `Idempotency-Key` or `Session-New-Id`: they get the first attempt's
//! response, and nothing is applied twice or undone.

use serde_json::Value;

use crate::harness::engine;
use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, FaultProxy, LOCK, PATCH, READ, REPLACE, REVOKE, ROTATE, Response,
    TOUCH, Timeouts, handle, new_id,
};
use crate::writes::{Target, UPDATES, etag};

const KEY: &str = "a-key-of-one-request";

#[tokio::test]
async fn repeated_updates_respond_as_the_first_did() {
    let app = App::new().await;
    for update in &UPDATES {
        for prefer in ["return=minimal", "return=representation"] {
            for others in 0..=3 {
                let name = format!("{} with {others} others, {prefer}", update.name);
                let target = Target::new(&app, update).await;
                let request = target.request(&app, update).header("prefer", prefer);
                let request = request.header("idempotency-key", KEY).header("session-label", "own");
                // Locking doesn't accept a label.
                let request = match update.event {
                    REPLACE | PATCH | TOUCH => request,
                    _ => request.without("session-label"),
                };
                // Unlocking needs no key: the token identifies it.
                let request = match update.name {
                    "unlock" => request.without("idempotency-key"),
                    _ => request,
                };
                let first = request.copy().await;
                assert!(first.status < 300, "{name}: {first:?}");
                target.write_meanwhile(others).await;
                let before = target.item().await;
                let again = request.await;
                assert_eq!(target.item().await, before, "{name} must not change anything");
                if others == 0 {
                    assert_eq!(again, first, "{name}");
                }
                assert_same_success(&again, &first, &name);
            }
        }
    }
}

/// Asserts that a response equals the first attempt's, except for what's no longer known.
fn assert_same_success(again: &Response, first: &Response, name: &str) {
    assert!(again.status == first.status || again.status == 204, "{name}: {again:?}");
    if etag(again).is_some() {
        assert_eq!(etag(again), etag(first), "{name}");
    }
    if again.status == 200 && first.header_names().contains(&"Session-Lock") {
        assert_eq!(again.header("Session-Lock"), first.header("Session-Lock"), "{name}");
    } else if again.status == 200 {
        assert_eq!(again.body, first.body, "{name}");
    }
}

#[tokio::test]
async fn repeated_writes_do_not_meet_their_condition_twice() {
    let app = App::new().await;
    for update in UPDATES.iter().filter(|update| update.changes_data()) {
        for others in 0..=3 {
            let target = Target::new(&app, update).await;
            let request = target.request(&app, update).header("idempotency-key", KEY);
            let request = request.header("if-match", &target.etag);
            let first = request.copy().await;
            assert_eq!(first.status, 204, "{}", update.name);
            target.write_meanwhile(others).await;
            let again = request.await;
            let is_current =
                target.item().await["etag"]["S"] == first.header("ETag").trim_matches('"');
            let expected = etag(&first).filter(|_| is_current);
            assert_eq!((again.status, etag(&again)), (204, expected), "{}", update.name);
        }
    }
}

#[tokio::test]
async fn repeated_writes_change_nothing_when_the_lock_has_passed_on() {
    let app = App::new().await;
    for update in UPDATES.iter().filter(|update| update.token == "session-unlock") {
        let target = Target::new(&app, update).await;
        let request = target.request(&app, update);
        let request = match update.name {
            "unlock" => request,
            _ => request.header("idempotency-key", KEY),
        };
        assert_eq!(request.copy().await.status, 204, "{}", update.name);
        let taken = app.send(LOCK).id(&target.id).await;
        assert_eq!(request.await.status, 204, "{}", update.name);
        assert_eq!(target.item().await["lock"]["S"], taken.header("Session-Lock"));
    }
}

#[tokio::test]
async fn repeated_creations_with_an_id_respond_as_the_first_did() {
    let app = App::new().await;
    for others in 0..=3 {
        let target = Target { id: new_id(), ..Target::new(&app, &UPDATES[0]).await };
        let create = app.send(CREATE_WITH_ID).id(&target.id).header("idempotency-key", KEY);
        let first = create.copy().await;
        target.write_meanwhile(others).await;
        let before = target.item().await;
        let again = create.await;
        assert_eq!(again.status, 201);
        assert_eq!(etag(&again), etag(&first).filter(|_| others == 0));
        assert_eq!(target.item().await, before, "later writes must not be undone");
        let other = app.send(CREATE_WITH_ID).id(&target.id);
        assert_eq!(other.await.outcome(), "412 session-exists");
    }
}

#[tokio::test]
async fn repeated_rotations_respond_as_the_first_did() {
    let app = App::new().await;
    for (body, grace, others) in [
        ("", "0", 0),
        ("", "60", 0),
        ("{}", "0", 0),
        ("{}", "60", 1),
        ("{}", "0", 2),
        ("{}", "60", 3),
        ("", "0", 1),
        ("", "60", 3),
    ] {
        let old = Target::new(&app, &UPDATES[0]).await;
        let new = Target { id: new_id(), ..Target::new(&app, &UPDATES[0]).await };
        let rotate = app.send(ROTATE).id(&old.id).header("session-new-id", &new.id);
        let rotate = rotate.header("session-grace", grace).header("if-match", &old.etag);
        let rotate = rotate.body(body.as_bytes());
        let first = rotate.copy().await;
        assert_eq!(first.status, 200);
        new.write_meanwhile(others).await;
        let before = app.items().await;
        let again = rotate.await;
        assert_eq!(app.items().await, before, "this must not rotate or undo anything");
        assert_eq!(again.status, 200);
        for name in ["Session-Id", "Session-TTL", "Session-Expires"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        // Once the data changes again, we no longer know the version from the rotation.
        assert_eq!(etag(&again), etag(&first).filter(|_| others == 0));
    }
}

#[tokio::test]
async fn repeated_rotations_respond_as_the_first_did_when_the_old_id_has_another_session() {
    let app = App::new().await;
    let (old, new) = (Target::new(&app, &UPDATES[0]).await, new_id());
    let rotate = app.send(ROTATE).id(&old.id).header("session-new-id", &new);
    let rotate = rotate.header("if-match", &old.etag);
    let first = rotate.copy().await;
    assert_eq!(first.status, 200);
    assert_eq!(app.send(CREATE_WITH_ID).id(&old.id).await.status, 201);
    let again = rotate.copy().await;
    assert_eq!((again.outcome(), etag(&again)), ("200".to_owned(), etag(&first)));
    app.send(LOCK).id(&old.id).await;
    assert_eq!(rotate.await.status, 200);
    assert_eq!(app.send(READ).id(&old.id).await.status, 200);
}

#[tokio::test]
async fn repeated_rotations_find_no_session_once_it_has_left_the_new_id() {
    let app = App::new().await;
    let (old, new) = (app.create_session().await, new_id());
    let repeat = app.send(ROTATE).id(&old).header("session-new-id", &new);
    let first = repeat.copy().header("session-ttl", "60").await;
    assert_eq!(first.status, 200);
    assert_eq!(repeat.copy().at(59).await.status, 200);
    assert_eq!(repeat.copy().at(60).await.outcome(), "404 session-not-found");
    let rotated_again = app.send(ROTATE).id(&new).header("session-grace", "60").await;
    assert_eq!(rotated_again.status, 200);
    assert_eq!(app.send(READ).id(&new).await.status, 200, "it's in its grace period");
    assert_eq!(repeat.await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn rotations_do_not_mistake_another_session_for_their_own() {
    let app = App::new().await;
    let (old, new) = (app.create_session().await, new_id());
    let rotate = |id: &str| app.send(ROTATE).id(id).header("session-new-id", &new);
    assert_eq!(rotate(&old).await.status, 200);
    let other = app.create_session().await;
    assert_eq!(rotate(&other).await.outcome(), "412 session-exists");
    assert_eq!(app.send(READ).id(&other).await.status, 200);
    assert_eq!(rotate(&new_id()).await.outcome(), "404 session-not-found");
    app.send(DESTROY).id(&new).await;
    assert_eq!(rotate(&old).await.outcome(), "404 session-not-found");
    app.send(CREATE_WITH_ID).id(&new).await;
    assert_eq!(rotate(&old).await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn keys_belong_to_one_route_and_one_body() {
    let app = App::new().await;
    let id = app.create_session().await;
    let send = |example| app.send(example).id(&id).header("idempotency-key", KEY);
    let kind = "application/merge-patch+json";
    let writes = async || {
        let item = app.item(&id).await.unwrap();
        item["w0"]["S"].as_str().unwrap().to_owned()
    };
    let mut seen = vec![writes().await];
    for request in [
        send(REPLACE).body(b"{\"a\":1}").header("content-type", kind),
        send(REPLACE).body(b"{\"a\":2}").header("content-type", kind),
        send(PATCH).body(b"{\"a\":2}"),
        send(TOUCH),
        send(LOCK),
    ] {
        assert!(request.await.status < 300);
        let newest = writes().await;
        assert!(!seen.contains(&newest), "it must count as another write");
        seen.push(newest);
    }
    let other = app.create_session().await;
    assert_eq!(send(REPLACE).id(&other).body(b"{\"a\":1}").await.status, 204);
    assert_eq!(app.send(READ).id(&other).await.body, b"{\"a\":1}");
    let put = || app.send(REPLACE).id(&other).body(b"{\"a\":1}");
    assert_ne!(
        etag(&put().await),
        etag(&put().await),
        "without a key, every request is a new write"
    );
}

/// Returns the DynamoDB operation that has these parameters.
fn operation(parameters: &Value) -> &'static str {
    if parameters["TransactItems"].is_array() {
        "TransactWriteItems"
    } else if parameters["Item"].is_object() {
        "PutItem"
    } else if parameters["UpdateExpression"].is_string() {
        "UpdateItem"
    } else {
        "DeleteItem"
    }
}

/// Delivers a call to DynamoDB again.
async fn deliver_again(mut parameters: Value) -> Result<Value, String> {
    // DynamoDB remembers a transaction's token for only ten minutes.
    parameters.as_object_mut().unwrap().remove("ClientRequestToken");
    engine::call(operation(&parameters).into(), parameters).await
}

#[tokio::test]
async fn late_duplicates_change_nothing() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    for update in &UPDATES {
        for others in 0..=3 {
            let target = Target::new(app, update).await;
            assert!(target.request(&proxy.app, update).await.status < 300, "{}", update.name);
            target.write_meanwhile(others).await;
            let before = app.items().await;
            let duplicate = proxy.take_parameters().pop().unwrap();
            assert!(deliver_again(duplicate).await.is_err(), "{}", update.name);
            assert_eq!(app.items().await, before, "{}", update.name);
        }
    }
    for grace in ["0", "60"] {
        let id = app.create_session().await;
        let rotated = proxy.app.send(ROTATE).id(&id).header("session-grace", grace).await;
        let new = Target {
            id: rotated.header("Session-Id").into(),
            ..Target::new(app, &UPDATES[0]).await
        };
        let duplicate = proxy.take_parameters().pop().unwrap();
        for others in [0, 1, 3] {
            new.write_meanwhile(others).await;
            let before = app.items().await;
            assert!(deliver_again(duplicate.clone()).await.is_err());
            assert_eq!(app.items().await, before);
        }
        assert_eq!(app.send(DESTROY).id(&new.id).await.status, 204);
        assert!(deliver_again(duplicate).await.is_err());
        assert_eq!(app.item(&new.id).await, None, "a late rotation must not bring a session back");
    }
    let id = new_id();
    proxy.app.send(CREATE_WITH_ID).id(&id).await;
    app.send(REPLACE).id(&id).await;
    let before = app.items().await;
    assert!(deliver_again(proxy.take_parameters().pop().unwrap()).await.is_err());
    assert_eq!(app.items().await, before);
}

#[tokio::test]
async fn late_destructions_do_not_end_a_session_that_was_created_again() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    for event in [DESTROY, REVOKE] {
        let id = app.create_session().await;
        let request = match event {
            REVOKE => proxy.app.send(REVOKE).handle(&handle(&id)),
            _ => proxy.app.send(DESTROY).id(&id),
        };
        assert_eq!(request.await.status, 204);
        let create = app.send(CREATE_WITH_ID).id(&id).header("session-user", "ada").at(1);
        assert_eq!(create.await.status, 201);
        assert!(deliver_again(proxy.take_parameters().pop().unwrap()).await.is_err());
        assert_eq!(app.send(READ).id(&id).at(1).await.status, 200);
    }
}

#[tokio::test]
async fn destructions_spare_sessions_created_after_they_arrived() {
    let app = App::new().await;
    let target = Target::new(&app, &UPDATES[0]).await;
    let item = target.item().await;
    let arrival: u64 = item["created"]["N"].as_str().unwrap().parse().unwrap();
    // A lead of up to a second could also be clock skew, so the outcome is unknown.
    for (lead, if_match, outcome) in [
        (1, "*", "503 store-unavailable"),
        (1_000, "*", "503 store-unavailable"),
        (1_001, "*", "204"),
        (1_000, "\"other\"", "503 store-unavailable"),
        (1_001, target.etag.as_str(), "204"),
        (1_001, "\"other\"", "204"),
    ] {
        let mut newer = item.clone();
        newer["created"]["N"] = (arrival + lead).to_string().into();
        app.put_item(newer).await;
        let destroy = app.send(DESTROY).id(&target.id).header("if-match", if_match);
        assert_eq!(destroy.await.outcome(), outcome, "{lead} ms later, {if_match}");
        assert_eq!(app.send(READ).id(&target.id).await.status, 200);
    }
    app.put_item(item).await;
    assert_eq!(app.send(DESTROY).id(&target.id).await.status, 204);
    assert!(
        app.item(&target.id).await.is_none(),
        "a session created in the same millisecond must be destroyed"
    );
}
