//! A user's sessions: listing them, and destroying one or all.

use std::future::IntoFuture as _;
use std::time::Duration;

use futures_util::future::join;
use serde_json::{Value, json};

use crate::harness::{
    App, CREATE, DESTROY, Fault, FaultProxy, LIST, PATCH, READ, REPLACE, REVOKE, REVOKE_ALL,
    ROTATE, TOUCH, Timeouts, handle, new_id, send_concurrently,
};

async fn list(app: &App, user: &str, current_id: &str) -> Vec<Value> {
    let response = app.send(LIST).header("session-user", user).id(current_id).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), "application/json");
    serde_json::from_slice(&response.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_revoke_all_handle_300_sessions() {
    let app = App::new().await;
    let created = send_concurrently((0..300).map(|n| app.send(CREATE).at(n))).await;
    let ids: Vec<_> = created.iter().map(|response| response.header("Session-Id")).collect();
    let other = app.send(CREATE).header("session-user", "grace").await;
    let own = ids[7];
    let listed = list(&app, "ada", own).await;
    let handles: Vec<_> = listed.iter().map(|entry| entry["handle"].as_str().unwrap()).collect();
    let expected: Vec<_> = ids.iter().rev().map(|id| handle(id)).collect();
    assert_eq!(handles, expected);
    let current: Vec<_> = listed.iter().filter(|entry| entry["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["handle"], handle(own));

    let early = app.send(REVOKE_ALL).id(own).at(9).await;
    assert_eq!(early.body, br#"{"destroyed":10}"#, "the later sessions didn't exist yet");
    let revoked = app.send(REVOKE_ALL).id(own).at(300).await;
    assert_eq!(revoked.body, br#"{"destroyed":289}"#);
    assert_eq!(app.send(READ).id(own).await.status, 200);
    assert_eq!(app.send(READ).id(ids[0]).await.status, 404);
    assert_eq!(app.send(READ).id(other.header("Session-Id")).await.status, 200);
    assert_eq!(list(&app, "ada", own).await.len(), 1);
    assert_eq!(app.send(REVOKE_ALL).at(300).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn list_entries_describe_their_session() {
    let app = App::with_max_lifetime(100).await;
    let created = app.send(CREATE).header("session-label", "lynx").await;
    let id = created.header("Session-Id");
    let read = app.send(READ).id(id).await;
    let touched = app.send(TOUCH).id(id).header("session-ttl", "60").at(30).await;
    let expected = |label: Value, used: &str, expires: &str| {
        json!({
            "handle": handle(id),
            "created": read.header("Session-Created"),
            "used": used,
            "expires": expires,
            "label": label,
            "current": false,
        })
    };
    let used = app.rfc3339(30);
    let entry = expected("lynx".into(), &used, touched.header("Session-Expires"));
    assert_eq!(list(&app, "ada", &new_id()).await, [entry]);
    let touched = app.send(TOUCH).id(id).header("session-label", "\"\"").at(50).await;
    let entry = expected(Value::Null, &app.rfc3339(50), touched.header("Session-Expires"));
    assert_eq!(list(&app, "ada", &new_id()).await, [entry]);
    assert_eq!(app.send(LIST).without("session-id").await.status, 200);
    assert_eq!(app.send(LIST).header("session-user", "nobody").await.body, b"[]");
}

#[tokio::test]
async fn expired_sessions_and_sessions_of_other_users_are_excluded() {
    let app = App::new().await;
    app.send(CREATE).header("session-ttl", "60").await;
    let reassigned = app.create_session().await;
    app.send(REPLACE).id(&reassigned).header("session-user", "grace").await;
    let response = app.send(LIST).at(60).await;
    assert_eq!(response.body, b"[]");
    assert_eq!(app.send(REVOKE_ALL).at(60).await.body, br#"{"destroyed":0}"#);
    assert_eq!(app.send(READ).id(&reassigned).await.status, 200);
}

/// Responds to a query of the index with these sessions. If there's a `last` key, more pages follow.
fn index_page(found: &[&str], last: Option<Value>) -> Fault {
    let items: Vec<_> = found.iter().map(|id| json!({ "id": { "S": handle(id) } })).collect();
    let mut page = json!({
        "Items": items,
        "Count": items.len(),
        "ConsumedCapacity": { "TableName": "sessions", "CapacityUnits": 0.5 },
    });
    if let Some(last) = last {
        page["LastEvaluatedKey"] = last;
    }
    Fault::Respond(page.to_string().leak())
}

#[tokio::test]
async fn sessions_that_only_a_stale_index_lists_for_the_user_are_excluded() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    let reassigned = app.create_session().await;
    app.send(TOUCH).id(&reassigned).header("session-user", "grace").await;
    let abandoned = app.create_session().await;
    app.send(TOUCH).id(&abandoned).header("session-user", "").await;
    let destroyed = app.create_session().await;
    app.send(DESTROY).id(&destroyed).await;
    let stale = index_page(&[&reassigned, &abandoned, &destroyed], None);
    app.create_session().await;

    proxy.inject(&[stale]);
    assert_eq!(app.send(LIST).await.body, b"[]");
    proxy.inject(&[stale]);
    let limit = app.send(REVOKE_ALL).header("session-limit", "1");
    assert_eq!(limit.await.body, br#"{"destroyed":0}"#);
    proxy.inject(&[stale]);
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    for id in [reassigned, abandoned] {
        assert_eq!(app.send(READ).id(&id).await.status, 200);
    }
}

#[tokio::test]
async fn every_page_of_the_index_is_read() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(app.send(CREATE).at(n).await.header("Session-Id").to_owned());
    }
    let item = app.item(&ids[3]).await.unwrap();
    let key = |name: &str| (name.to_owned(), item[name].clone());
    let last = ["id", "user", "created"].map(key).into_iter().collect();
    let first_page = index_page(&[&ids[3]], Some(Value::Object(last)));

    proxy.inject(&[first_page]);
    let listed = app.send(LIST).at(9).await;
    let listed: Vec<Value> = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed.len(), 4);
    proxy.inject(&[first_page]);
    app.take_calls();
    assert_eq!(app.send(REVOKE_ALL).at(9).await.body, br#"{"destroyed":4}"#);
    assert_eq!(app.take_calls()[..3], ["Query", "Query", "DeleteItem"]);
}

#[tokio::test]
async fn handles_only_destroy_sessions_of_their_user() {
    let app = App::new().await;
    let id = app.create_session().await;
    let handle = handle(&id);
    let revoke =
        |user: &str, handle: &str| app.send(REVOKE).header("session-user", user).handle(handle);
    assert_eq!(app.send(READ).id(&handle).await.outcome(), "404 session-not-found");
    assert_eq!(revoke("grace", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(
        revoke("ada", &id).await.outcome(),
        "404 session-not-found",
        "a session id isn't a handle"
    );
    app.take_calls();
    assert_eq!(revoke("ada", "short").await.outcome(), "404 session-not-found");
    assert!(app.take_calls().is_empty());
    assert_eq!(revoke("ada", &handle).at(3600).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 200);
    assert_eq!(revoke("ada", &handle).await.status, 204);
    assert_eq!(app.take_calls(), ["DeleteItem", "GetItem", "DeleteItem"]);
    assert_eq!(revoke("ada", &handle).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(&id).await.status, 404);
}

#[tokio::test]
async fn user_routes_require_session_user() {
    let app = App::new().await;
    for event in [LIST, REVOKE_ALL, REVOKE] {
        for request in [
            app.send(event).without("session-user"),
            app.send(event).header("session-user", ""),
            app.send(event).header("session-user", "\"\""),
            app.send(event).header("session-user", "two words"),
        ] {
            assert_eq!(request.await.outcome(), "400 invalid-header");
        }
    }
    for event in [LIST, REVOKE_ALL] {
        assert_eq!(app.send(event).id("short").await.outcome(), "400 invalid-session-id");
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn session_limit_ends_the_sessions_that_got_their_owner_first() {
    let app = App::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(app.send(CREATE).at(n).await.header("Session-Id").to_owned());
    }
    let other = app.send(CREATE).header("session-user", "grace").await;
    // What counts is when the user logged in, not when the session was created.
    let login = app.send(ROTATE).id(&ids[0]).header("session-user", "ada").at(5).await;
    ids[0] = login.header("Session-Id").to_owned();
    // Writes that don't name an owner don't count.
    assert_eq!(app.send(TOUCH).id(&ids[1]).at(6).await.status, 204);
    let limit = |n: &str| app.send(REVOKE_ALL).header("session-limit", n).at(6);
    assert_eq!(limit("6").await.body, br#"{"destroyed":0}"#);
    assert_eq!(limit("3").await.body, br#"{"destroyed":2}"#);
    for (n, status) in [(0, 200), (1, 404), (2, 404), (3, 200), (4, 200)] {
        assert_eq!(app.send(READ).id(&ids[n]).at(6).await.status, status, "{n}");
    }
    assert_eq!(
        limit("3").await.body,
        br#"{"destroyed":0}"#,
        "a retry must not end any more sessions"
    );
    assert_eq!(limit("1").await.body, br#"{"destroyed":2}"#);
    assert_eq!(app.send(READ).id(&ids[0]).at(6).await.status, 200);
    assert_eq!(app.send(READ).id(other.header("Session-Id")).await.status, 200);
}

#[tokio::test]
async fn session_limit_is_refused_on_other_routes_and_with_a_session_to_keep() {
    let app = App::new().await;
    let id = app.create_session().await;
    app.take_calls();
    for request in [
        app.send(ROTATE).id(&id).header("session-limit", "1"),
        app.send(LIST).header("session-limit", "1"),
        app.send(REVOKE_ALL).id(&id).header("session-limit", "1"),
    ] {
        assert_eq!(request.await.outcome(), "400 invalid-header");
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_logins_leave_as_many_sessions_as_they_limit_to() {
    let app = App::new().await.with_real_clock();
    for (logins, max) in [(2, 1), (5, 1), (5, 3), (20, 1), (20, 7)] {
        let user = format!("user-{logins}-{max}");
        let login = |app: App, user: String| async move {
            let visitor = app.send(CREATE).without("session-user").await;
            let rotate = app.send(ROTATE).id(visitor.header("Session-Id"));
            let rotated = rotate.header("session-user", &user).await;
            assert_eq!(rotated.status, 200);
            let limit = app.send(REVOKE_ALL).header("session-user", &user);
            let limit = limit.header("session-limit", &max.to_string());
            // Sent twice, as if the response had been lost.
            let (first, second) = join(limit.copy().into_future(), limit.into_future()).await;
            assert_eq!((first.status, second.status), (200, 200));
        };
        let logins = (0..logins).map(|_| tokio::spawn(login(app.clone(), user.clone())));
        for login in logins.collect::<Vec<_>>() {
            login.await.unwrap();
        }
        assert_eq!(list(&app, &user, &new_id()).await.len(), max, "{user}");
    }
}

#[tokio::test]
async fn session_limit_deletes_sessions_that_have_ended_and_does_not_count_them() {
    let app = App::with_max_lifetime(100).await;
    let mut live = Vec::new();
    for n in 0..40 {
        let ttl = if n % 2 == 0 { "10" } else { "99" };
        let created = app.send(CREATE).header("session-ttl", ttl).at(n / 20).await;
        if ttl == "99" {
            live.push(created.header("Session-Id").to_owned());
        }
    }
    let limit = app.send(REVOKE_ALL).header("session-limit", "30").at(20);
    assert_eq!(limit.await.body, br#"{"destroyed":0}"#);
    assert_eq!(app.items().await.len(), 20, "the ended sessions must be gone");
    for id in live {
        assert_eq!(app.send(READ).id(&id).at(20).await.status, 200);
    }
}

#[tokio::test]
async fn session_limit_makes_progress_even_if_its_time_runs_out() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for n in 0..300 {
        proxy.direct.send(CREATE).at(n / 100).await;
    }
    // After the query, 256 items are read. 255 of them are deleted before the next one is read.
    let mut calls = vec![Fault::Pass; 1 + 256 + 255];
    calls.push(Fault::Hang);
    proxy.inject(&calls);
    let app = proxy.app.clone().with_time_limit(Duration::from_secs(20));
    let limited = app.send(REVOKE_ALL).header("session-limit", "1").at(3);
    let limited = tokio::time::timeout(Duration::from_secs(60), limited.into_future());
    assert_eq!(limited.await.unwrap().outcome(), "503 store-unavailable");
    assert!(app.items().await.len() <= 45);
}

#[tokio::test]
async fn clocks_that_differ_by_up_to_a_second_do_not_undo_a_logout() {
    let app = App::new().await;
    for lead in [30, 1_000] {
        let id = app.create_session().await;
        let mut item = app.item(&id).await.unwrap();
        let created: u64 = item["created"]["N"].as_str().unwrap().parse().unwrap();
        for name in ["created", "owned"] {
            item[name]["N"] = (created + lead).to_string().into();
        }
        app.put_item(item.clone()).await;
        let revoke = app.send(REVOKE).handle(&handle(&id)).await;
        assert_eq!(revoke.outcome(), "503 store-unavailable", "{lead} ms");
        assert_eq!(app.send(DESTROY).id(&id).await.outcome(), "503 store-unavailable");
        assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#, "{lead} ms");
        assert_eq!(app.send(READ).id(&id).await.status, 404);
        // A limit ends it too.
        app.put_item(item).await;
        let newer = app.send(CREATE).at(2).await;
        let limit = app.send(REVOKE_ALL).header("session-limit", "1").at(1);
        assert_eq!(limit.await.body, br#"{"destroyed":1}"#, "{lead} ms");
        assert_eq!(app.send(DESTROY).id(newer.header("Session-Id")).at(2).await.status, 204);
    }
}

#[tokio::test]
async fn sessions_that_the_index_shows_late_end_too() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    let nothing = index_page(&[], None);
    for limit in [None, Some("1")] {
        for queries in [1, 3] {
            let first = app.create_session().await;
            let second = app.send(CREATE).at(1).await.header("Session-Id").to_owned();
            let request = app.send(REVOKE_ALL).at(1);
            let request = match limit {
                Some(limit) => request.header("session-limit", limit),
                None => request,
            };
            proxy.inject(&vec![nothing; queries]);
            let ended = if limit.is_some() { 1 } else { 2 };
            let expected = format!("{{\"destroyed\":{ended}}}");
            assert_eq!(request.await.body, expected.as_bytes(), "{limit:?} {queries}");
            assert_eq!(app.send(READ).id(&first).at(1).await.status, 404);
            assert_eq!(app.send(DESTROY).id(&second).at(1).await.status, 204);
        }
    }
}

#[tokio::test]
async fn owner_is_removed_by_an_empty_session_user_or_two_quotes() {
    let app = App::new().await;
    for (event, nobody) in
        [REPLACE, PATCH, TOUCH, ROTATE].into_iter().flat_map(|event| [(event, ""), (event, "\"\"")])
    {
        let id = app.create_session().await;
        let changed = app.send(event).id(&id).header("session-user", nobody).await;
        let id = if event == ROTATE { changed.header("Session-Id") } else { &id };
        let read = app.send(READ).id(id).await;
        assert!(!read.header_names().contains(&"Session-User"), "{event}");
        assert_eq!(app.send(LIST).await.body, b"[]", "{event}");
    }
}

#[tokio::test]
async fn one_unreadable_item_does_not_hide_the_others() {
    let app = App::new().await;
    let id = app.create_session().await;
    let good = app.items().await.remove(0);
    let key = |id: &str| json!({ "S": id });
    let mut foreign = good.clone();
    foreign["id"] = key("not-a-handle");
    app.put_item(foreign).await;
    for attribute in ["etag", "expires", "ttl", "type"] {
        let mut broken = good.clone();
        broken["id"] = key(&handle(&new_id()));
        broken.as_object_mut().unwrap().remove(attribute);
        app.put_item(broken).await;
    }
    let listed = list(&app, "ada", &id).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["handle"], handle(&id));
    // An item without an expiry doesn't count as a session.
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":4}"#);
    let left = app.items().await;
    assert_eq!(left.len(), 1, "all items but the foreign one must be gone: {left:?}");
}

#[tokio::test]
async fn revoke_all_keeps_the_successor_of_an_id_in_its_grace_period() {
    let app = App::new().await;
    let old = app.create_session().await;
    let rotated = app.send(ROTATE).id(&old).header("session-grace", "60").await;
    let current = rotated.header("Session-Id");
    app.create_session().await;
    let listed = list(&app, "ada", &old).await;
    let of_current = listed.iter().find(|entry| entry["handle"] == handle(current)).unwrap();
    assert_eq!(of_current["current"], true);
    assert_eq!(app.send(REVOKE_ALL).id(&old).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.send(READ).id(current).await.status, 200);
    assert_eq!(app.send(READ).id(&old).await.status, 200);
}

#[tokio::test]
async fn revoke_all_ends_an_id_in_its_grace_period_with_its_successor() {
    let app = App::new().await;
    let old = app.send(CREATE).without("session-user").await;
    let old = old.header("Session-Id");
    let rotate = app.send(ROTATE).id(old).header("session-grace", "60");
    let rotated = rotate.header("session-user", "ada").await;
    assert_eq!(app.send(READ).id(old).await.status, 200);
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    for id in [old, rotated.header("Session-Id")] {
        assert_eq!(app.send(READ).id(id).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_all_ends_a_session_that_is_being_rotated() {
    let app = App::new().await.with_real_clock();
    for _ in 0..10 {
        let mut id = app.create_session().await;
        let rotations = async {
            loop {
                let rotated = app.send(ROTATE).id(&id).await;
                if rotated.status == 404 {
                    return;
                }
                id = rotated.header("Session-Id").to_owned();
            }
        };
        // The rotations stop once the session that they rotate has been revoked.
        let (revoked, ()) = join(app.send(REVOKE_ALL).into_future(), rotations).await;
        assert_eq!(revoked.body, br#"{"destroyed":1}"#);
        assert!(app.items().await.is_empty());
    }
}
