//! Lambda payloads: the event of an API Gateway HTTP API or of a function URL, and the response to it, both in
//! [format 2.0](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
//!
//! The types are `lambda_http`'s, except for the event: theirs rejects the whole event over one malformed field, and if
//! the names of two headers differ only in case, it keeps only the last one. We don't use `lambda_http`'s conversions
//! either: they panic on malformed base64 and on unusual query strings and hosts, and they re-encode the text bodies of
//! responses.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::{Body, RequestExt as _};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::header::CONTENT_ENCODING;
use super::problem::Problem;
use super::request::Request;
use super::response::Response;
use super::route::Route;

/// The event with which API Gateway or a function URL invokes the function.
pub struct Event {
    pub(super) route: Option<&'static Route>,
    /// Whether it came over the function's URL.
    pub(super) is_over_url: bool,
    /// API Gateway's request id, which is also in its access log and in the `apigw-requestid` response header.
    /// Only a direct invocation can send a malformed one. We drop that here, to keep it out of the log and the
    /// response.
    pub(super) gateway_request_id: Option<String>,
    pub(super) request: Result<Request, Problem>,
}

/// The event's fields that we need, not parsed yet.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    route_key: Option<&'a RawValue>,
    #[serde(borrow)]
    raw_path: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    is_base64_encoded: Option<&'a RawValue>,
    #[serde(borrow)]
    request_context: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContextFields<'a> {
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    domain_name: Option<&'a RawValue>,
    #[serde(borrow)]
    http: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HttpFields<'a> {
    #[serde(borrow)]
    method: Option<&'a RawValue>,
}

impl Event {
    /// Reads an invocation's payload field by field, so that the log and the response can name the request even
    /// if a field is malformed. A payload that isn't an HTTP API's event has no route.
    pub fn read(payload: &RawValue) -> Self {
        let event: Fields<'_> = lenient(Some(payload)).unwrap_or_default();
        let context: ContextFields<'_> = lenient(event.request_context).unwrap_or_default();
        let http: HttpFields<'_> = lenient(context.http).unwrap_or_default();
        let text = |field| lenient::<String>(field).unwrap_or_default();
        let path = text(event.raw_path);
        let is_over_url = is_url(&text(context.domain_name));
        let route = route(&text(event.route_key), &text(http.method), &path);
        let request_id = lenient(context.request_id).filter(|id: &String| is_well_formed(id));
        Self {
            route: route.filter(|route| !is_over_url || route.is_for_urls()),
            is_over_url,
            gateway_request_id: request_id,
            request: event.request(&path),
        }
    }
}

impl Fields<'_> {
    /// Reads the request and checks its body.
    fn request(&self, path: &str) -> Result<Request, Problem> {
        let headers = match self.headers {
            None => HeaderMap::new(),
            Some(value) => {
                serde_json::from_str(value.get()).map(|Headers(map)| map).map_err(|_| {
                    let expected = "sent once, with a name and a value that RFC 9110 allows".into();
                    Problem::InvalidHeader { header: "Each header", expected }
                })?
            }
        };
        let body = strict::<String>(self.body)?.unwrap_or_default();
        let is_base64_encoded = strict(self.is_base64_encoded)?.unwrap_or_default();
        request(headers, body, is_base64_encoded, path)
    }
}

/// Reads a field. Returns `None` if it's absent or malformed.
fn lenient<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    field.and_then(|value| serde_json::from_str(value.get()).ok())
}

/// Reads a field that the body depends on. Returns `None` if it's absent.
fn strict<T: DeserializeOwned>(field: Option<&RawValue>) -> Result<Option<T>, Problem> {
    let read = |value: &RawValue| serde_json::from_str(value.get());
    field.map(read).transpose().map_err(|_| Problem::InvalidBody)
}

/// An event's headers. A repeated name is an error, even if the case differs: API Gateway joins the values of repeated
/// headers itself, and we couldn't know their order.
struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = HeaderMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<HeaderMap, A::Error> {
                let mut headers = HeaderMap::new();
                while let Some((name, value)) = fields.next_entry::<String, String>()? {
                    let name = HeaderName::try_from(name).map_err(A::Error::custom)?;
                    let value = HeaderValue::try_from(value).map_err(A::Error::custom)?;
                    // The map has room for some 24,000 headers, more than any gateway accepts.
                    if headers.try_append(name, value).map_err(A::Error::custom)? {
                        return Err(A::Error::custom("a header is repeated"));
                    }
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Fields).map(Self)
    }
}

/// Finds the route. The gateway's own match wins: unlike the path, it doesn't contain the stage or a custom
/// domain's mapping. `cargo lambda watch` doesn't send a match.
fn route(key: &str, method: &str, path: &str) -> Option<&'static Route> {
    match key {
        "" | "$default" => Route::matching(method, path),
        key => Route::find(key),
    }
}

/// Whether a domain is that of a function URL, `<id>.lambda-url.<region>.on.aws`. Lambda sets it, not the caller:
/// a header such as `Host` has no say (<https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>).
fn is_url(domain: &str) -> bool {
    domain.split('.').nth(1) == Some("lambda-url")
}

/// Whether the text looks like an API Gateway request id.
fn is_well_formed(id: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'=');
    (1..=64).contains(&id.len()) && id.bytes().all(alphabet)
}

/// Builds the request and checks its body.
fn request(
    headers: HeaderMap,
    body: String,
    is_base64_encoded: bool,
    path: &str,
) -> Result<Request, Problem> {
    // This check comes first, because a compressed body that arrives as text has the wrong length too.
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Problem::EncodedBody);
    }
    let body = if is_base64_encoded {
        Body::Binary(STANDARD.decode(body).map_err(|_| Problem::InvalidBody)?)
    } else {
        Body::Text(body)
    };
    let mut http = lambda_http::Request::new(body).with_raw_http_path(path);
    *http.headers_mut() = headers;
    let request = Request::new(http);
    if !is_base64_encoded && !request.is_unaltered() {
        return Err(Problem::AlteredBody);
    }
    Ok(request)
}

/// Converts a response to the payload that API Gateway turns into HTTP. The list of cookies, always empty, is
/// there because `cargo lambda watch` requires it.
pub(super) fn response(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.http.into_parts();
    let mut payload = ApiGatewayV2httpResponse::default();
    payload.status_code = parts.status.as_u16().into();
    payload.headers = parts.headers;
    payload.is_base64_encoded = matches!(body, Body::Binary(_));
    payload.body = Some(body);
    payload
}

#[cfg(test)]
mod tests;
