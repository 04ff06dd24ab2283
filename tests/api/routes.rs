//! The table of routes, `tests/routes.json`, agrees with the functions, the event files and the
//! router of `cargo lambda watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{ALL, App, CREATE_WITH_ID, EXAMPLE_ID, Request, Route, routes};

const FUNCTIONS: [&str; 4] = ["read", "write", "rotate", "destroy"];

/// The one event file that is not in the table: another request to `PUT /session`.
const SECOND_EVENT_FILE: &str = "create-with-id.json";

/// Every request header that some route reads, with a valid and a malformed value.
const HEADERS: [(&str, &str, &str); 17] = [
    ("content-type", "application/json", ""),
    ("idempotency-key", "0123456789abcdef", "0123456789abcde"),
    ("if-match", "*", ""),
    ("if-none-match", "*", ""),
    ("prefer", "return=minimal", ""),
    ("session-grace", "0", "-1"),
    ("session-id", EXAMPLE_ID, "short"),
    ("session-label", "lynx", "a b"),
    ("session-lease", "10", "0"),
    ("session-limit", "5", "101"),
    ("session-lock", "AAAAAAAAAAAAAAAAAAAAAA", "A"),
    ("session-new-id", "events-another-id-0123456789abcdefghijklmnop", EXAMPLE_ID),
    ("session-ttl", "60", "0"),
    ("session-unlock", "AAAAAAAAAAAAAAAAAAAAAA", "A"),
    ("session-user", "ada", "a b"),
    ("session-wait", "0", "11"),
    ("session-unknown", "1", "1"),
];

fn event_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Prepares the request of a route's event file, to the only session of a new app.
async fn request(route: &Route) -> Request {
    let app = App::new().await;
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    app.send(&event_file(&route.event))
}

#[tokio::test]
async fn unknown_routes_are_told_the_known_ones() {
    let unknown = request(&routes()[0]).await.edit_event(|event| {
        event["routeKey"] = "GET /nowhere".into();
    });
    let response = unknown.await;
    assert_eq!(response.outcome(), "404 route-not-found");
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    for route in routes() {
        assert!(problem["detail"].as_str().unwrap().contains(&route.route), "{problem}");
    }
}

#[tokio::test]
async fn routes_succeed_on_their_own_function_only() {
    for route in routes() {
        assert!(FUNCTIONS.contains(&route.function.as_str()), "{route:?}");
        for function in FUNCTIONS {
            let response = request(route).await.function(function).await;
            if function == route.function {
                assert_eq!(response.status, route.success, "{route:?}: {response:?}");
            } else {
                assert_eq!(response.outcome(), "404 route-not-found", "{function}: {route:?}");
            }
        }
    }
}

/// Whether a route refuses the header if it does not accept it.
fn is_checked(header: &str) -> bool {
    header.starts_with("session-") || header.starts_with("if-")
}

/// Name of a header of the table, without the brackets of an optional one.
fn name(header: &str) -> String {
    header.trim_matches(['[', ']']).to_lowercase()
}

#[tokio::test]
async fn routes_require_exactly_their_required_headers() {
    for route in routes() {
        for header in &route.headers {
            let response = request(route).await.without(&name(header)).await;
            if header.starts_with('[') {
                assert!(response.status < 300, "{}: {header}", route.route);
            } else {
                assert!([400, 415].contains(&response.status), "{}: {header}", route.route);
            }
        }
    }
}

#[tokio::test]
async fn routes_validate_exactly_their_headers() {
    let in_table: BTreeSet<_> =
        routes().iter().flat_map(|route| &route.headers).map(|header| name(header)).collect();
    let known = HEADERS.iter().map(|(header, ..)| (*header).to_owned());
    assert_eq!(in_table, known.filter(|header| header != "session-unknown").collect());
    for route in routes() {
        for (header, _, malformed) in HEADERS {
            // Rotations read `Content-Type` only with a body.
            let response = request(route).await.body(b"{}").header(header, malformed).await;
            // Unknown preferences are ignored (RFC 7240, section 2).
            if takes(route, header) && header != "prefer" {
                assert!([400, 415].contains(&response.status), "{}: {header}", route.route);
            } else if !is_checked(header) {
                assert!(response.status < 300, "{}: {header}: {response:?}", route.route);
            }
        }
    }
}

#[tokio::test]
async fn routes_refuse_session_headers_and_preconditions_that_they_do_not_accept() {
    for route in routes() {
        for (header, valid, _) in HEADERS {
            let response = request(route).await.header(header, valid).await;
            if is_checked(header) && !takes(route, header) {
                assert_eq!(response.outcome(), "400 invalid-header", "{}: {header}", route.route);
            } else {
                assert_ne!(response.status, 400, "{}: {header}: {response:?}", route.route);
            }
        }
    }
}

/// curl before 8.10 sorts two such headers wrongly when it signs a request.
#[test]
fn no_header_name_is_a_prefix_of_another() {
    for (name, ..) in HEADERS {
        let mut others = HEADERS.iter().map(|(other, ..)| *other).filter(|other| *other != name);
        assert_eq!(others.find(|other| other.starts_with(name)), None, "{name}");
    }
}

fn takes(route: &Route, header: &str) -> bool {
    route.headers.iter().any(|listed| name(listed) == header)
}

#[test]
fn event_files_are_those_of_the_table() {
    let in_table: BTreeSet<_> = routes().iter().map(|route| route.event.clone()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut in_folder: BTreeSet<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(in_folder.remove(SECOND_EVENT_FILE));
    assert_eq!(in_folder, in_table);
    assert_eq!(in_table.len(), routes().len(), "routes do not share event files");

    let all: BTreeSet<_> = ALL.map(str::to_owned).into();
    let files = in_table.iter().map(String::as_str).chain([SECOND_EVENT_FILE]);
    assert_eq!(all, files.map(event_file).collect(), "`ALL` has every event file");
}

#[test]
fn event_files_are_requests_to_their_routes() {
    let put = routes().iter().find(|route| route.route == "PUT /session").unwrap();
    let files = routes().iter().map(|route| (route, route.event.as_str()));
    for (route, file) in files.chain([(put, SECOND_EVENT_FILE)]) {
        let event: Value = serde_json::from_str(&event_file(file)).unwrap();
        let context = &event["requestContext"];
        assert_eq!(event["routeKey"], route.route, "{file}");
        assert_eq!(context["routeKey"], route.route, "{file}");
        assert_eq!(event["rawPath"], context["http"]["path"], "{file}");
        let handle = event["pathParameters"]["handle"].as_str().unwrap_or_default();
        let path = context["http"]["path"].as_str().unwrap();
        let method = context["http"]["method"].as_str().unwrap();
        assert_eq!(format!("{method} {path}"), route.route.replace("{handle}", handle), "{file}");
    }
}

#[test]
fn watch_router_has_the_routes_of_the_table() {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let router = &metadata["packages"][0]["metadata"]["lambda"]["watch"]["router"];
    let mut routed = BTreeMap::new();
    for (path, methods) in router.as_object().unwrap() {
        for entry in methods.as_array().unwrap() {
            let route = format!("{} {path}", entry["method"].as_str().unwrap());
            let function = entry["function"].as_str().unwrap();
            assert_eq!(routed.insert(route, function), None, "{path} is routed twice");
        }
    }
    let expected = routes().iter().map(|route| (route.route.clone(), route.function.as_str()));
    assert_eq!(routed, expected.collect());
}
