//! Every first response gets lost, both between the app and the API and between the function and DynamoDB. Sessions
//! must end up as if nothing had been lost.

use std::time::Duration;

use fastrand::Rng;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, Example, LOCK, PATCH, READ, REPLACE, ROTATE, Request,
    Response, TOUCH, Timeouts, UNLOCK, engine, proxy,
};
use crate::variable;

/// Number of operations on each session.
const OPERATIONS_PER_SESSION: usize = 25;
/// Number of sessions in use at the same time.
const CONCURRENCY: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_up_the_same_if_every_first_response_is_lost() {
    let operations: usize = variable("OPERATIONS").unwrap_or(800);
    let table = engine::create_table().await;
    let cut_table = engine::create_table().await;
    let proxy = start_proxy().await;
    // One app per session, because refused writes use up the retries that the SDK allows each client.
    let app = |table, endpoint| App::connect(table, endpoint, Timeouts::Long).with_real_clock();
    let sessions = operations.div_ceil(OPERATIONS_PER_SESSION);
    let mut done = 0;
    let mut results = stream::iter(0..sessions)
        .map(|seed| {
            let undisturbed = app(&table, engine::endpoint());
            let cut = app(&cut_table, &proxy);
            tokio::spawn(async move {
                let expected = Script::run(undisturbed, seed, false).await;
                (expected, Script::run(cut, seed, true).await)
            })
        })
        .buffer_unordered(CONCURRENCY);
    while let Some(result) = results.next().await {
        let (expected, actual) = result.unwrap();
        assert_eq!(actual, expected);
        done += OPERATIONS_PER_SESSION;
        if done.is_multiple_of(5_000) {
            println!("{done} operations");
        }
    }
}

/// Operations on one session. The same seed always produces the same operations.
struct Script {
    app: App,
    /// Whether the client loses every first response and resends the request.
    is_cut: bool,
    random: Rng,
    id: String,
    etag: String,
    token: Option<String>,
    /// The state of the session after each operation.
    log: Vec<String>,
}

impl Script {
    async fn run(app: App, seed: usize, is_cut: bool) -> Vec<String> {
        let mut random = Rng::with_seed(seed as u64);
        let id = text(&mut random);
        let mut script =
            Self { app, is_cut, random, id, etag: String::new(), token: None, log: vec![] };
        for _ in 0..OPERATIONS_PER_SESSION {
            script.step().await;
        }
        script.log
    }

    async fn step(&mut self) {
        let key = text(&mut self.random);
        let ttl = [1_000, 5_000, 9_000][self.random.usize(0..3)].to_string();
        let number = self.random.u32(..);
        let choice = self.random.u32(0..12);
        let keyed = |request: Request| request.header("idempotency-key", &key);
        match choice {
            0 => {
                let response = self.send(self.app.send(CREATE).without("session-user")).await;
                self.id = response.header("Session-Id").to_owned();
                // The API's id is random, so rotate to one that is the same in both runs.
                let renamed = self.request(ROTATE).header("session-new-id", &key);
                self.send(renamed).await;
                self.id = key.clone();
            }
            1 => {
                self.send(keyed(self.request(CREATE_WITH_ID).without("session-user"))).await;
            }
            2 | 3 => {
                let mut request = keyed(self.request(REPLACE));
                if self.random.bool() && !self.etag.is_empty() {
                    request = request.header("if-match", &self.etag);
                }
                let request = self.unlock_sometimes(request, "session-unlock");
                self.send(request.body(json!({ "n": number }).to_string().as_bytes())).await;
            }
            4 | 5 => {
                let request = keyed(self.request(PATCH)).header("session-label", &key);
                let request = self.unlock_sometimes(request, "session-lock");
                let body = json!({ format!("k{}", number % 5): number }).to_string();
                self.send(request.body(body.as_bytes())).await;
            }
            6 => {
                let user = if self.random.bool() { "ada" } else { "" };
                let request = keyed(self.request(TOUCH)).header("session-user", user);
                self.send(request.header("session-ttl", &ttl)).await;
            }
            7 | 8 => {
                let request = self.request(ROTATE).header("session-new-id", &key);
                let request = self.unlock_sometimes(request, "session-lock");
                let response = self.send(request).await;
                if response.status == 200 {
                    self.id = key.clone();
                }
            }
            9 => {
                let request = keyed(self.request(LOCK)).header("session-lease", "60");
                let response = self.send(request.header("session-ttl", &ttl)).await;
                if response.status == 200 {
                    self.token = Some(response.header("Session-Lock").to_owned());
                }
            }
            10 => {
                if let Some(token) = self.token.take() {
                    self.send(self.request(UNLOCK).header("session-unlock", &token)).await;
                }
            }
            _ => {
                self.send(self.request(DESTROY)).await;
            }
        }
        let state = self.app.send(READ).id(&self.id).await;
        if state.status == 200 {
            self.etag = state.header("ETag").to_owned();
        }
        self.log.push(format!("{choice}: {}", describe(&state)));
    }

    fn request(&self, example: Example) -> Request {
        self.app.send(example).id(&self.id)
    }

    fn unlock_sometimes(&mut self, request: Request, header: &str) -> Request {
        match &self.token {
            Some(token) if self.random.u32(0..3) > 0 => request.header(header, token),
            _ => request,
        }
    }

    /// Sends a request. If responses are cut, the first one gets lost.
    async fn send(&self, request: Request) -> Response {
        if self.is_cut {
            request.copy().await;
        }
        request.await
    }
}

/// Random text that can be an id or a key.
fn text(random: &mut Rng) -> String {
    (0..32).map(|_| random.alphanumeric()).collect()
}

/// Describes a session, leaving out what differs between two runs.
fn describe(read: &Response) -> String {
    if read.status != 200 {
        return read.outcome();
    }
    let names = read.header_names();
    let header = |name| if names.contains(&name) { read.header(name) } else { "-" };
    // Up to ten minutes have passed, so round up. Lifetimes are much further apart.
    let left: f64 = header("Session-TTL").parse().unwrap();
    format!(
        "{} {} {} {}",
        String::from_utf8_lossy(&read.body),
        header("Session-User"),
        header("Session-Label"),
        (left / 1_000.0).ceil()
    )
}

/// Starts a proxy that forwards every call but loses the response to each first attempt.
async fn start_proxy() -> String {
    let reply = async |call: proxy::Call| {
        let reply = proxy::forward(&call).await;
        (!call.is_first).then_some(reply)
    };
    proxy::serve(reply).await.0
}

/// If the proxy didn't lose anything, the test above would prove nothing.
#[tokio::test]
async fn proxy_loses_first_responses() {
    let app = App::connect(&engine::create_table().await, &start_proxy().await, Timeouts::Long);
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    assert_eq!(app.take_calls(), ["PutItem", "GetItem", "GetItem"]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(app.send(REPLACE).await.status, 204);
    assert_eq!(app.take_calls(), ["UpdateItem", "UpdateItem"]);
}
