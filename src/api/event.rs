//! Lambda's side of a request: the event of an API Gateway HTTP API, and its answer, both in
//! [payload format 2.0](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
//!
//! Only what is used is read, and it is checked here rather than trusted: `lambda_http`, which would
//! do this, panics on a body that claims base64 and isn't, and refuses the whole event for one header
//! value outside ASCII.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::headers::Headers;
use super::problem::Problem;
use super::response::Response;
use super::route::Route;
use crate::session::Handle;

/// The event that API Gateway invokes the function with.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    route_key: String,
    raw_path: String,
    headers: HashMap<String, String>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestContext {
    request_id: String,
    http: Http,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http {
    method: String,
}

/// A request to one of the routes.
pub(super) struct Request {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    /// The last segment of the path: the handle, where the route has one.
    pub(super) handle: Option<Handle>,
}

impl Event {
    /// Reads what Lambda was invoked with. What is no event of an HTTP API, as only a direct
    /// invocation can bring, has no route either, and is answered so.
    pub fn read(payload: &RawValue) -> Self {
        serde_json::from_str(payload.get()).unwrap_or_default()
    }

    /// API Gateway's id of the request, which is also in its access log and in the caller's
    /// `apigw-requestid` header. `None` for text of another form, which only a direct invocation can
    /// bring, so that it gets neither into the log nor into a response.
    pub(super) fn gateway_request_id(&self) -> Option<&str> {
        let id = self.request_context.request_id.as_str();
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'=');
        ((1..=64).contains(&id.len()) && id.bytes().all(alphabet)).then_some(id)
    }

    /// The route, if it is one of the API's. The gateway's own match goes first: unlike the path it
    /// is free of stage names and of a custom domain's mapping. `cargo lambda watch` makes none.
    pub(super) fn route(&self) -> Option<Route> {
        match self.route_key.as_str() {
            "" | "$default" => Route::matching(&self.request_context.http.method, &self.raw_path),
            key => Route::find(key),
        }
    }

    /// Reads the headers and the body.
    ///
    /// # Errors
    /// [`Problem::InvalidHeader`] for a header that cannot be one; [`Problem::EncodedBody`];
    /// [`Problem::AlteredBody`]; [`Problem::InvalidBody`].
    pub(super) fn into_request(self) -> Result<Request, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            // There is room for some 24,000, which no gateway lets through.
            let appended = parsed.and_then(|(name, value)| headers.try_append(name, value).ok());
            if appended.is_none() {
                let expected = "a name and a value that RFC 9110 allows".into();
                return Err(Problem::InvalidHeader { header: "Each header", expected });
            }
        }
        let headers = Headers::new(headers);
        // Before the length: a compressed body that arrives as text has the wrong one as well.
        if headers.has_content_encoding() {
            return Err(Problem::EncodedBody);
        }
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| Problem::InvalidBody)?
        } else if headers.agree_with_length(body.len()) {
            body.into_bytes()
        } else {
            return Err(Problem::AlteredBody);
        };
        let handle = self.raw_path.rsplit('/').next().and_then(Handle::parse);
        Ok(Request { headers, body, handle })
    }
}

/// The answer that API Gateway turns into HTTP.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    #[serde(serialize_with = "as_map")]
    headers: Vec<(&'static str, String)>,
    body: String,
    is_base64_encoded: bool,
    /// Always empty; `cargo lambda watch` does not take an answer without it.
    cookies: [String; 0],
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        let Response { status, headers, body } = response;
        let (body, is_base64_encoded) = match readable(body) {
            Ok(text) => (text, false),
            Err(bytes) => (STANDARD.encode(bytes), true),
        };
        Self { status_code: status.as_u16(), headers, body, is_base64_encoded, cookies: [] }
    }
}

/// The bytes as text, if they are UTF-8 without control characters but for tabs and line ends.
/// JSON takes six bytes for each of the others, so that 1 MiB of them would not fit into the 6 MB
/// that Lambda lets an answer have.
fn readable(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    let is_control = |b: &u8| b.is_ascii_control() & !matches!(b, b'\t' | b'\n' | b'\r');
    // Without a way out before the end, the compiler looks at many bytes at a time.
    if bytes.iter().fold(false, |found, b| found | is_control(b)) {
        return Err(bytes);
    }
    String::from_utf8(bytes).map_err(|error| error.into_bytes())
}

fn as_map<S: Serializer>(pairs: &[(&str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
