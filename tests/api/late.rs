//! Requests that arrive late or wait: retries after their session has ended, requests from before a logout, and
//! what their responses may still reveal. What a request may change is fixed when it arrives.

use std::future::IntoFuture as _;
use std::time::Duration;

use crate::harness::Fault::{Fail, Hold, LoseResponse, Pass};
use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, FaultProxy, LOCK, PATCH, READ, REPLACE, ROTATE, TOUCH, Timeouts,
    new_id,
};
use crate::writes::{Target, UPDATES, etag};

const KEY: &str = "a-key-of-one-request";

/// What has become of a session by the time a retry arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Live,
    Expired,
    Revoked,
    PastItsAbsoluteEnd,
    Destroyed,
    Rotated,
    RotatedWithGrace,
    CreatedAgain,
}

impl Fate {
    const ALL: [Self; 8] = [
        Self::Live,
        Self::Expired,
        Self::Revoked,
        Self::PastItsAbsoluteEnd,
        Self::Destroyed,
        Self::Rotated,
        Self::RotatedWithGrace,
        Self::CreatedAgain,
    ];

    /// Makes this happen to the session with this id. Returns the app to retry on, and when to retry, in seconds.
    async fn befall(self, app: &App, id: &str) -> (App, u64) {
        let done = match self {
            Self::Live => return (app.clone(), 10),
            Self::Expired => return (app.clone(), 3_600),
            Self::Revoked => return (app.revoked_before(5), 10),
            Self::PastItsAbsoluteEnd => return (app.redeployed(None, Some(10)), 10),
            Self::Destroyed => app.send(DESTROY).id(id).await,
            Self::Rotated => app.send(ROTATE).id(id).await,
            Self::RotatedWithGrace => app.send(ROTATE).id(id).header("session-grace", "60").await,
            Self::CreatedAgain => {
                assert_eq!(app.send(DESTROY).id(id).await.status, 204);
                app.send(CREATE_WITH_ID).id(id).at(5).await
            }
        };
        assert!(done.status < 300, "{self:?}: {done:?}");
        (app.clone(), 10)
    }
}

#[tokio::test]
async fn retries_of_an_update_succeed_only_while_its_session_is_live() {
    let app = App::new().await;
    for update in &UPDATES {
        // A held lock would keep the session from being rotated.
        let fates = Fate::ALL.into_iter().filter(|fate| {
            !(matches!(fate, Fate::Rotated | Fate::RotatedWithGrace)
                && (update.token == "session-lock" || update.event == LOCK))
        });
        for fate in fates {
            let target = Target::new(&app, update).await;
            let request = target.request(&app, update);
            let request = match update.name {
                "unlock" => request,
                _ => request.header("idempotency-key", KEY),
            };
            let request = request.header("prefer", "return=representation");
            assert!(request.copy().await.status < 300, "{}", update.name);
            let (later, seconds) = fate.befall(&app, &target.id).await;
            let retry = request.through(&later).at(seconds).await;
            let is_other = fate == Fate::CreatedAgain;
            match (fate, update.token) {
                // The lease has expired after ten seconds.
                (Fate::Live, _) if update.event == LOCK => {
                    assert_eq!(retry.outcome(), "412 not-lock-holder", "{}", update.name);
                }
                (Fate::Live, _) => assert!(retry.status < 300, "{}: {retry:?}", update.name),
                // The request now applies to the new session, which nobody has locked.
                (_, "session-lock" | "session-unlock") if is_other => {
                    let expected =
                        if update.name == "unlock" { "204" } else { "412 not-lock-holder" };
                    assert_eq!(retry.outcome(), expected, "{}", update.name);
                }
                _ if is_other => assert!(retry.status < 300, "{}: {retry:?}", update.name),
                _ => assert_eq!(
                    retry.outcome(),
                    "404 session-not-found",
                    "{}, {fate:?}",
                    update.name
                ),
            }
        }
    }
}

#[tokio::test]
async fn retries_of_a_creation_with_an_id_succeed_only_while_its_session_is_live() {
    let app = App::new().await;
    for fate in Fate::ALL {
        let id = new_id();
        let request = app.send(CREATE_WITH_ID).id(&id).header("idempotency-key", KEY);
        let first = request.copy().await;
        assert_eq!(first.status, 201);
        let (later, seconds) = fate.befall(&app, &id).await;
        let retry = request.through(&later).at(seconds).await;
        match fate {
            Fate::Live => assert_eq!((retry.status, etag(&retry)), (201, etag(&first))),
            Fate::RotatedWithGrace | Fate::CreatedAgain => {
                assert_eq!(retry.outcome(), "412 session-exists", "{fate:?}");
            }
            // The id is free, so this creates a new session.
            _ => {
                assert_eq!(retry.status, 201, "{fate:?}");
                assert_ne!(etag(&retry), etag(&first), "{fate:?}");
            }
        }
    }
}

#[tokio::test]
async fn retries_of_a_rotation_succeed_only_while_the_session_is_live_under_the_new_id() {
    let app = App::new().await;
    for grace in ["0", "60"] {
        for fate in Fate::ALL {
            let (old, new) = (app.create_session().await, new_id());
            let rotate = app.send(ROTATE).id(&old).header("session-new-id", &new);
            let rotate = rotate.header("session-grace", grace);
            assert_eq!(rotate.copy().await.status, 200);
            let (later, seconds) = fate.befall(&app, &new).await;
            let retry = rotate.through(&later).at(seconds).await;
            let expected = if fate == Fate::Live { "200" } else { "404 session-not-found" };
            assert_eq!(retry.outcome(), expected, "grace {grace}, {fate:?}");
        }
    }
}

#[tokio::test]
async fn a_lock_has_one_holder_however_late_a_retry_arrives() {
    let app = App::new().await;
    let id = app.create_session().await;
    let lock = |key: &str, lease: &str| {
        let request = app.send(LOCK).id(&id).header("idempotency-key", key);
        request.header("session-lease", lease)
    };
    let (first, second) = ("the-key-of-client-one", "the-key-of-client-two");
    let held = lock(first, "1").await;
    assert_eq!(lock(first, "1").await.header("Session-Lock"), held.header("Session-Lock"));
    assert_eq!(lock(first, "1").at(1).await.outcome(), "412 not-lock-holder");
    assert_eq!(lock(second, "30").at(2).await.status, 200);
    assert_eq!(lock(first, "1").at(2).await.outcome(), "423 session-locked");
    // This retry can't get the lock anymore, so it doesn't wait for it.
    app.take_calls();
    let waiting = lock(first, "1").header("session-wait", "5").at(3);
    assert_eq!(waiting.await.outcome(), "423 session-locked");
    assert_eq!(app.take_calls(), ["UpdateItem", "GetItem"]);
    let token = lock(second, "30").at(3).await.header("Session-Lock").to_owned();
    let unlock = app.send(TOUCH).id(&id).header("session-unlock", &token).at(3);
    assert_eq!(unlock.await.status, 204);
    assert_eq!(lock(second, "30").at(3).await.outcome(), "412 not-lock-holder");
}

#[tokio::test]
async fn retries_report_the_expiry_of_the_session() {
    let app = App::new().await;
    for update in &UPDATES[..] {
        if update.name == "unlock" {
            continue;
        }
        let target = Target::new(&app, update).await;
        let request = target.request(&app, update).header("idempotency-key", KEY);
        let request = request.header("session-ttl", "600").header("session-lease", "60");
        let request = if update.event == LOCK { request } else { request.without("session-lease") };
        let first = request.copy().await;
        let retry = request.copy().at(30).await;
        assert_eq!(
            retry.header("Session-Expires"),
            first.header("Session-Expires"),
            "{}",
            update.name
        );
        assert_eq!(retry.header("Session-TTL"), "570", "{}", update.name);
        assert_eq!(app.send(READ).id(&target.id).at(30).await.header("Session-TTL"), "570");
    }
}

#[tokio::test]
async fn requests_from_before_a_logout_do_not_change_the_session_created_after_it() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    // While the proxy holds a call other than the last, another request writes, so the API has to read the session
    // again.
    for (event, calls) in [
        (PATCH, &[Hold][..]),
        (PATCH, &[Pass, Hold]),
        (PATCH, &[Pass, Hold, Hold]),
        (ROTATE, &[Hold]),
        (ROTATE, &[Pass, Hold]),
        (ROTATE, &[Pass, Hold, Hold]),
        (LOCK, &[Pass, Hold]),
        (LOCK, &[Pass, Pass, Hold]),
    ] {
        let id = app.create_session().await;
        let request = proxy.app.send(event).id(&id);
        let request = match event {
            PATCH => request.header("session-user", "ada").body(br#"{"admin":true}"#),
            ROTATE => request.header("session-new-id", &new_id()),
            _ => request.header("session-wait", "5"),
        };
        if event == LOCK {
            assert_eq!(app.send(LOCK).id(&id).await.status, 200);
        }
        proxy.inject(calls);
        let response = tokio::spawn(request.into_future());
        let holds = calls.iter().filter(|fault| matches!(fault, Hold)).count();
        for _ in 1..holds {
            proxy.held().await;
            assert_eq!(app.send(TOUCH).id(&id).await.status, 204);
            proxy.release();
        }
        proxy.held().await;
        assert_eq!(app.send(DESTROY).id(&id).at(2).await.status, 204);
        let guest = app.send(CREATE_WITH_ID).id(&id).without("session-user").body(b"{\"guest\":1}");
        assert_eq!(guest.at(2).await.status, 201);
        let before = app.item(&id).await.unwrap();
        proxy.release();
        let outcome = response.await.unwrap().outcome();
        assert_eq!(outcome, "404 session-not-found", "{event} {calls:?}");
        assert_eq!(app.item(&id).await, Some(before), "{event} {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_that_race_with_a_logout_do_not_reach_the_next_session() {
    let app = App::new().await.with_real_clock();
    for round in 0..20 {
        let id = app.create_session().await;
        let patches = (0..4).map(|n| {
            let member = format!("{{\"patched{n}\":true}}");
            tokio::spawn(app.send(PATCH).id(&id).body(member.as_bytes()).into_future())
        });
        let patches: Vec<_> = patches.collect();
        tokio::time::sleep(Duration::from_millis(round)).await;
        assert_eq!(app.send(DESTROY).id(&id).await.status, 204);
        let visit = app.send(CREATE_WITH_ID).id(&id).body(b"{\"guest\":1}");
        assert_eq!(visit.await.status, 201);
        for patch in patches {
            let status = patch.await.unwrap().status;
            assert!([204, 404, 503].contains(&status), "{status}");
        }
        assert_eq!(app.send(READ).id(&id).await.body, b"{\"guest\":1}", "round {round}");
    }
}

#[tokio::test]
async fn a_waiting_lock_is_not_taken_for_a_client_that_has_had_it() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    let unlock = async |id: &str, token: &str| {
        assert_eq!(app.send(TOUCH).id(id).header("session-unlock", token).await.status, 204);
    };
    for (is_taken, expected) in [(false, "412 not-lock-holder"), (true, "423 session-locked")] {
        let id = app.create_session().await;
        let holder = app.send(LOCK).id(&id).await.header("Session-Lock").to_owned();
        let lock = |app: &App| app.send(LOCK).id(&id).header("idempotency-key", KEY);
        let meanwhile = async {
            unlock(&id, &holder).await;
            let own = lock(app).await.header("Session-Lock").to_owned();
            unlock(&id, &own).await;
            if is_taken {
                assert_eq!(app.send(LOCK).id(&id).await.status, 200);
            }
        };
        let waiting = lock(&proxy.app).header("session-wait", "5");
        let response = proxy.send_around(waiting, &[Pass, Hold], meanwhile).await;
        assert_eq!(response.outcome(), expected);
    }
}

#[tokio::test]
async fn a_lock_that_was_lost_before_the_response_arrived_is_not_a_refusal() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    let id = app.create_session().await;
    let token = app.send(LOCK).id(&id).await.header("Session-Lock").to_owned();
    let renew = proxy.app.send(LOCK).id(&id).header("session-lock", &token);
    let meanwhile = async {
        let unlock = app.send(TOUCH).id(&id).header("session-unlock", &token);
        assert_eq!(unlock.await.status, 204);
        assert_eq!(app.send(LOCK).id(&id).await.status, 200);
    };
    let response = proxy.send_around(renew, &[LoseResponse, Hold], meanwhile).await;
    assert_eq!(
        response.outcome(),
        "503 store-unavailable",
        "the lost attempt has extended the expiry"
    );
}

#[tokio::test]
async fn two_attempts_of_a_patch_that_read_different_data_respond_alike() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    let id = app.create_session().await;
    let patch = |app: &App| {
        let patch = app.send(PATCH).id(&id).header("idempotency-key", KEY);
        patch.header("prefer", "return=representation").body(b"{\"patched\":1}")
    };
    let mut other = None;
    let meanwhile = async {
        assert_eq!(app.send(REPLACE).id(&id).body(b"{\"other\":1}").await.status, 204);
        other = Some(patch(app).await);
    };
    let first = proxy.send_around(patch(&proxy.app), &[Pass, Hold], meanwhile).await;
    assert_eq!(first.body, b"{\"other\":1,\"patched\":1}");
    assert_eq!(Some(first), other);
}

#[tokio::test]
async fn a_throttled_poll_does_not_end_a_wait_for_a_lock() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    let id = app.create_session().await;
    let token = app.send(LOCK).id(&id).await.header("Session-Lock").to_owned();
    let waiting = proxy.app.send(LOCK).id(&id).header("session-wait", "5");
    let throttle = Fail(400, "ProvisionedThroughputExceededException");
    let meanwhile = async {
        let unlock = app.send(TOUCH).id(&id).header("session-unlock", &token);
        assert_eq!(unlock.await.status, 204);
    };
    let faults = [Pass, throttle, throttle, throttle, Hold];
    let response = proxy.send_around(waiting, &faults, meanwhile).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn an_etag_is_never_reused() {
    let app = App::new().await;
    let target = Target::new(&app, &UPDATES[0]).await;
    let patch = app.send(PATCH).id(&target.id).header("idempotency-key", KEY);
    let patch = patch.body(br#"{"theme":"dark"}"#);
    let first = patch.copy().await;
    target.write_meanwhile(4).await;
    let again = patch.await;
    assert_eq!(
        (first.status, again.status),
        (204, 204),
        "after four other writes, it's applied again"
    );
    assert_ne!(etag(&first), etag(&again));
    // The same request with a different media type is a different request.
    let put = |media_type: &str| {
        let put = app.send(REPLACE).id(&target.id).header("idempotency-key", KEY).body(b"1");
        put.header("content-type", media_type)
    };
    let (json, text) = (put("application/json").await, put("text/plain").await);
    assert_ne!(etag(&json), etag(&text));
    assert_eq!(app.send(READ).id(&target.id).await.header("Content-Type"), "text/plain");
    // Back and forth, with different data each time.
    let (here, there) = (target.id.clone(), new_id());
    let mut tags = Vec::new();
    for (n, (from, to)) in
        [(&here, &there), (&there, &here)].into_iter().cycle().take(4).enumerate()
    {
        let rotate = app.send(ROTATE).id(from).header("session-new-id", to);
        let rotated = rotate.body(n.to_string().as_bytes()).await;
        assert_eq!(rotated.status, 200);
        tags.push(rotated.header("ETag").to_owned());
    }
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 4);
}

#[tokio::test]
async fn a_repeated_rotation_with_other_data_returns_no_version_that_never_existed() {
    let app = App::new().await;
    let (old, new) = (app.create_session().await, new_id());
    let rotate = app.send(ROTATE).id(&old).header("session-new-id", &new);
    let first = rotate.copy().body(b"").await;
    let again = rotate.body(b"{\"other\":1}").await;
    assert_eq!(again.status, 200);
    assert_eq!(etag(&again), etag(&first));
    assert_eq!(app.send(READ).id(&new).await.header("ETag"), first.header("ETag"));
}

#[tokio::test]
async fn rotations_back_and_forth_take_one_transaction_each() {
    let app = App::new().await;
    for grace in ["0", "5"] {
        let (here, there) = (app.create_session().await, new_id());
        app.take_calls();
        for (from, to) in [(&here, &there), (&there, &here)].into_iter().cycle().take(5) {
            let rotate = app.send(ROTATE).id(from).header("session-new-id", to);
            assert_eq!(rotate.header("session-grace", grace).await.status, 200);
            assert_eq!(app.take_calls(), ["GetItem", "TransactWriteItems"], "grace {grace}");
        }
    }
}

#[tokio::test]
async fn a_change_that_always_collides_gives_up() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let id = proxy.direct.create_session().await;
    let calls: Vec<_> = [Pass, Hold].into_iter().cycle().take(200).collect();
    proxy.inject(&calls);
    let mut response = tokio::spawn(proxy.app.send(PATCH).id(&id).into_future());
    let response = loop {
        tokio::select! {
            response = &mut response => break response.unwrap(),
            () = proxy.held() => {
                assert_eq!(proxy.direct.send(TOUCH).id(&id).await.status, 204);
                proxy.release();
            }
        }
    };
    assert_eq!(response.outcome(), "503 store-throttled");
    assert!(proxy.take_parameters().len() <= 102);
}
