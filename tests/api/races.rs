//! Races: concurrent requests to one session.

use futures_util::future::join_all;

use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, Fault, FaultProxy, LOCK, PATCH, READ, REPLACE, ROTATE, Response,
    TOUCH, Timeouts, UNLOCK, new_id, send_concurrently,
};

fn count(responses: &[Response], outcome: &str) -> usize {
    responses.iter().filter(|response| response.outcome() == outcome).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_replaces_of_one_etag_have_one_winner() {
    let app = App::new().await;
    let id = app.create_session().await;
    let etag = app.send(READ).id(&id).await.header("ETag").to_owned();
    let put = |n: usize| {
        app.send(REPLACE).id(&id).header("if-match", &etag).body(n.to_string().as_bytes())
    };
    let responses = send_concurrently((0..200).map(put)).await;
    assert_eq!(count(&responses, "204"), 1);
    assert_eq!(count(&responses, "412 etag-mismatch"), 199);
    let winner = responses.iter().position(|response| response.status == 204).unwrap();
    let read = app.send(READ).id(&id).await;
    assert_eq!(read.body, winner.to_string().as_bytes());
    assert_eq!(read.header("ETag"), responses[winner].header("ETag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_of_one_id_have_one_winner() {
    let app = App::new().await;
    let id = new_id();
    let create = |n: usize| app.send(CREATE_WITH_ID).id(&id).body(n.to_string().as_bytes());
    let responses = send_concurrently((0..200).map(create)).await;
    assert_eq!(count(&responses, "201"), 1);
    assert_eq!(count(&responses, "412 session-exists"), 199);
    let winner = responses.iter().position(|response| response.status == 201).unwrap();
    assert_eq!(app.send(READ).id(&id).await.body, winner.to_string().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_do_not_restore_a_destroyed_session() {
    let app = App::new().await;
    let mut total_refused = 0;
    for _ in 0..10 {
        let id = app.create_session().await;
        let requests = (0..40)
            .map(|n| app.send(if n == 20 { DESTROY } else { [REPLACE, TOUCH][n % 2] }).id(&id));
        let responses = send_concurrently(requests).await;
        let refused = count(&responses, "404 session-not-found");
        assert_eq!(count(&responses, "204") + refused, 40);
        total_refused += refused;
        assert_eq!(app.send(READ).id(&id).await.outcome(), "404 session-not-found");
    }
    assert!(total_refused > 0, "some requests must arrive after the destroy");
    assert!(app.items().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_replace_loses_no_updates() {
    let app = App::new().await;
    let id = app.create_session().await;
    app.send(REPLACE).id(&id).body(b"0").await;
    let client = |app: App, id: String| async move {
        loop {
            let read = app.send(READ).id(&id).await;
            let count: u32 = std::str::from_utf8(&read.body).unwrap().parse().unwrap();
            let next = (count + 1).to_string();
            let put = app.send(REPLACE).id(&id).header("if-match", read.header("ETag"));
            match put.body(next.as_bytes()).await.status {
                204 => return,
                status => assert_eq!(status, 412),
            }
        }
    };
    join_all((0..20).map(|_| tokio::spawn(client(app.clone(), id.clone())))).await;
    assert_eq!(app.send(READ).id(&id).await.body, b"20");
}

#[tokio::test]
async fn writes_between_the_read_and_the_write_of_a_request_are_kept() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for event in [ROTATE, PATCH] {
        for (other, name, value, shown) in [
            (TOUCH, "session-ttl", "5", "Session-TTL"),
            (TOUCH, "session-user", "grace", "Session-User"),
            (TOUCH, "session-label", "lynx", "Session-Label"),
            (REPLACE, "content-type", "other/type+json", "Content-Type"),
        ] {
            let id = proxy.direct.create_session().await;
            let write = proxy.app.send(event).id(&id);
            let meanwhile = async {
                let request = proxy.direct.send(other).id(&id).header(name, value);
                assert_eq!(request.await.status, 204);
            };
            let response = proxy.send_around(write, &[Fault::Pass, Fault::Hold], meanwhile).await;
            let id = match event {
                ROTATE => response.header("Session-Id"),
                _ => &id,
            };
            assert!(response.status < 300, "{event} {name}: {response:?}");
            let read = proxy.direct.send(READ).id(id).await;
            assert_eq!(read.header(shown), value, "{event}");
        }
        for (other, outcome) in [(LOCK, "423 session-locked"), (DESTROY, "404 session-not-found")] {
            let id = proxy.direct.create_session().await;
            let write = proxy.app.send(event).id(&id);
            let meanwhile = async {
                assert!(proxy.direct.send(other).id(&id).await.status < 300);
            };
            let response = proxy.send_around(write, &[Fault::Pass, Fault::Hold], meanwhile).await;
            assert_eq!(response.outcome(), outcome, "{event}");
        }
    }
}

#[tokio::test]
async fn locks_released_between_the_read_and_the_write_of_a_request_stay_released() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for event in [ROTATE, PATCH] {
        // If another request takes the lock, the first holder must not write anymore.
        for next_locks in [false, true] {
            let id = proxy.direct.create_session().await;
            let locked = proxy.direct.send(LOCK).id(&id).await;
            let token = locked.header("Session-Lock");
            let write = proxy.app.send(event).id(&id).header("session-lock", token);
            let meanwhile = async {
                let unlock = proxy.direct.send(UNLOCK).id(&id).header("session-unlock", token);
                assert_eq!(unlock.await.status, 204);
                if next_locks {
                    assert_eq!(proxy.direct.send(LOCK).id(&id).await.status, 200);
                }
            };
            let response = proxy.send_around(write, &[Fault::Pass, Fault::Hold], meanwhile).await;
            let expected = if next_locks { "423 session-locked" } else { "412 not-lock-holder" };
            assert_eq!(response.outcome(), expected, "{event}");
            let item = proxy.direct.item(&id).await.unwrap();
            assert_eq!(item["lock"].is_object(), next_locks, "{event}");
        }
    }
}
