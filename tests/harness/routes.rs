//! The routes as described in `docs/openapi.yaml`, and a request to each.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use super::library::handle;

/// A route in the OpenAPI document.
#[derive(Debug)]
pub(crate) struct Route {
    /// Method and path, as in `POST /session`.
    pub(crate) key: String,
    /// The Lambda function that serves it.
    pub(crate) function: String,
    /// The headers that it reads, in lowercase, and whether each is required.
    pub(crate) headers: Vec<(String, bool)>,
    /// The statuses that it may return.
    pub(crate) statuses: Vec<u16>,
    /// An example of each required header.
    examples: Vec<(String, Value)>,
    /// An example body, if a body is required.
    body: Option<String>,
}

impl Route {
    /// Whether it lists or ends a user's sessions.
    pub(crate) fn is_of_users(&self) -> bool {
        self.key.contains("/sessions")
    }
}

/// The OpenAPI document.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT
        .get_or_init(|| serde_yaml_ng::from_str(include_str!("../../docs/openapi.yaml")).unwrap())
}

/// The routes in the OpenAPI document.
pub(crate) fn routes() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |operation| (path, operation))
        });
        operations
            .map(|(path, (method, operation))| {
                read(document, format!("{} {path}", method.to_uppercase()), operation)
            })
            .collect()
    })
}

/// A plain request to each route, plus a `PUT /session` that creates a session.
pub(crate) fn every_request() -> impl Iterator<Item = Example> {
    routes().iter().map(|route| Example::plain(&route.key)).chain([CREATE_WITH_ID])
}

/// The route with this key.
pub(crate) fn route(key: &str) -> &'static Route {
    routes().iter().find(|route| route.key == key).unwrap_or_else(|| panic!("no route {key}"))
}

fn read(document: &Value, key: String, operation: &Value) -> Route {
    let resolve = |node: &'_ Value| -> Value {
        let mut node = node.clone();
        while let Some(reference) = node.get("$ref") {
            let pointer = reference.as_str().unwrap().trim_start_matches('#');
            node = document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone();
        }
        node
    };
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let parameters = parameters.iter().map(resolve).filter(|parameter| parameter["in"] == "header");
    let mut headers = Vec::new();
    let mut examples = Vec::new();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap().to_lowercase();
        let is_required = parameter["required"] == true;
        if is_required {
            let example = parameter.get("example").cloned();
            let example =
                example.unwrap_or_else(|| resolve(&parameter["schema"])["examples"][0].clone());
            examples.push((name.clone(), example));
        }
        headers.push((name, is_required));
    }
    let mut body = None;
    if let Some(described) = operation.get("requestBody").map(resolve) {
        let is_required = described["required"] == true;
        headers.push(("content-type".into(), is_required));
        if is_required {
            let (media_type, content) =
                described["content"].as_object().unwrap().iter().next().unwrap();
            let example = content["examples"].as_object().unwrap().values().next().unwrap();
            examples.push(("content-type".into(), media_type.as_str().into()));
            body = Some(example["value"].to_string());
        }
    }
    let statuses = operation["responses"].as_object().unwrap().keys();
    Route {
        key,
        function: operation["x-function"].as_str().unwrap().into(),
        headers,
        statuses: statuses.map(|status| status.parse().unwrap()).collect(),
        examples,
        body,
    }
}

/// A request: its route's key, headers beyond the required ones, and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example(
    pub(crate) &'static str,
    pub(crate) &'static [(&'static str, &'static str)],
    pub(crate) &'static str,
);

pub(crate) const CREATE: Example = Example(
    "POST /session",
    &[
        ("content-type", "application/json"),
        ("session-label", "Firefox%20on%20Linux"),
        ("session-ttl", "3600"),
        ("session-user", "ada"),
    ],
    r#"{"cart":["apple"]}"#,
);
pub(crate) const CREATE_WITH_ID: Example = Example(
    "PUT /session",
    &[
        ("content-type", "application/json"),
        ("if-none-match", "*"),
        ("session-ttl", "3600"),
        ("session-user", "ada"),
    ],
    r#"{"cart":["apple"]}"#,
);
pub(crate) const REPLACE: Example = Example(
    "PUT /session",
    &[("content-type", "application/json")],
    r#"{"cart":["apple","pear"]}"#,
);
pub(crate) const READ: Example = Example::plain("GET /session");
pub(crate) const HEAD: Example = Example::plain("HEAD /session");
pub(crate) const PATCH: Example = Example::plain("PATCH /session");
pub(crate) const DESTROY: Example = Example::plain("DELETE /session");
pub(crate) const TOUCH: Example = Example::plain("POST /session/touch");
pub(crate) const ROTATE: Example = Example::plain("POST /session/rotate");
pub(crate) const LOCK: Example = Example::plain("POST /session/lock");
pub(crate) const UNLOCK: Example = Example::plain("DELETE /session/lock");
pub(crate) const LIST: Example = Example("GET /sessions", &[("session-id", EXAMPLE_ID)], "");
pub(crate) const REVOKE_ALL: Example = Example::plain("DELETE /sessions");
pub(crate) const REVOKE: Example = Example::plain("DELETE /sessions/{handle}");

/// The session id in these requests and in `events/`.
pub(crate) const EXAMPLE_ID: &str = "events-example-id-0123456789abcdefghijklmnop";

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Example {
    /// A request with nothing but what its route requires.
    pub(crate) const fn plain(key: &'static str) -> Self {
        Self(key, &[], "")
    }

    /// The event that API Gateway would send: `events/read.json`, adapted.
    pub(crate) fn event(self) -> Value {
        let Self(key, headers, body) = self;
        let route = route(key);
        let mut event: Value =
            serde_json::from_str(include_str!("../../events/read.json")).unwrap();
        let (method, path) = key.split_once(' ').unwrap();
        let handle = handle(EXAMPLE_ID);
        if path.contains("{handle}") {
            event["pathParameters"] = serde_json::json!({ "handle": handle });
        }
        let path = path.replace("{handle}", &handle);
        event["routeKey"] = key.into();
        event["rawPath"] = path.as_str().into();
        event["requestContext"]["routeKey"] = key.into();
        event["requestContext"]["http"]["method"] = method.into();
        event["requestContext"]["http"]["path"] = path.into();
        let sent = event["headers"].as_object_mut().unwrap();
        sent.remove("session-id");
        for (name, value) in &route.examples {
            let value = if name == "session-id" { EXAMPLE_ID.into() } else { value.clone() };
            sent.insert(name.clone(), value);
        }
        for (name, value) in headers {
            sent.insert((*name).into(), (*value).into());
        }
        let body = if body.is_empty() { route.body.as_deref() } else { Some(body) };
        if let Some(body) = body {
            sent.insert("content-length".into(), body.len().to_string().into());
            event["body"] = body.into();
        }
        event
    }
}
