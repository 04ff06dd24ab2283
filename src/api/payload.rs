//! Lambda's payloads: the event of an API Gateway HTTP API and the response to it, both in
//! [format 2.0](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
//!
//! The types are those of `lambda_http`. Its conversions are not used: they panic on malformed base64
//! and on unusual query strings and hosts, and they re-encode text bodies of responses.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::{Body, RequestExt as _};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::header::CONTENT_ENCODING;
use super::problem::Problem;
use super::request::Request;
use super::response::Response;
use super::route::Route;

/// Longest payload that is read as an `ApiGatewayV2httpRequest`, in bytes. Its deserializer panics if the
/// `HeaderMap` refuses a header. The map may refuse from 6,554 names on (a fifth of its 32,768 slots), and
/// each takes at least seven bytes: `"a":"",`.
const MAX_TYPED_PAYLOAD: usize = 7 * 6_553;

/// The event that API Gateway invokes the function with.
pub struct Event {
    pub(super) route: Option<Route>,
    /// API Gateway's id of the request, which is also in its access log and in the response header
    /// `apigw-requestid`. Only a direct invocation can send a malformed one, which is dropped here:
    /// it appears neither in the log nor in a response.
    pub(super) gateway_request_id: Option<String>,
    pub(super) request: Result<Request, Problem>,
}

impl Event {
    /// Reads the payload of an invocation. A payload that is not an event of an HTTP API has no route.
    pub fn read(payload: &RawValue) -> Self {
        if payload.get().len() > MAX_TYPED_PAYLOAD {
            return Self::read_leniently(payload);
        }
        match serde_json::from_str::<ApiGatewayV2httpRequest>(payload.get()) {
            Ok(event) => {
                let path = event.raw_path.unwrap_or_default();
                let method = event.request_context.http.method;
                Self {
                    route: route(&event.route_key.unwrap_or_default(), method.as_str(), &path),
                    gateway_request_id: event
                        .request_context
                        .request_id
                        .filter(|id| is_well_formed(id)),
                    request: request(event.headers, event.body, event.is_base64_encoded, &path),
                }
            }
            Err(_) => Self::read_leniently(payload),
        }
    }

    /// Reads an event field by field. If its type would refuse the event as a whole, the log and the
    /// response still name the request, and the problem is that of the malformed field.
    fn read_leniently(payload: &RawValue) -> Self {
        let event = Object::read(Some(payload));
        let context = Object::read(event.get("requestContext"));
        let http = Object::read(context.get("http"));
        let path = event.text("rawPath").unwrap_or_default();
        let content = || {
            let headers = headers(event.get("headers"))?;
            let body = event.optional("body")?;
            let is_base64_encoded = event.optional("isBase64Encoded")?.unwrap_or_default();
            request(headers, body, is_base64_encoded, &path)
        };
        Self {
            route: route(
                &event.text("routeKey").unwrap_or_default(),
                &http.text("method").unwrap_or_default(),
                &path,
            ),
            gateway_request_id: context.text("requestId").filter(|id| is_well_formed(id)),
            request: content(),
        }
    }
}

/// A JSON object with unread values; empty for a value that is not an object.
struct Object<'a>(HashMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    fn read(value: Option<&'a RawValue>) -> Self {
        Self(value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| serde_json::from_str(value.get()).ok())
    }

    /// Reads a field of the body. Returns `None` if it is absent or null.
    fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.get(name).map(RawValue::get).unwrap_or("null");
        serde_json::from_str(value).map_err(|_| Problem::InvalidBody)
    }
}

fn headers(value: Option<&RawValue>) -> Result<HeaderMap, Problem> {
    let malformed = || {
        let expected = "a name and a value that RFC 9110 allows".into();
        Problem::InvalidHeader { header: "Each header", expected }
    };
    let fields: Option<HashMap<String, String>> =
        serde_json::from_str(value.map(RawValue::get).unwrap_or("null"))
            .map_err(|_| malformed())?;
    let mut headers = HeaderMap::new();
    for (name, value) in fields.unwrap_or_default() {
        let name = HeaderName::try_from(name).map_err(|_| malformed())?;
        let value = HeaderValue::try_from(value).map_err(|_| malformed())?;
        // The map holds some 24,000 headers, more than any gateway accepts.
        headers.try_append(name, value).map_err(|_| malformed())?;
    }
    Ok(headers)
}

/// Finds the route. The gateway's own match has priority: unlike the path, it does not contain the stage
/// or the mapping of a custom domain. `cargo lambda watch` sends no match.
fn route(key: &str, method: &str, path: &str) -> Option<Route> {
    match key {
        "" | "$default" => Route::matching(method, path),
        key => Route::find(key),
    }
}

/// Whether the text has the form of API Gateway's request ids.
fn is_well_formed(id: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'=');
    (1..=64).contains(&id.len()) && id.bytes().all(alphabet)
}

/// Builds the request and checks its body.
fn request(
    headers: HeaderMap,
    body: Option<String>,
    is_base64_encoded: bool,
    path: &str,
) -> Result<Request, Problem> {
    // A compressed body that arrives as text has the wrong length too, so this check comes first.
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::EncodedBody);
    }
    let body = body.unwrap_or_default();
    let body = if is_base64_encoded {
        Body::Binary(STANDARD.decode(body).map_err(|_| Problem::InvalidBody)?)
    } else {
        Body::Text(body)
    };
    let mut http = lambda_http::Request::new(body).with_raw_http_path(path);
    *http.headers_mut() = headers;
    let request = Request::new(http);
    if !is_base64_encoded && !request.has_stated_length() {
        return Err(Problem::AlteredBody);
    }
    Ok(request)
}

/// Converts a response to the payload that API Gateway turns into HTTP. `cargo lambda watch` requires
/// the list of cookies, which is always empty.
pub(super) fn response(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.http.into_parts();
    let mut payload = ApiGatewayV2httpResponse::default();
    payload.status_code = parts.status.as_u16().into();
    payload.headers = parts.headers;
    payload.is_base64_encoded = matches!(body, Body::Binary(_));
    payload.body = Some(body);
    payload
}
