//! Requests: events from an API Gateway HTTP API, changed where a test needs it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::Value;

use super::app::App;
use super::response::Response;
use super::routes::{Example, Route, route};

/// A request that's sent when it's awaited.
///
/// The example decides which function gets it, unless you call [`Self::function`]: editing the event doesn't change
/// that.
pub(crate) struct Request {
    app: App,
    event: Value,
    route: &'static Route,
    function: &'static str,
    at: Duration,
}

impl Request {
    pub(super) fn new(app: App, example: Example) -> Self {
        let route = route(example.0);
        let event = example.event();
        Self { app, event, route, function: &route.function, at: Duration::ZERO }
    }

    /// Sends the request to this function instead of its route's own.
    pub(crate) fn function(mut self, function: &'static str) -> Self {
        self.function = function;
        self
    }

    /// Sends the request to another app on the same table.
    pub(crate) fn through(mut self, app: &App) -> Self {
        self.app = app.clone();
        self
    }

    /// Sets `Session-Id`.
    pub(crate) fn id(self, id: &str) -> Self {
        self.header("session-id", id)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.event["headers"][name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.event["headers"].as_object_mut().unwrap().remove(name);
        self
    }

    /// Sets the body as API Gateway passes it on: UTF-8 as text, other bytes as base64.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        if let Some(length) = self.event["headers"].get_mut("content-length") {
            *length = body.len().to_string().into();
        }
        let text = std::str::from_utf8(body);
        self.event["isBase64Encoded"] = text.is_err().into();
        self.event["body"] = text.map_or_else(|_| STANDARD.encode(body), str::to_owned).into();
        self
    }

    /// Sets when the request arrives, in seconds after the app's clock.
    pub(crate) fn at(self, seconds: u64) -> Self {
        self.at_exactly(Duration::from_secs(seconds))
    }

    /// Sets how long after the app's clock the request arrives.
    pub(crate) fn at_exactly(mut self, at: Duration) -> Self {
        self.at = at;
        self
    }

    /// Sets the handle in the path.
    pub(crate) fn handle(self, handle: &str) -> Self {
        let path = format!("/sessions/{handle}");
        self.edit_event(|event| {
            event["rawPath"] = path.clone().into();
            event["requestContext"]["http"]["path"] = path.into();
        })
    }

    /// Sends the request to the function's URL, as in
    /// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>.
    #[allow(dead_code, reason = "the histories don't use it")]
    pub(crate) fn over_url(self) -> Self {
        self.edit_event(|event| {
            event["routeKey"] = "$default".into();
            event.as_object_mut().unwrap().remove("pathParameters");
            event["headers"]["host"] = "0123456789abcdef.lambda-url.eu-central-1.on.aws".into();
            let context = event["requestContext"].as_object_mut().unwrap();
            for (name, value) in [
                ("routeKey", "$default"),
                ("apiId", "0123456789abcdef"),
                ("domainPrefix", "0123456789abcdef"),
                ("domainName", "0123456789abcdef.lambda-url.eu-central-1.on.aws"),
                ("requestId", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            ] {
                context.insert(name.into(), value.into());
            }
        })
    }

    /// Copies the request, so that it can be sent again.
    #[allow(dead_code, reason = "only the histories use it")]
    pub(crate) fn copy(&self) -> Self {
        Self { app: self.app.clone(), event: self.event.clone(), ..*self }
    }

    /// Changes the event itself.
    pub(crate) fn edit_event(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.event);
        self
    }

    async fn send(self) -> Response {
        let Self { app, event, route, function, at } = self;
        let request_id = event["requestContext"]["requestId"].as_str();
        let payload = app.invoke(function, &event, at).await;
        let response = Response::decode(&payload);
        response.check(route, request_id.filter(|id| is_request_id(id)));
        response
    }
}

impl IntoFuture for Request {
    type Output = Response;
    type IntoFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Whether a problem may repeat this request id.
fn is_request_id(id: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_=-".contains(c);
    (1..=64).contains(&id.len()) && id.chars().all(is_allowed)
}

/// Sends requests concurrently, on all threads of the runtime. Returns the responses in order.
pub(crate) async fn send_concurrently(
    requests: impl IntoIterator<Item = Request>,
) -> Vec<Response> {
    let tasks: Vec<_> = requests.into_iter().map(|r| tokio::spawn(r.into_future())).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}
