//! Responses: decoded the way API Gateway does it, and checked for everything that must be true of any response.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::routes::{Route, document};

/// Every header that a response may have.
const HEADERS: [&str; 14] = [
    "Accept-Encoding",
    "Accept-Patch",
    "Cache-Control",
    "Content-Type",
    "ETag",
    "Preference-Applied",
    "Retry-After",
    "Session-Created",
    "Session-Expires",
    "Session-Id",
    "Session-Label",
    "Session-Lock",
    "Session-TTL",
    "Session-User",
];

/// The title of each problem type seen so far.
static TITLES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Returns the name as the docs spell it. The payload has names in lowercase.
fn documented(name: String) -> String {
    let documented = HEADERS.iter().find(|header| header.eq_ignore_ascii_case(&name));
    documented.map_or(name, |header| (*header).to_owned())
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the payload carried the body as text, not as base64.
    pub(crate) is_text: bool,
    headers: BTreeMap<String, String>,
}

impl Response {
    /// Decodes a function's payload.
    pub(super) fn decode(payload: &Value) -> Self {
        let headers: BTreeMap<String, String> =
            serde_json::from_value(payload["headers"].clone()).unwrap();
        let headers = headers.into_iter().map(|(name, value)| (documented(name), value)).collect();
        let body = payload["body"].as_str().unwrap();
        let is_text = !payload["isBase64Encoded"].as_bool().unwrap();
        let body = if is_text { body.as_bytes().to_vec() } else { STANDARD.decode(body).unwrap() };
        let status = u16::try_from(payload["statusCode"].as_u64().unwrap()).unwrap();
        Self { status, body, is_text, headers }
    }

    /// Checks everything that must be true of any response from a route. `instance` is the request id that a problem
    /// must repeat.
    pub(super) fn check(&self, route: &Route, instance: Option<&str>) {
        assert!(self.has_documented_status(route), "{} must not return {self:?}", route.key);
        for name in self.headers.keys() {
            assert!(HEADERS.contains(&name.as_str()), "{name}");
        }
        assert_eq!(self.header("Cache-Control"), "no-store");
        let is_temporary = matches!(self.status, 423 | 503);
        assert_eq!(self.headers.contains_key("Retry-After"), is_temporary, "{self:?}");
        let is_head = route.key.starts_with("HEAD ");
        if matches!(self.status, 201 | 204 | 304) || is_head && self.status < 400 {
            assert!(self.body.is_empty(), "{self:?}");
        }
        // If the request prefers it, a `412` carries the current data instead of a problem.
        if self.status >= 400 && !self.headers.contains_key("Preference-Applied") {
            self.check_problem(instance);
        }
    }

    /// Whether the OpenAPI document lists the status. The document leaves out the `404` from a function that doesn't
    /// serve the route.
    fn has_documented_status(&self, route: &Route) -> bool {
        let is_foreign = self.status == 404 && self.problem() == "route-not-found";
        // Only a patch can have an unsupported media type.
        let is_odd = self.status == 415
            && !route.key.starts_with("PATCH")
            && !self.headers.contains_key("Accept-Encoding");
        is_foreign || route.statuses.contains(&self.status) && !is_odd
    }

    fn check_problem(&self, instance: Option<&str>) {
        assert_eq!(self.header("Content-Type"), "application/problem+json");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        let types = &document()["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
        assert!(types.as_array().unwrap().contains(&problem["type"]), "{problem}");
        assert_eq!(problem.get("instance").map(|id| id.as_str().unwrap()), instance);
        let title = problem["title"].as_str().filter(|title| !title.is_empty()).unwrap();
        let mut titles = TITLES.lock().unwrap();
        let known = titles.entry(self.problem()).or_insert_with(|| title.to_owned());
        assert_eq!(known, title, "RFC 9457, 3.1.3: one title per type");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }

    /// The value of a header, which must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Names of all headers, sorted.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.keys().map(String::as_str).collect()
    }

    /// The problem's code, or an empty string if the body isn't a problem.
    pub(crate) fn problem(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = problem["type"].as_str().and_then(|t| t.strip_prefix("urn:session-api:"));
        code.unwrap_or_default().to_owned()
    }

    /// The status and the problem's code, as in `404 session-not-found`.
    pub(crate) fn outcome(&self) -> String {
        let problem = if self.status < 400 { String::new() } else { self.problem() };
        format!("{} {problem}", self.status).trim_end().to_owned()
    }
}
