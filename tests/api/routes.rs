//! The table of routes matches its description in `docs/openapi.yaml`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, Example, LIST, READ, REPLACE, Request, Route, routes,
    table_of_routes,
};

const FUNCTIONS: [&str; 3] = ["read", "write", "destroy"];

/// Every request header that any route reads, with a valid and a malformed value.
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

/// Prepares a request to a route, with everything that the route requires. It goes to a new app and is about the app's
/// only session.
async fn request(route: &'static Route) -> Request {
    let app = App::new().await;
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    app.send(Example::plain(&route.key))
}

/// Whether routes that don't accept the header refuse it, rather than ignore it.
fn is_checked(header: &str) -> bool {
    header.starts_with("session-") || header.starts_with("if-")
}

fn takes(route: &Route, header: &str) -> bool {
    route.headers.iter().any(|(name, _)| name == header)
}

#[test]
fn document_describes_the_table() {
    let row = |route: &Route| {
        let headers = route.headers.iter().map(|(name, _)| name.clone());
        let checked = headers.filter(|name| is_checked(name)).collect();
        (route.key.clone(), route.function.clone(), checked)
    };
    let described: BTreeSet<_> = routes().iter().map(row).collect();
    assert_eq!(described, table_of_routes().into_iter().collect());
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
        assert!(problem["detail"].as_str().unwrap().contains(&route.key), "{problem}");
    }
}

#[tokio::test]
async fn routes_succeed_on_their_own_function_only() {
    for route in routes() {
        assert!(FUNCTIONS.contains(&route.function.as_str()), "{route:?}");
        for function in FUNCTIONS {
            let response = request(route).await.function(function).await;
            if function == route.function {
                assert!(response.status < 300, "{route:?}: {response:?}");
            } else {
                assert_eq!(response.outcome(), "404 route-not-found", "{function}: {route:?}");
            }
        }
    }
}

/// What all clients play.
fn contract() -> Value {
    serde_json::from_str(include_str!("../conformance/contract.json")).unwrap()
}

/// With function URLs, the clients choose a function themselves.
#[test]
fn clients_know_the_functions_of_the_routes() {
    let contract = contract();
    for function in FUNCTIONS {
        let known: BTreeSet<_> = contract["functions"][function]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        let own = routes().iter().filter(|r| r.function == function && !r.is_of_users());
        assert_eq!(known, own.map(|route| route.key.clone()).collect(), "{function}");
    }
}

#[tokio::test]
async fn headers_have_the_limits_that_the_clients_know() {
    let contract = contract();
    for limit in contract["limits"].as_array().unwrap() {
        let header = limit["header"].as_str().unwrap();
        let (min, max) = (limit["min"].as_i64().unwrap(), limit["max"].as_i64().unwrap());
        let route = routes().iter().find(|route| takes(route, header)).unwrap();
        for value in [min - 1, min, max, max + 1] {
            let response = request(route).await.header(header, &value.to_string()).await;
            let expected = if (min..=max).contains(&value) { 200..300 } else { 400..401 };
            assert!(expected.contains(&response.status), "{header}: {value}: {response:?}");
        }
    }
}

#[tokio::test]
async fn routes_require_exactly_their_required_headers() {
    for route in routes() {
        for (header, is_required) in &route.headers {
            let response = request(route).await.without(header).await;
            if *is_required {
                assert!([400, 415].contains(&response.status), "{}: {header}", route.key);
            } else {
                assert!(response.status < 300, "{}: {header}", route.key);
            }
        }
    }
}

#[tokio::test]
async fn routes_validate_exactly_their_headers() {
    let described: BTreeSet<_> =
        routes().iter().flat_map(|route| &route.headers).map(|(name, _)| name.as_str()).collect();
    let known = HEADERS.iter().map(|(header, ..)| *header);
    assert_eq!(described, known.filter(|header| *header != "session-unknown").collect());
    for route in routes() {
        for (header, _, malformed) in HEADERS {
            // Rotations read `Content-Type` only if there's a body.
            let response = request(route).await.body(b"{}").header(header, malformed).await;
            // Unknown preferences are ignored (RFC 7240, section 2).
            if takes(route, header) && header != "prefer" {
                assert!([400, 415].contains(&response.status), "{}: {header}", route.key);
            } else if !is_checked(header) {
                assert!(response.status < 300, "{}: {header}: {response:?}", route.key);
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
                assert_eq!(response.outcome(), "400 invalid-header", "{}: {header}", route.key);
            } else {
                assert_ne!(response.status, 400, "{}: {header}: {response:?}", route.key);
            }
        }
    }
}

/// When signing a request, curl before 8.10 sorts two such headers in the wrong order.
#[test]
fn no_header_name_is_a_prefix_of_another() {
    for (name, ..) in HEADERS {
        let mut others = HEADERS.iter().map(|(other, ..)| *other).filter(|other| *other != name);
        assert_eq!(others.find(|other| other.starts_with(name)), None, "{name}");
    }
}

/// The files are for people: `cargo lambda invoke read --data-file events/read.json`.
#[tokio::test]
async fn events_for_people_succeed_one_after_the_other() {
    let app = App::new().await;
    for (name, example) in [
        ("create", CREATE_WITH_ID),
        ("read", READ),
        ("replace", REPLACE),
        ("list", LIST),
        ("destroy", DESTROY),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
        let event: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(event, example.event(), "{name}");
        assert!(app.send(example).await.status < 300, "{name}");
    }
}
