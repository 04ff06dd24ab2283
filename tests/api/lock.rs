//! Session locks: only one request at a time can hold a session's lock, and the lease frees it if the holder
//! crashes.

use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{join, join_all};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::harness::{
    App, CREATE, DESTROY, LOCK, Log, PATCH, READ, REPLACE, ROTATE, Response, TOUCH, UNLOCK, count,
    new_id,
};

fn token(locked: &Response) -> String {
    assert_eq!(locked.status, 200, "{locked:?}");
    locked.header("Session-Lock").to_owned()
}

#[tokio::test]
async fn lock_returns_the_session() {
    let app = App::new().await;
    let id = app.create_session().await;
    let read = app.send(READ).id(&id).await;
    app.take_calls();
    let locked = app.send(LOCK).id(&id).await;
    assert_eq!(app.take_calls(), ["UpdateItem"]);
    assert_eq!(token(&locked).len(), 22);
    assert_eq!(locked.body, read.body);
    for name in read.header_names() {
        assert_eq!(locked.header(name), read.header(name));
    }
    assert_eq!(app.send(LOCK).id(&new_id()).await.outcome(), "404 session-not-found");
}

#[tokio::test]
async fn lock_restricts_writes_to_its_holder() {
    let app = App::new().await;
    let id = app.create_session().await;
    let held = token(&app.send(LOCK).id(&id).header("session-lease", "30").await);
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    for event in [REPLACE, PATCH, ROTATE] {
        for request in [app.send(event), app.send(event).header("session-lock", other)] {
            let refused = request.id(&id).at(10).await;
            assert_eq!(refused.outcome(), "423 session-locked");
            assert_eq!(refused.header("Retry-After"), "20");
        }
    }
    assert_eq!(app.send(LOCK).id(&id).await.outcome(), "423 session-locked");
    assert_eq!(app.send(READ).id(&id).await.status, 200);
    assert_eq!(app.send(TOUCH).id(&id).await.status, 204);
    assert_eq!(app.send(REPLACE).id(&id).header("session-lock", &held).await.status, 204);
    assert_eq!(app.send(PATCH).id(&id).header("session-lock", &held).await.status, 204);
    assert_eq!(app.send(DESTROY).id(&id).await.status, 204);
}

#[tokio::test]
async fn lock_is_released_by_unlock_or_by_a_write() {
    let app = App::new().await;
    let id = app.create_session().await;
    let unlock = |token: &str| app.send(UNLOCK).id(&id).header("session-unlock", token);
    let held = token(&app.send(LOCK).id(&id).await);
    assert_eq!(unlock("AAAAAAAAAAAAAAAAAAAAAA").await.outcome(), "412 not-lock-holder");
    assert_eq!(unlock(&held).await.header_names(), ["Cache-Control"]);
    assert_eq!(unlock(&held).await.status, 204, "the lock is free");
    assert_eq!(app.send(UNLOCK).id(&new_id()).await.outcome(), "404 session-not-found");
    for event in [REPLACE, PATCH] {
        let held = token(&app.send(LOCK).id(&id).await);
        let write = || app.send(event).id(&id).header("session-unlock", &held);
        assert_eq!(write().header("session-lock", &held).await.outcome(), "400 invalid-header");
        assert_eq!(write().await.status, 204);
        assert_eq!(write().await.outcome(), "412 not-lock-holder");
        assert_eq!(app.send(REPLACE).id(&id).await.status, 204);
    }
    assert_eq!(
        app.send(UNLOCK).id(&id).without("session-unlock").await.outcome(),
        "400 invalid-header"
    );
}

#[tokio::test]
async fn lease_expires_by_itself() {
    let app = App::new().await;
    let id = app.create_session().await;
    let first = token(&app.send(LOCK).id(&id).header("session-lease", "10").await);
    assert_eq!(app.send(REPLACE).id(&id).at(9).await.outcome(), "423 session-locked");
    assert_eq!(app.send(REPLACE).id(&id).at(11).await.status, 204);
    let write_late =
        |seconds: u64| app.send(REPLACE).id(&id).header("session-lock", &first).at(seconds);
    assert_eq!(write_late(11).await.status, 204, "no other request has taken the lock");
    let second = token(&app.send(LOCK).id(&id).at(11).await);
    assert_eq!(
        write_late(12).await.outcome(),
        "423 session-locked",
        "another request holds the lock"
    );
    let unlock = app.send(UNLOCK).id(&id).header("session-unlock", &first).at(12);
    assert_eq!(unlock.await.outcome(), "412 not-lock-holder");
    assert_eq!(
        write_late(22).await.outcome(),
        "412 not-lock-holder",
        "another request has held the lock since"
    );
    let unlock = app.send(UNLOCK).id(&id).header("session-unlock", &first).at(22);
    assert_eq!(unlock.await.status, 204, "the lock is free");
    let put = app.send(REPLACE).id(&id).header("session-lock", &second).at(22);
    assert_eq!(put.await.status, 204);
}

#[tokio::test]
async fn leases_end_at_the_exact_millisecond() {
    let app = App::new().await;
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    for (millis_left, outcome, outcome_of_other) in
        [(1, "423 session-locked", "423 session-locked"), (0, "204", "412 not-lock-holder")]
    {
        let id = app.create_session().await;
        lock(&app, &id, "60").await;
        let mut item = app.item(&id).await.unwrap();
        let until = app.start() + Duration::from_millis(10_000 + millis_left);
        item["lock_until"] = json!({ "N": until.as_millis().to_string() });
        app.put_item(item).await;
        let write = app.send(REPLACE).id(&id).header("session-lock", other).at(10).await;
        assert_eq!(write.outcome(), outcome_of_other, "{millis_left} ms before its end");
        let write = app.send(REPLACE).id(&id).at(10).await;
        assert_eq!(write.outcome(), outcome, "{millis_left} ms before its end");
    }
}

#[tokio::test]
async fn rotation_moves_the_lock() {
    let app = App::new().await;
    let id = app.create_session().await;
    let held = token(&app.send(LOCK).id(&id).await);
    assert_eq!(app.send(ROTATE).id(&id).await.outcome(), "423 session-locked");
    let rotated = app.send(ROTATE).id(&id).header("session-lock", &held).await;
    let new = rotated.header("Session-Id");
    assert_eq!(app.send(REPLACE).id(new).await.outcome(), "423 session-locked");
    assert_eq!(app.send(REPLACE).id(new).header("session-lock", &held).await.status, 204);
}

#[tokio::test]
async fn lease_and_wait_are_limited() {
    let app = App::new().await;
    let id = app.create_session().await;
    for (header, bad) in
        [("session-lease", ["0", "61", "", "1.5"]), ("session-wait", ["-1", "11", "", "x"])]
    {
        for value in bad {
            let response = app.send(LOCK).id(&id).header(header, value).await;
            assert_eq!(response.outcome(), "400 invalid-header", "{header}: {value}");
        }
    }
    assert_eq!(app.send(LOCK).id(&id).header("session-lease", "60").await.status, 200);
}

/// Locks a session and returns the token. Clears the recorded calls.
async fn lock(app: &App, id: &str, lease: &str) -> String {
    let locked = app.send(LOCK).id(id).header("session-lease", lease).await;
    app.take_calls();
    token(&locked)
}

#[tokio::test]
async fn waiter_polls_with_reads_and_gives_up_in_time() {
    let app = App::new().await;
    let id = app.create_session().await;
    lock(&app, &id, "60").await;
    let started = Instant::now();
    let waited = app.send(LOCK).id(&id).header("session-wait", "10").await;
    // The last poll may be due 25 ms before the wait ends.
    assert!(started.elapsed() > Duration::from_millis(9_950));
    assert_eq!(waited.outcome(), "423 session-locked");
    // Retry-After counts from the response, which may come those 25 ms early, and is rounded up.
    assert!(["50", "51"].contains(&waited.header("Retry-After")), "{waited:?}");
    let calls = app.take_calls();
    assert_eq!(count(&calls, "UpdateItem"), 1);
    // Four polls until the backoff reaches half a second, then one every 250 to 500 ms.
    let polls = count(&calls, "GetItem");
    assert!((15..=45).contains(&polls), "{polls} polls in 10 s");
    assert_eq!(calls.len(), 1 + polls);
}

/// On-demand prices: $0.625 per million write units, $0.125 per million read units.
const READ_UNITS_PER_WRITE_UNIT: f64 = 5.0;

/// An item's size as DynamoDB bills it, except that every digit of a number counts as one byte.
fn size(item: &Value) -> usize {
    let size = |(name, value): (&String, &Value)| {
        let binary = value["B"].as_str().map(|encoded| STANDARD.decode(encoded).unwrap().len());
        let text = || value["S"].as_str().or(value["N"].as_str()).unwrap().len();
        name.len() + binary.unwrap_or_else(text)
    };
    item.as_object().unwrap().iter().map(size).sum()
}

#[tokio::test]
async fn waiting_costs_at_most_a_tenth_of_conditional_writes() {
    let app = App::new().await;
    let mut incompressible = vec![0; 100_000];
    SystemRandom::new().fill(&mut incompressible).unwrap();
    let created = app.send(CREATE).body(&incompressible).await;
    let id = created.header("Session-Id");
    lock(&app, id, "60").await;

    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let waited = app.send(LOCK).id(id).header("session-wait", "10").await;
    assert_eq!(waited.outcome(), "423 session-locked");

    let calls = app.take_calls();
    let reads = log.lines()[0]["capacity"].as_f64().unwrap();
    assert!(reads > 0.0, "the polls must be metered");
    // DynamoDB bills a refused write by the item's size, but doesn't report it, and neither does any test engine.
    let write = size(&app.items().await[0]).div_ceil(1024) as f64 * READ_UNITS_PER_WRITE_UNIT;
    let cost = reads + count(&calls, "UpdateItem") as f64 * write;
    let as_writes = calls.len() as f64 * write;
    assert!(cost <= as_writes / 10.0, "{cost} read units, {as_writes} as writes: {calls:?}");
}

#[tokio::test]
async fn waiter_gets_the_lock_soon_after_its_release() {
    let app = App::new().await;
    let id = app.create_session().await;
    let held = lock(&app, &id, "60").await;
    let waiting = app.send(LOCK).id(&id).header("session-wait", "10");
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let unlock = app.send(UNLOCK).id(&id).header("session-unlock", &held);
        assert_eq!(unlock.await.status, 204);
        Instant::now()
    };
    let (locked, released) = join(waiting.into_future(), release).await;
    assert!(released.elapsed() < Duration::from_millis(1500), "{:?}", released.elapsed());
    assert_ne!(token(&locked), held);
    let calls = app.take_calls();
    assert_eq!(count(&calls, "UpdateItem"), 3, "two by the waiter, one by the release: {calls:?}");
    assert_eq!(calls.last().unwrap(), "UpdateItem");
}

#[tokio::test]
async fn waiter_gets_the_lock_when_the_lease_expires() {
    let app = App::new().await;
    let id = app.create_session().await;
    let held = lock(&app, &id, "2").await;
    let started = Instant::now();
    let locked = app.send(LOCK).id(&id).header("session-wait", "10").await;
    let waited = started.elapsed();
    assert_ne!(token(&locked), held);
    let lease = Duration::from_secs(2);
    assert!((lease..lease + Duration::from_secs(1)).contains(&waited), "{waited:?}");
    assert_eq!(count(&app.take_calls(), "UpdateItem"), 2);
}

#[tokio::test]
async fn waiter_gets_404_when_the_session_is_gone() {
    let app = App::new().await;
    for event in [DESTROY, ROTATE] {
        let id = app.create_session().await;
        let held = lock(&app, &id, "60").await;
        let waiting = app.send(LOCK).id(&id).header("session-wait", "10");
        let end = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let end = app.send(event).id(&id);
            let end = match event {
                ROTATE => end.header("session-grace", "60").header("session-lock", &held),
                _ => end,
            };
            assert!(end.await.status < 300);
        };
        let (waited, ()) = join(waiting.into_future(), end).await;
        assert_eq!(waited.outcome(), "404 session-not-found");
        assert_eq!(
            count(&app.take_calls(), "UpdateItem"),
            1,
            "only the first attempt at the lock is a write"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_increments_survive_crashing_holders() {
    let app = App::new().await.with_real_clock();
    let id = app.create_session().await;
    app.send(REPLACE).id(&id).body(b"0").await;
    let client = |n: u32, app: App, id: String| async move {
        loop {
            let lock = app.send(LOCK).id(&id).header("session-wait", "10");
            let locked = lock.header("session-lease", "1").await;
            if locked.status == 423 {
                continue;
            }
            let held = token(&locked);
            let count: u32 = std::str::from_utf8(&locked.body).unwrap().parse().unwrap();
            if n.is_multiple_of(5) {
                return; // Crash without releasing the lock.
            }
            let put = app.send(REPLACE).id(&id).header("session-unlock", &held);
            match put.body((count + 1).to_string().as_bytes()).await.outcome().as_str() {
                "204" => return,
                // The lease expired, and another request took the lock. Nothing was written, so retry.
                "423 session-locked" | "412 not-lock-holder" => {}
                outcome => panic!("{outcome}"),
            }
        }
    };
    let clients = (0..50).map(|n| tokio::spawn(client(n, app.clone(), id.clone())));
    join_all(clients).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(app.send(READ).id(&id).await.body, b"40");
}
