//! Calls to DynamoDB whose response was lost. The SDK retries them while other requests write: the write is applied
//! once, and the request succeeds. If the API can't tell whether it was applied, the response is `503`.

use crate::harness::Fault::{Disconnect, Fail, Hold, LoseResponse, Pass};
use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, Fault, FaultProxy, LOCK, PATCH, READ, REPLACE, REVOKE,
    REVOKE_ALL, ROTATE, Request, TOUCH, Timeouts, UNLOCK, handle, new_id,
};
use crate::writes::{Target, UPDATES, Update, etag, write_ids};

const THROTTLE: Fault = Fail(400, "ProvisionedThroughputExceededException");

#[tokio::test]
async fn retried_updates_apply_once() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for update in &UPDATES {
        for others in 0..=3 {
            let name = format!("{} with {others} others", update.name);
            let target = Target::new(&proxy.direct, update).await;
            let request = target.request(&proxy.app, update);
            proxy.take_parameters();
            let faults = update.faults(&[LoseResponse, Hold]);
            let mut before = None;
            let meanwhile = async {
                target.write_meanwhile(others).await;
                before = Some(target.item().await);
            };
            let response = proxy.send_around(request, &faults, meanwhile).await;
            assert!(response.status < 300, "{name}: {response:?}");

            let item = target.item().await;
            assert_eq!(Some(&item), before.as_ref(), "{name}: the retry must not change anything");
            let parameters = proxy.take_parameters();
            let [.., first, second] = &parameters[..] else { panic!("{name}: {parameters:?}") };
            assert_eq!(first, second, "{name}");
            let own = second["ExpressionAttributeValues"][":own"]["S"].as_str().unwrap();
            assert_eq!(write_ids(&item).map(|id| u32::from(id == own)).iter().sum::<u32>(), 1);
            if update.changes_data() {
                // The other writes change the data unless the session is locked. Once they have, the write's version is
                // no longer known.
                let is_current = item["etag"]["S"].as_str().unwrap().starts_with(own);
                let stored = format!("\"{}\"", item["etag"]["S"].as_str().unwrap());
                let expected = is_current.then_some(stored.as_str());
                assert_eq!(etag(&response), expected, "{name}");
            } else if update.event != UNLOCK {
                let stored = format!("\"{}\"", item["etag"]["S"].as_str().unwrap());
                let is_changed = stored != target.etag;
                assert_eq!(
                    etag(&response),
                    (!is_changed).then_some(target.etag.as_str()),
                    "{name}"
                );
            }
            if update.event == LOCK {
                assert_eq!(response.header("Session-Lock"), item["lock"]["S"], "{name}");
            }
        }
    }
}

#[tokio::test]
async fn retried_rotations_apply_once() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    for (body, grace, others) in
        [("", "0", 0), ("{}", "0", 3), ("", "60", 1), ("{}", "60", 2), ("", "0", 3)]
    {
        let target = Target::new(app, &UPDATES[0]).await;
        let new = Target { id: new_id(), ..Target::new(app, &UPDATES[0]).await };
        let rotate = proxy.app.send(ROTATE).id(&target.id).header("session-new-id", &new.id);
        let rotate = rotate.header("session-grace", grace).body(body.as_bytes());
        let mut before = None;
        let meanwhile = async {
            new.write_meanwhile(others).await;
            before = Some(app.items().await);
        };
        let rotated = proxy.send_around(rotate, &[Pass, LoseResponse, Hold], meanwhile).await;
        assert_eq!(rotated.status, 200);
        assert_eq!(rotated.header("Session-Id"), new.id);
        assert_eq!(rotated.header("ETag") == target.etag, body.is_empty());
        assert_eq!(app.items().await, before.unwrap(), "the retry must not change anything");
        let kept = if grace == "0" { "404 session-not-found" } else { "200" };
        assert_eq!(app.send(READ).id(&target.id).await.outcome(), kept);
    }
}

#[tokio::test]
async fn creations_whose_response_was_lost_are_found() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for others in 0..=3 {
        let target = Target { id: new_id(), ..Target::new(&proxy.direct, &UPDATES[0]).await };
        let create = proxy.app.send(CREATE_WITH_ID).id(&target.id);
        proxy.take_parameters();
        let meanwhile = target.write_meanwhile(others);
        let created = proxy.send_around(create, &[LoseResponse, Hold], meanwhile).await;
        assert_eq!(created.status, 201);
        let put = &proxy.take_parameters()[0]["Item"];
        let item = target.item().await;
        let first = format!("\"{}\"", put["etag"]["S"].as_str().unwrap());
        assert_eq!(etag(&created), (others == 0).then_some(first.as_str()));
        assert_eq!(item["etag"] == put["etag"], others == 0, "later writes must not be undone");
    }
}

#[tokio::test]
async fn retried_destructions_succeed() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    for (event, is_conditional) in [(DESTROY, false), (DESTROY, true), (REVOKE, false)] {
        for is_created_again in [false, true] {
            let target = Target::new(app, &UPDATES[0]).await;
            let request = match (event, is_conditional) {
                (REVOKE, _) => proxy.app.send(REVOKE).handle(&handle(&target.id)),
                (_, false) => proxy.app.send(DESTROY).id(&target.id),
                (_, true) => {
                    proxy.app.send(DESTROY).id(&target.id).header("if-match", &target.etag)
                }
            };
            let meanwhile = async {
                if is_created_again {
                    let create = app.send(CREATE_WITH_ID).id(&target.id).at(2);
                    assert_eq!(create.await.status, 201);
                }
            };
            let response = proxy.send_around(request, &[LoseResponse, Hold], meanwhile).await;
            let is_known = event == DESTROY || !is_created_again;
            let expected = if is_known { "204" } else { "503 store-unavailable" };
            assert_eq!(response.outcome(), expected, "{is_conditional} {is_created_again}");
            let left = app.send(READ).id(&target.id).at(2).await.status;
            assert_eq!(
                left,
                if is_created_again { 200 } else { 404 },
                "only the first session must be destroyed"
            );
        }
    }
}

#[tokio::test]
async fn revoke_all_counts_a_session_whose_deletion_was_retried() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let id = proxy.direct.create_session().await;
    proxy.inject(&[Pass, LoseResponse]);
    assert_eq!(proxy.app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    assert_eq!(proxy.app.send(READ).id(&id).await.status, 404);
}

/// What another request does while a call is held.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Destroys,
    Replaces,
    Locks,
    Unlocks,
}

impl Meanwhile {
    async fn run(self, app: &App, target: &Target) {
        let request = match self {
            Self::Destroys => app.send(DESTROY),
            Self::Replaces => app.send(REPLACE).header("if-match", &target.etag),
            Self::Locks => app.send(LOCK),
            // Not `DELETE /session/lock`: the API would take that for an attempt at the same write.
            Self::Unlocks => app.send(TOUCH).header("session-unlock", &target.token),
        };
        assert!(request.id(&target.id).await.status < 300, "{self:?}");
    }
}

#[tokio::test]
async fn refusals_after_an_unknown_outcome_are_unavailable() {
    use Meanwhile::{Destroys, Locks, Replaces, Unlocks};
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for (name, event, token, is_conditional, meanwhile, refusal) in [
        ("replace", REPLACE, "", false, Destroys, "404 session-not-found"),
        ("replace", REPLACE, "", true, Replaces, "412 etag-mismatch"),
        ("replace", REPLACE, "", false, Locks, "423 session-locked"),
        ("replace", REPLACE, "session-lock", false, Unlocks, "412 not-lock-holder"),
        ("patch", PATCH, "", false, Destroys, "404 session-not-found"),
        ("patch", PATCH, "", true, Replaces, "412 etag-mismatch"),
        ("patch", PATCH, "", false, Locks, "423 session-locked"),
        ("patch", PATCH, "session-unlock", false, Unlocks, "412 not-lock-holder"),
        ("touch", TOUCH, "", false, Destroys, "404 session-not-found"),
        ("touch", TOUCH, "session-unlock", false, Unlocks, "412 not-lock-holder"),
        ("lock", LOCK, "", false, Destroys, "404 session-not-found"),
        ("lock", LOCK, "", false, Locks, "423 session-locked"),
        ("renew", LOCK, "session-lock", false, Unlocks, "412 not-lock-holder"),
        ("unlock", UNLOCK, "session-unlock", false, Destroys, "404 session-not-found"),
        ("rotate", ROTATE, "", false, Destroys, "404 session-not-found"),
        ("rotate", ROTATE, "", true, Replaces, "412 etag-mismatch"),
        ("rotate", ROTATE, "", false, Locks, "423 session-locked"),
        ("rotate", ROTATE, "session-lock", false, Unlocks, "412 not-lock-holder"),
        ("destroy", DESTROY, "", true, Replaces, "412 etag-mismatch"),
    ] {
        let update = Update { name, event, token };
        // We know the outcome of a throttled call: it wasn't applied.
        for (fault, expected) in [(Disconnect, "503 store-unavailable"), (THROTTLE, refusal)] {
            let target = Target::new(&proxy.direct, &update).await;
            let mut request = target.request(&proxy.app, &update);
            if is_conditional {
                request = request.header("if-match", &target.etag);
            }
            let reads = if [PATCH, ROTATE].contains(&event) { &[Pass][..] } else { &[] };
            let faults = [reads, &[fault, Hold]].concat();
            let others = meanwhile.run(&proxy.direct, &target);
            let response = proxy.send_around(request, &faults, others).await;
            assert_eq!(response.outcome(), expected, "{name}, {meanwhile:?} after {fault:?}");
        }
    }
}

/// Prepares requests that claim an id, each with the faults for the calls before the one that claims it.
fn requests_for_id(app: &App, old: &str, new: &str) -> [(Request, &'static [Fault]); 2] {
    let rotate = app.send(ROTATE).id(old).header("session-new-id", new);
    [(app.send(CREATE_WITH_ID).id(new), &[]), (rotate, &[Pass])]
}

#[tokio::test]
async fn ids_taken_after_an_unknown_outcome_are_unavailable() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    for (fault, expected) in
        [(Disconnect, "503 store-unavailable"), (THROTTLE, "412 session-exists")]
    {
        for n in 0..2 {
            let (old, new) = (app.create_session().await, new_id());
            let (request, reads) =
                requests_for_id(&proxy.app, &old, &new).into_iter().nth(n).unwrap();
            let others = async {
                let create = app.send(CREATE_WITH_ID).id(&new).body(b"another's");
                assert_eq!(create.await.status, 201);
            };
            let faults = [reads, &[fault, Hold]].concat();
            let response = proxy.send_around(request, &faults, others).await;
            assert_eq!(response.outcome(), expected, "request {n} after {fault:?}");
            assert_eq!(app.send(READ).id(&new).await.body, b"another's");
            assert_eq!(app.send(READ).id(&old).await.status, 200);
        }
    }
}

#[tokio::test]
async fn retries_of_a_conditional_write_do_not_repeat_it_after_four_others() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let target = Target::new(&proxy.direct, &UPDATES[0]).await;
    let put = target.request(&proxy.app, &UPDATES[0]).header("if-match", &target.etag);
    let meanwhile = target.write_meanwhile(4);
    let response = proxy.send_around(put, &[LoseResponse, Hold], meanwhile).await;
    assert_eq!(response.outcome(), "503 store-unavailable", "the session no longer remembers it");
    assert_eq!(proxy.app.send(READ).id(&target.id).await.body, br#"{"meanwhile":3}"#);
}
