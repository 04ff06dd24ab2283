//! Visits pages of an axum app whose sessions are in the API at `SESSION_API_URL`.

#[path = "support/app.rs"]
mod app;
#[path = "support/browser.rs"]
mod browser;
#[path = "support/proxy.rs"]
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use browser::Browser;
use proxy::Proxy;
use serde_json::json;
use tower_sessions::session::{Id, Record};
use tower_sessions::{SessionManagerLayer, SessionStore};
use tower_sessions_session_api::{Error, Options, SessionApiStore};

/// An app behind a proxy, and a browser that visits it.
struct Visit {
    proxy: Proxy,
    store: SessionApiStore,
    app: Router,
    browser: Browser,
}

type Layer = SessionManagerLayer<SessionApiStore>;

impl Visit {
    async fn new() -> Self {
        Self::with(|options| options, |layer| layer).await
    }

    async fn with(
        options: impl FnOnce(Options) -> Options,
        layer: impl FnOnce(Layer) -> Layer,
    ) -> Self {
        let proxy = Proxy::start().await;
        let store = SessionApiStore::new(options(Options::new(&proxy.url).unwrap())).unwrap();
        let app = app::app(&store, layer);
        let browser = Browser::new(&app);
        Self { proxy, store, app, browser }
    }

    /// Visits a page and returns the calls that it made.
    async fn calls(&mut self, steps: serde_json::Value) -> Vec<String> {
        self.proxy.take_calls();
        let page = self.browser.visit(steps).await;
        assert_eq!(page.status, 200, "{}", page.error);
        self.proxy.take_calls()
    }

    /// A browser with the same session.
    fn other_tab(&self) -> Browser {
        let mut browser = Browser::new(&self.app);
        browser.cookie.clone_from(&self.browser.cookie);
        browser
    }
}

/// Waits until this many pages are in their step `hold`.
async fn held(pages: u32) {
    let hold = app::HOLD.with(Arc::clone);
    let inside = tokio::time::timeout(seconds(60), hold.inside.acquire_many(pages)).await;
    inside.expect("no page reached its step `hold`").unwrap().forget();
}

/// Runs `act` while this many pages are in their step `hold`, then lets them go on.
async fn during<T>(pages: u32, act: impl Future<Output = T>) -> T {
    held(pages).await;
    let acted = act.await;
    app::HOLD.with(|hold| hold.go.add_permits(pages as usize));
    acted
}

/// Visits a page, and disconnects once it's in its step `hold`.
async fn leave(browser: &mut Browser, steps: serde_json::Value) {
    tokio::select! {
        page = browser.visit(steps) => panic!("{page:?}"),
        () = held(1) => {}
    }
}

/// Options with a lock for which requests wait this many seconds.
fn locking(wait: u64) -> impl FnOnce(Options) -> Options {
    move |options| options.with_lock(seconds(wait)).unwrap()
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

mod calls {
    use super::*;

    #[tokio::test]
    async fn each_kind_of_page_makes_few_calls() {
        let mut visit = Visit::new().await;
        assert!(visit.calls(json!([])).await.is_empty());
        assert_eq!(visit.calls(json!([["set", "a", 1]])).await, ["PUT /session"]);
        assert_eq!(visit.calls(json!([])).await, ["GET /session"]);
        assert_eq!(visit.calls(json!([["set", "a", 1]])).await, ["GET /session"]);
        assert_eq!(visit.calls(json!([["set", "a", 2]])).await, ["GET /session", "PUT /session"]);
        let rotation = ["GET /session", "POST /session/rotate"];
        assert_eq!(visit.calls(json!([["regenerate"]])).await, rotation);
        assert_eq!(visit.calls(json!([["destroy"]])).await, ["DELETE /session"]);
        assert!(visit.calls(json!([])).await.is_empty());
    }

    #[tokio::test]
    async fn a_page_that_takes_the_lock_makes_two_calls() {
        let mut visit = Visit::with(locking(5), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        assert_eq!(
            visit.calls(json!([["set", "a", 2]])).await,
            ["POST /session/lock", "PUT /session"]
        );
        assert_eq!(visit.calls(json!([])).await, ["POST /session/lock", "DELETE /session/lock"]);
        assert_eq!(
            visit.calls(json!([["regenerate"]])).await,
            ["POST /session/lock", "POST /session/rotate"]
        );
        assert_eq!(
            visit.calls(json!([["load"], ["destroy"], ["set", "b", 1]])).await,
            ["POST /session/lock", "POST /session/rotate"]
        );
        assert_eq!(
            visit.calls(json!([["load"], ["destroy"]])).await,
            ["POST /session/lock", "DELETE /session"]
        );
    }

    #[tokio::test]
    async fn an_unchanged_session_is_touched_after_a_twentieth_of_its_lifetime() {
        let always = |layer: Layer| {
            let expiry = tower_sessions::Expiry::OnInactivity(time::Duration::hours(1));
            layer.with_always_save(true).with_expiry(expiry)
        };
        let mut visit = Visit::with(|options| options, always).await;
        let touched = ["GET /session", "POST /session/touch"];
        visit.calls(json!([["set", "a", 1]])).await;
        // As if it had been idle for two minutes, and then for three.
        assert_eq!(visit.calls(json!([["expire", 3_480]])).await, touched);
        assert_eq!(visit.calls(json!([])).await, ["GET /session"]);
        assert_eq!(visit.calls(json!([["expire", 3_420]])).await, touched);
        assert_eq!(visit.calls(json!([])).await, touched);
        assert_eq!(visit.calls(json!([])).await, ["GET /session"]);
    }

    #[tokio::test]
    async fn a_session_can_be_told_to_end_earlier() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        assert_eq!(
            visit.calls(json!([["expire", 1]])).await,
            ["GET /session", "POST /session/touch"]
        );
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({}));
    }

    #[tokio::test]
    async fn the_expiry_does_not_slide_on_each_page_if_the_api_cuts_the_lifetime() {
        let years = |layer: Layer| {
            let expiry = tower_sessions::Expiry::OnInactivity(time::Duration::days(3650));
            layer.with_always_save(true).with_expiry(expiry)
        };
        let mut visit = Visit::with(|options| options, years).await;
        visit.calls(json!([["set", "a", 1]])).await;
        assert_eq!(visit.calls(json!([])).await, ["GET /session"]);
        // Another server doesn't know about the cut, and asks once.
        let other = SessionApiStore::new(Options::new(&visit.proxy.url).unwrap()).unwrap();
        let cookie = visit.browser.cookie.clone();
        visit.browser = Browser::new(&app::app(&other, years));
        visit.browser.cookie = cookie;
        assert_eq!(visit.calls(json!([])).await, ["GET /session", "POST /session/touch"]);
        assert_eq!(visit.calls(json!([])).await, ["GET /session"]);
    }

    #[tokio::test]
    async fn a_lifetime_of_0_ends_the_session() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut tab = visit.other_tab();
        visit.calls(json!([["expire", 0]])).await;
        assert_eq!(tab.visit(json!([])).await.session, json!({}));
    }
}

mod guarantees {
    use super::*;

    #[tokio::test]
    async fn parallel_requests_lose_nothing() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1], ["set", "gone", 1]])).await;
        let mut tab = visit.other_tab();
        let (slow, fast) = tokio::join!(
            visit.browser.visit(json!([["unset", "gone"], ["hold"], ["set", "b", 1]])),
            during(1, tab.visit(json!([["set", "a", 2], ["set", "c", 1]]))),
        );
        assert_eq!((slow.status, fast.status), (200, 200));
        assert_eq!(tab.visit(json!([])).await.session, json!({ "a": 2, "b": 1, "c": 1 }));
    }

    #[tokio::test]
    async fn thirty_parallel_requests_lose_nothing() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let id = visit.browser.id();
        let mut tabs = tokio::task::JoinSet::new();
        for n in 0..30 {
            let mut tab = visit.other_tab();
            tabs.spawn(async move {
                let page = tab.visit(json!([["set", format!("key {n}"), n], ["save"]])).await;
                assert_eq!(page.status, 200, "{}", page.error);
            });
        }
        tabs.join_all().await;
        assert_eq!(visit.store.load(&id).await.unwrap().unwrap().data.len(), 31);
    }

    #[tokio::test]
    async fn a_page_that_saves_twice_removes_what_it_has_added() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let calls = visit.calls(json!([["set", "b", 1], ["save"], ["unset", "b"]])).await;
        assert_eq!(calls, ["GET /session", "PUT /session", "PUT /session"]);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 1 }));
    }

    #[tokio::test]
    async fn changes_of_others_between_two_saves_are_kept() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut tab = visit.other_tab();
        let steps = json!([["set", "b", 1], ["hold"], ["save"], ["hold"], ["unset", "b"]]);
        tokio::join!(visit.browser.visit(steps), async {
            during(1, tab.visit(json!([["set", "c", 1]]))).await;
            during(1, tab.visit(json!([["set", "n", 1]]))).await;
        });
        assert_eq!(tab.visit(json!([])).await.session, json!({ "a": 1, "c": 1, "n": 1 }));
    }

    #[tokio::test]
    async fn a_slow_request_does_not_undo_a_logout() {
        for last in [json!(["set", "a", 2]), json!(["regenerate"])] {
            let mut visit = Visit::new().await;
            visit.calls(json!([["set", "a", 1]])).await;
            let mut tab = visit.other_tab();
            let mut later = visit.other_tab();
            let steps = json!([["set", "b", 1], ["hold"], last]);
            let logout = during(1, tab.visit(json!([["destroy"]])));
            let (slow, logout) = tokio::join!(visit.browser.visit(steps), logout);
            assert_eq!((slow.status, logout.status), (200, 200));
            assert_eq!(later.visit(json!([])).await.session, json!({}));
            assert_eq!(visit.browser.visit(json!([])).await.session, json!({}));
        }
    }

    #[tokio::test]
    async fn a_slow_request_does_not_undo_a_login_in_another_tab() {
        // What the slow page does after the login: writes, moves, slides the expiry, or just looks again.
        for last in
            [json!(["set", "a", 2]), json!(["regenerate"]), json!(["set", "a", 1]), json!(["load"])]
        {
            let always = |layer: Layer| layer.with_always_save(true);
            let mut visit = Visit::with(|o| o.with_touch_after(seconds(0)), always).await;
            visit.calls(json!([["set", "a", 1]])).await;
            let mut tab = visit.other_tab();
            let steps = json!([["set", "a", 1], ["hold"], last]);
            let login = during(1, tab.visit(json!([["regenerate"], ["set", "n", 1]])));
            let (slow, login) = tokio::join!(visit.browser.visit(steps), login);
            assert_eq!((slow.status, login.status), (200, 200), "{last}: {}", slow.error);
            assert_eq!(slow.set_cookie, None, "{last}");
            assert_eq!(tab.visit(json!([])).await.session, json!({ "a": 1, "n": 1 }), "{last}");
        }
    }

    #[tokio::test]
    async fn a_session_that_cannot_move_to_a_new_id_stays() {
        let mut visit = Visit::with(locking(0), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        let large = "x".repeat(1_100_000);
        let page = visit.browser.visit(json!([["regenerate"], ["set", "large", large]])).await;
        assert_eq!(page.status, 500);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 1 }));
    }

    #[tokio::test]
    async fn a_double_login_leaves_the_browser_with_a_session() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let steps = json!([["load"], ["hold"], ["regenerate"], ["set", "n", 1]]);
        let mut tab = visit.other_tab();
        let both = during(2, async {});
        let pages = tokio::join!(visit.browser.visit(steps.clone()), tab.visit(steps), both);
        assert_eq!((pages.0.status, pages.1.status), (200, 200));
        let cookies: Vec<String> =
            [pages.0.set_cookie, pages.1.set_cookie].into_iter().flatten().collect();
        assert!(!cookies.is_empty());
        for cookie in cookies {
            visit.browser.cookie = Some(cookie);
            let page = visit.browser.visit(json!([])).await;
            assert_eq!(page.session, json!({ "a": 1, "n": 1 }));
        }
    }

    #[tokio::test]
    async fn changes_of_others_move_to_the_new_id() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut tab = visit.other_tab();
        let mut old = visit.other_tab();
        tokio::join!(
            visit.browser.visit(json!([["regenerate"], ["hold"], ["set", "n", 1]])),
            during(1, tab.visit(json!([["set", "b", 1]]))),
        );
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 1, "b": 1, "n": 1 }));
        assert_eq!(old.visit(json!([])).await.session, json!({}));
    }

    #[tokio::test]
    async fn a_login_of_a_new_visitor_is_stored() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["regenerate"], ["set", "a", 1], ["regenerate"]])).await;
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 1 }));
    }

    #[tokio::test]
    async fn a_session_after_a_logout_has_another_id_and_no_old_data() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut old = visit.other_tab();
        let calls = visit.calls(json!([["destroy"], ["set", "b", 1]])).await;
        assert_eq!(calls, ["POST /session/rotate"]);
        assert_ne!(visit.browser.cookie, old.cookie);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "b": 1 }));
        assert_eq!(old.visit(json!([])).await.session, json!({}));
        // The same goes if the page then changes the id again.
        let mut old = visit.other_tab();
        visit.calls(json!([["destroy"], ["regenerate"], ["set", "c", 1]])).await;
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "c": 1 }));
        assert_eq!(old.visit(json!([])).await.session, json!({}));
    }

    #[tokio::test]
    async fn a_logout_counts_even_if_the_page_fails_afterwards() {
        for steps in
            [json!([["destroy"], ["fail"]]), json!([["destroy"], ["set", "b", 1], ["fail"]])]
        {
            let mut visit = Visit::new().await;
            visit.calls(json!([["set", "a", 1]])).await;
            let mut old = visit.other_tab();
            assert_eq!(visit.browser.visit(steps).await.status, 503);
            let page = old.visit(json!([])).await;
            assert_eq!(page.session, json!({}));
            assert_eq!(
                page.set_cookie.as_deref(),
                Some(""),
                "a cookie without a session is deleted"
            );
        }
    }

    #[tokio::test]
    async fn a_cleared_session_is_empty_but_still_there() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        assert_eq!(visit.calls(json!([["clear"]])).await, ["PUT /session"]);
        assert_eq!(visit.calls(json!([["set", "a", 2]])).await, ["GET /session", "PUT /session"]);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 2 }));
    }

    #[tokio::test]
    async fn a_session_that_is_deleted_is_not_written_by_the_same_page() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let calls = visit.calls(json!([["set", "a", 2], ["delete"]])).await;
        assert_eq!(calls, ["GET /session", "DELETE /session"]);
    }

    #[tokio::test]
    async fn an_outage_is_an_error() {
        let mut visit = Visit::with(|options| options.with_retries(0), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        visit.proxy.set_down(true);
        let page = visit.browser.visit(json!([])).await;
        assert_eq!(page.status, 503);
        assert!(page.error.contains("The session API at 127.0.0.1 cannot be reached"), "{page:?}");
        // A logout that did not happen must not look like one.
        let cookie = visit.browser.cookie.clone();
        assert_eq!(visit.browser.visit(json!([["destroy"]])).await.status, 503);
        assert_eq!(visit.browser.cookie, cookie);
        let mut newcomer = Browser::new(&visit.app);
        assert_eq!(newcomer.visit(json!([["set", "a", 1]])).await.status, 500);
        visit.proxy.set_down(false);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 1 }));
    }

    #[tokio::test]
    async fn a_request_whose_client_disconnects_still_ends_its_session() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut tab = visit.other_tab();
        leave(&mut visit.browser, json!([["destroy"], ["hold"]])).await;
        // It ends in a separate task.
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if tab.visit(json!([])).await.session == json!({}) {
                return;
            }
        }
        panic!("the session is still there");
    }

    #[tokio::test]
    async fn a_request_whose_client_disconnects_releases_the_lock() {
        let mut visit = Visit::with(locking(5), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let mut tab = visit.other_tab();
        leave(&mut visit.browser, json!([["increment", "n"], ["hold"]])).await;
        assert_eq!(tab.visit(json!([["increment", "n"]])).await.session, json!({ "n": 2 }));
    }

    #[tokio::test]
    async fn a_request_that_panics_releases_the_lock() {
        let mut visit = Visit::with(locking(5), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let mut tab = visit.other_tab();
        let page = tokio::spawn(async move { tab.visit(json!([["load"], ["panic"]])).await });
        assert!(page.await.is_err());
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "n": 1 }));
    }

    #[tokio::test]
    async fn a_request_whose_client_disconnects_while_it_waits_leaves_no_lock() {
        let mut visit = Visit::with(locking(5), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let (mut gone, mut later) = (visit.other_tab(), visit.other_tab());
        let (holder, ()) = tokio::join!(
            visit.browser.visit(json!([["increment", "n"], ["hold"]])),
            during(1, async {
                let visit = gone.visit(json!([["increment", "n"]]));
                assert!(tokio::time::timeout(Duration::from_millis(500), visit).await.is_err());
            }),
        );
        // The request whose client has gone gets the lock.
        tokio::time::sleep(seconds(1)).await;
        let last = later.visit(json!([["increment", "n"]])).await;
        assert_eq!((holder.status, last.status), (200, 200), "{}", last.error);
        assert_eq!(last.session, json!({ "n": 3 }));
    }

    #[tokio::test]
    async fn a_lock_is_released_when_a_logout_fails() {
        let options = |options: Options| locking(0)(options).with_retries(0);
        let mut visit = Visit::with(options, |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let mut tab = visit.other_tab();
        visit.proxy.refuse(&["DELETE /session"]);
        assert_eq!(visit.browser.visit(json!([["load"], ["destroy"]])).await.status, 503);
        assert_eq!(tab.visit(json!([])).await.session, json!({ "n": 1 }));
    }

    #[tokio::test]
    async fn the_lock_is_released_if_the_data_is_not_an_object() {
        let mut visit = Visit::with(locking(0), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        let id = visit.browser.cookie.clone().unwrap();
        assert_eq!(replace_data(&visit.proxy.url, &id, "[1]").await, 204);
        visit.proxy.take_calls();
        assert_eq!(visit.browser.visit(json!([])).await.status, 503);
        assert_eq!(visit.proxy.take_calls(), ["POST /session/lock", "DELETE /session/lock"]);
    }

    #[tokio::test]
    async fn a_lock_expires_after_its_lease() {
        let mut visit = Visit::with(locking(5), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        visit.calls(json!([])).await;
        assert_eq!(visit.proxy.last_header("session-lease").as_deref(), Some("10"));
        let leases =
            |lease: u64| move |o: Options| locking(5)(o).with_lease(seconds(lease)).unwrap();
        let mut visit = Visit::with(leases(1), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let mut tab = visit.other_tab();
        let holder = visit.browser.visit(json!([["load"], ["hold"]]));
        let waiting = during(1, tab.visit(json!([["increment", "n"]])));
        tokio::select! {
            _ = holder => unreachable!("the lock's holder is on hold"),
            page = waiting => assert_eq!(page.session, json!({ "n": 2 })),
        }
    }

    #[tokio::test]
    async fn one_request_at_a_time_can_use_a_locked_session() {
        let mut visit = Visit::with(locking(0), |layer| layer).await;
        visit.calls(json!([["set", "n", 1]])).await;
        let mut tab = visit.other_tab();
        let (holder, refused) = tokio::join!(
            visit.browser.visit(json!([
                ["increment", "n"],
                ["load"],
                ["hold"],
                ["increment", "n"]
            ])),
            during(1, tab.visit(json!([["increment", "n"]]))),
        );
        assert_eq!((holder.status, refused.status), (200, 503));
        assert!(refused.error.contains("Another request held the session's lock for 0 s"));
        assert_eq!(tab.visit(json!([])).await.session, json!({ "n": 2 }));
    }

    #[tokio::test]
    async fn every_call_is_retried_after_a_lost_response() {
        let user = format!("retried {}", Id::default());
        let owner = user.clone();
        let options = |options: Options| {
            options.with_user(move |_| Some(owner.clone())).with_touch_after(seconds(0))
        };
        let mut visit = Visit::with(options, |layer| layer.with_always_save(true)).await;
        let put = ["PUT /session", "PUT /session"];
        visit.proxy.lose(&["PUT"]);
        assert_eq!(visit.calls(json!([["set", "a", 1]])).await, put);
        visit.proxy.lose(&["GET", "PUT"]);
        assert_eq!(visit.calls(json!([["set", "a", 2]])).await.len(), 4);
        visit.proxy.lose(&["GET", "POST /session/touch"]);
        assert_eq!(visit.calls(json!([])).await.len(), 4);
        visit.proxy.lose(&["POST /session/rotate"]);
        assert_eq!(visit.calls(json!([["regenerate"]])).await.len(), 3);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 2 }));
        visit.proxy.lose(&["GET /sessions"]);
        let devices = visit.store.devices(&user, None).await.unwrap();
        assert_eq!((devices.len(), devices[0].current), (1, false));
        visit.proxy.lose(&["DELETE /sessions/"]);
        assert!(visit.store.logout_device(&user, &devices[0].handle).await.unwrap());
        assert!(!visit.store.logout_device(&user, &devices[0].handle).await.unwrap());
        visit.proxy.lose(&["DELETE /sessions"]);
        assert_eq!(visit.store.logout_everywhere(&user).await.unwrap(), 0);
        visit.calls(json!([["set", "a", 3]])).await;
        let mut old = visit.other_tab();
        visit.proxy.lose(&["POST /session/rotate"]);
        let steps = json!([["destroy"], ["set", "a", 4]]);
        assert_eq!(visit.calls(steps).await, ["POST /session/rotate", "POST /session/rotate"]);
        assert_eq!(visit.browser.visit(json!([])).await.session, json!({ "a": 4 }));
        assert_eq!(old.visit(json!([])).await.session, json!({}));
        let mut old = visit.other_tab();
        visit.proxy.lose(&["DELETE /session"]);
        assert_eq!(visit.calls(json!([["destroy"]])).await.len(), 2);
        assert_eq!(old.visit(json!([])).await.session, json!({}));
    }

    #[tokio::test]
    async fn dead_connections_are_not_an_outage() {
        for (is_silent, retries) in [(false, 0), (true, 1)] {
            let options = |options: Options| options.with_retries(retries).with_timeout(seconds(3));
            let mut visit = Visit::with(options, |layer| layer).await;
            visit.calls(json!([["set", "a", 1]])).await;
            let mut tabs = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let mut tab = visit.other_tab();
                tabs.spawn(async move { tab.visit(json!([])).await });
            }
            tabs.join_all().await;
            visit.proxy.forget_connections(is_silent);
            let page = visit.browser.visit(json!([["set", "a", 2]])).await;
            assert_eq!(page.status, 200, "{}", page.error);
        }
    }

    #[tokio::test]
    async fn a_busy_api_is_called_again_when_it_says_so() {
        let mut visit = Visit::with(|options| options.with_retries(1), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        visit.proxy.be_busy(Duration::from_millis(800));
        assert_eq!(visit.calls(json!([])).await, ["GET /session", "GET /session"]);
    }

    #[tokio::test]
    async fn values_from_other_frameworks_stay_as_they_are() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let (url, id) = (visit.proxy.url.clone(), visit.browser.cookie.clone().unwrap());
        let text = r#"{"text":"half \ud83d","nested":[1180591620717411303424,1.10,NaN]}"#;
        assert_eq!(replace_data(&url, &id, text).await, 204);
        let page = visit.browser.visit(json!([["set", "b", 2]])).await;
        assert_eq!(page.status, 200, "{}", page.error);
        // The same goes for two writes in one request.
        visit.calls(json!([["set", "b", 3], ["save"], ["set", "b", 4]])).await;
        let stored = read_data(&url, &id).await;
        for member in [r#""text":"half \ud83d""#, r#""nested":[1180591620717411303424,1.10,NaN]"#] {
            assert!(stored.contains(member), "{stored}");
        }
        assert!(stored.contains(r#""b":4"#), "{stored}");
    }

    #[tokio::test]
    async fn data_that_is_not_an_object_is_an_error_and_stays() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let id = visit.browser.cookie.clone().unwrap();
        let put = replace_data(&visit.proxy.url, &id, "[1]").await;
        assert_eq!(put, 204);
        let page = visit.browser.visit(json!([["set", "a", 2]])).await;
        assert_eq!(page.status, 503);
        assert!(page.error.contains("The session is not a JSON object"), "{page:?}");
    }
}

/// Replaces a session's data directly, like another program. Returns the status.
async fn replace_data(url: &str, id: &str, data: &'static str) -> u16 {
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let client =
        Client::builder(TokioExecutor::new()).build_http::<http_body_util::Full<bytes::Bytes>>();
    let request = http::Request::put(format!("{url}/session"))
        .header("session-id", id)
        .header("content-type", "application/json")
        .body(data.into())
        .unwrap();
    client.request(request).await.unwrap().status().as_u16()
}

/// Reads a session's data directly, like another program.
async fn read_data(url: &str, id: &str) -> String {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let client =
        Client::builder(TokioExecutor::new()).build_http::<http_body_util::Full<bytes::Bytes>>();
    let request = http::Request::get(format!("{url}/session")).header("session-id", id);
    let response = client.request(request.body(bytes::Bytes::new().into()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

mod users {
    use super::*;

    /// Options with the owner in `text`, and a maximum number of sessions.
    fn limited(number: u32) -> impl FnOnce(Options) -> Options {
        move |options| owned(options).with_max_sessions(number).unwrap()
    }

    fn owned(options: Options) -> Options {
        options.with_retries(0).with_user(|data| Some(data.get("text")?.as_str()?.to_owned()))
    }

    #[tokio::test]
    async fn a_login_ends_the_oldest_sessions_above_the_limit() {
        let user = format!("many {}", Id::default());
        let mut visit = Visit::with(limited(2), |layer| layer).await;
        let login = json!([["regenerate"], ["set", "text", user]]);
        let mut devices = vec![];
        for _ in 0..3 {
            let mut device = Browser::new(&visit.app);
            device.visit(json!([["set", "a", 1]])).await;
            device.visit(login.clone()).await;
            devices.push(device);
        }
        let sessions = visit.store.devices(&user, None).await.unwrap();
        assert_eq!(sessions.len(), 2);
        assert_eq!(devices[0].visit(json!([])).await.session, json!({}));
        // Only logins end sessions: also a new visitor's, one that changes nothing else, and one after a logout.
        visit.browser = devices.pop().unwrap();
        assert_eq!(visit.calls(json!([["set", "a", 2]])).await, ["GET /session", "PUT /session"]);
        visit.calls(json!([["destroy"]])).await;
        let calls = visit.calls(json!([["set", "text", user]])).await;
        assert_eq!(calls, ["PUT /session", "DELETE /sessions"]);
        visit.calls(json!([["set", "text", ""]])).await;
        let calls = visit.calls(json!([["set", "text", user]])).await;
        assert_eq!(calls, ["GET /session", "PUT /session", "DELETE /sessions"]);
        let calls = visit.calls(json!([["destroy"], ["set", "text", user]])).await;
        assert_eq!(calls, ["POST /session/rotate", "DELETE /sessions"]);
    }

    #[tokio::test]
    async fn a_failure_to_limit_sessions_is_an_error_but_the_user_is_logged_in() {
        let user = format!("failed {}", Id::default());
        let mut visit = Visit::with(limited(2), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        visit.proxy.refuse(&["DELETE /sessions"]);
        let page = visit.browser.visit(json!([["regenerate"], ["set", "text", user]])).await;
        assert_eq!(page.status, 503);
        let session = visit.browser.visit(json!([])).await.session;
        assert_eq!(session, json!({ "a": 1, "text": user }));
    }

    #[tokio::test]
    async fn a_double_login_of_two_users_logs_both_in() {
        let mut visit = Visit::with(owned, |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        let mut tab = visit.other_tab();
        let steps = |user| json!([["load"], ["hold"], ["regenerate"], ["set", "text", user]]);
        let both = during(2, async {});
        tokio::join!(visit.browser.visit(steps("ada")), tab.visit(steps("bob")), both);
        for (browser, user) in [(&mut visit.browser, "ada"), (&mut tab, "bob")] {
            let session = browser.visit(json!([])).await.session;
            assert_eq!(session, json!({ "a": 1, "text": user }));
        }
    }

    #[tokio::test]
    async fn an_owner_is_removed_by_a_value_that_gateways_do_not_drop() {
        let mut visit = Visit::with(owned, |layer| layer).await;
        visit.calls(json!([["set", "text", "ada"]])).await;
        visit.calls(json!([["set", "text", ""]])).await;
        assert_eq!(visit.proxy.last_header("session-user").as_deref(), Some("\"\""));
        // The API has removed the owner, so there's nothing to write.
        assert_eq!(visit.calls(json!([["set", "text", ""]])).await, ["GET /session"]);
    }

    #[tokio::test]
    async fn a_user_lists_and_ends_devices() {
        let user = format!("ådå {}", Id::default());
        let owner = user.clone();
        let of_data = move |data: &tower_sessions_session_api::Data| {
            Some(if data.contains_key("a") { owner.clone() } else { String::new() })
        };
        let mut visit = Visit::with(|options| options.with_user(of_data), |layer| layer).await;
        let mut phone = Browser::new(&visit.app);
        phone.agent = "Phone";
        phone.visit(json!([["set", "a", 1]])).await;
        visit.calls(json!([["set", "a", 1]])).await;
        let current = visit.browser.id();
        let devices = visit.store.devices(&user, Some(&current)).await.unwrap();
        let labels: Vec<_> =
            devices.iter().map(|device| device.label.as_deref().unwrap()).collect();
        assert_eq!(labels, ["Firefox", "Phone"]);
        assert_eq!(devices.iter().map(|device| device.current).collect::<Vec<_>>(), [true, false]);
        assert_eq!(visit.store.logout_other_devices(&user, &current).await.unwrap(), 1);
        assert_eq!(phone.visit(json!([])).await.session, json!({}));
        // A logout can keep the session.
        visit.calls(json!([["unset", "a"]])).await;
        assert!(visit.store.devices(&user, None).await.unwrap().is_empty());
        assert_eq!(visit.calls(json!([["unset", "a"]])).await, ["GET /session"]);
    }

    #[tokio::test]
    async fn a_session_after_a_logout_belongs_to_nobody() {
        let user = format!("ada {}", Id::default());
        let owner = user.clone();
        let of_data = move |data: &tower_sessions_session_api::Data| {
            data.contains_key("a").then(|| owner.clone())
        };
        let mut visit = Visit::with(|options| options.with_user(of_data), |layer| layer).await;
        visit.calls(json!([["set", "a", 1]])).await;
        assert_eq!(visit.store.devices(&user, None).await.unwrap().len(), 1);
        visit.calls(json!([["load"], ["destroy"], ["set", "b", 1]])).await;
        assert!(visit.store.devices(&user, None).await.unwrap().is_empty());
    }
}

mod without_the_layer {
    use super::*;

    #[tokio::test]
    async fn a_save_says_what_is_missing() {
        let mut visit = Visit::new().await;
        visit.calls(json!([["set", "a", 1]])).await;
        let page = visit.browser.visit(json!([["set", "a", 2], ["spawn"]])).await;
        assert!(page.error.contains(".layer(store.layer())"), "{page:?}");
    }

    #[tokio::test]
    async fn a_program_can_create_read_and_delete() {
        let store = Visit::new().await.store;
        let expiry_date = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
        let data = [("a".to_owned(), json!(1))].into();
        let mut record = Record { id: Id::default(), data, expiry_date };
        store.create(&mut record).await.unwrap();
        let first = record.id;
        store.create(&mut record).await.unwrap();
        assert_ne!(record.id, first, "a live session keeps its id to itself");
        let loaded = store.load(&first).await.unwrap().unwrap();
        assert_eq!(loaded.data, record.data);
        assert!((loaded.expiry_date - expiry_date).abs() < time::Duration::minutes(1));
        store.delete(&first).await.unwrap();
        assert!(store.load(&first).await.unwrap().is_none());
    }
}

mod options {
    use super::*;

    #[test]
    fn a_url_is_required() {
        for url in [
            "",
            "abc",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?b=1",
            "https://a#b",
            "/a",
        ] {
            let Err(Error::InvalidOption(text)) = Options::new(url) else { panic!("{url}") };
            assert!(text.starts_with("Set SESSION_API_URL"));
        }
        for url in ["http://localhost:9000", "https://abc.example/stage/"] {
            assert!(Options::new(url).is_ok());
        }
    }

    #[test]
    fn the_wait_and_the_lease_are_whole_seconds() {
        let options = || Options::new("http://localhost:9000").unwrap();
        let time = Duration::from_millis(1_500);
        assert!(matches!(options().with_lock(time), Err(Error::InvalidOption(_))));
        assert!(matches!(options().with_lease(time), Err(Error::InvalidOption(_))));
    }

    #[test]
    fn an_empty_access_key_id_counts_as_unset() {
        let test = "without_the_layer::a_program_can_create_read_and_delete";
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        let output = program.args(["--exact", test]).env("AWS_ACCESS_KEY_ID", "").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    #[test]
    fn debug_output_shows_no_secrets() {
        let store = SessionApiStore::new(Options::new("http://localhost:9000").unwrap()).unwrap();
        assert_eq!(format!("{store:?}"), "SessionApiStore { url: http://localhost:9000/ }");
    }
}
