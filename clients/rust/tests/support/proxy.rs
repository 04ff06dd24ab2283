//! A proxy in front of the API that counts calls, loses responses and refuses connections.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

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
    /// Calls whose next response is lost, as in `PUT /session`.
    lost: Vec<String>,
    is_down: bool,
}

impl Proxy {
    /// Starts a proxy in front of the API at `SESSION_API_URL`.
    pub(crate) async fn start() -> Self {
        let api = std::env::var("SESSION_API_URL")
            .expect("SESSION_API_URL is not set: run clients/test rust, or clients/with-api clients/rust/test");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { url, state: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (proxy, api, client) = (accepting.clone(), api.clone(), client.clone());
                let service = service_fn(move |request| {
                    proxy.clone().forward(api.clone(), client.clone(), request)
                });
                // A connection that the proxy cuts is no failure.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        proxy
    }

    async fn forward(
        self,
        api: String,
        client: Client<HttpConnector, Full<Bytes>>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let is_lost = {
            let mut state = self.state();
            state.calls.push(call.clone());
            let lost = state.lost.iter().position(|lost| call.starts_with(lost.as_str()));
            lost.map(|index| state.lost.remove(index)).is_some()
        };
        if self.state().is_down {
            return Err(io::Error::other("down"));
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

    /// Returns the calls since it was last asked.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    /// Loses the next response to each of these calls, by their beginnings.
    pub(crate) fn lose(&self, calls: &[&str]) {
        self.state().lost = calls.iter().map(|call| (*call).into()).collect();
    }

    /// Refuses connections, or no longer.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
