//! A proxy in front of the API that counts calls, loses responses, refuses calls and forgets connections.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// A proxy. It lives as long as the runtime of its test.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    /// Calls whose next response is lost, such as `PUT /session`.
    lost: Vec<String>,
    /// Calls that get status 500, such as `PUT /session`.
    refused: Vec<String>,
    is_down: bool,
    /// How long the API claims to be too busy, from the next call on.
    busy: Option<Duration>,
    busy_until: Option<Instant>,
    /// Number of connections so far.
    connections: usize,
    /// How many of the first connections are dead, and whether those stay silent.
    dead: (usize, bool),
    /// Headers of the calls: the last value of each.
    headers: http::HeaderMap,
}

impl Proxy {
    /// Starts a proxy in front of the API at `SESSION_API_URL`.
    pub(crate) async fn start() -> Self {
        let api = std::env::var("SESSION_API_URL")
            .expect("SESSION_API_URL is not set: run tests/clients rust, or tests/with-api clients/rust/test");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { url, state: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (proxy, api, client) = (accepting.clone(), api.clone(), client.clone());
                let number = proxy.state().connections;
                proxy.state().connections += 1;
                let service = service_fn(move |request| {
                    proxy.clone().serve(number, api.clone(), client.clone(), request)
                });
                // If the proxy cuts a connection, that's not an error.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        proxy
    }

    /// Serves a request on a connection.
    async fn serve(
        self,
        connection: usize,
        api: String,
        client: Client<HttpConnector, Full<Bytes>>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let (dead, is_silent) = self.state().dead;
        if connection < dead {
            if is_silent {
                std::future::pending::<()>().await;
            }
            return Err(io::Error::other("dead"));
        }
        self.forward(api, client, request).await
    }

    async fn forward(
        self,
        api: String,
        client: Client<HttpConnector, Full<Bytes>>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let (is_lost, is_busy, is_refused) = {
            let mut state = self.state();
            state.calls.push(call.clone());
            state.headers.extend(request.headers().clone());
            let lost = state.lost.iter().position(|lost| call.starts_with(lost.as_str()));
            let is_lost = lost.map(|index| state.lost.remove(index)).is_some();
            if let Some(time) = state.busy.take() {
                state.busy_until = Some(Instant::now() + time);
            }
            let is_busy = state.busy_until.is_some_and(|until| Instant::now() < until);
            (is_lost, is_busy, state.refused.contains(&call))
        };
        if self.state().is_down {
            return Err(io::Error::other("down"));
        }
        if is_busy || is_refused {
            let status = if is_busy { 503 } else { 500 };
            let response = Response::builder().status(status).header("retry-after", "1");
            return Ok(response.body(Full::default()).unwrap());
        }
        let (mut parts, body) = request.into_parts();
        parts.uri = format!("{api}{}", parts.uri).parse::<Uri>().unwrap();
        parts.headers.remove("host");
        let body = body.collect().await.unwrap().to_bytes();
        let response = client.request(Request::from_parts(parts, Full::new(body))).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if is_lost {
            Err(io::Error::other("lost"))
        } else {
            Ok(Response::from_parts(parts, Full::new(body)))
        }
    }

    /// Returns the calls since they were last taken.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// Loses the response to the next call that begins with each of these texts.
    pub(crate) fn lose(&self, calls: &[&str]) {
        self.state().lost = calls.iter().map(|call| (*call).into()).collect();
    }

    /// Refuses these calls from now on.
    pub(crate) fn refuse(&self, calls: &[&str]) {
        self.state().refused = calls.iter().map(|call| (*call).into()).collect();
    }

    /// Claims that the API is too busy for this long, from the next call on.
    pub(crate) fn be_busy(&self, time: Duration) {
        self.state().busy = Some(time);
    }

    /// Forgets the existing connections. A later request on one of them is cut off, or never answered.
    pub(crate) fn forget_connections(&self, is_silent: bool) {
        let mut state = self.state();
        state.dead = (state.connections, is_silent);
    }

    /// Returns a header from the last call that had it.
    pub(crate) fn last_header(&self, name: &str) -> Option<String> {
        self.state().headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    /// Starts or stops cutting off all calls.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
