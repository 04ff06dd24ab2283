//! Bad input: rejected before any call to DynamoDB, with a problem that names the header and says what's valid.

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, Example, HEAD, LOCK, Log, PATCH, READ,
    REPLACE, REVOKE_ALL, ROTATE, TOUCH, UNLOCK, every_request,
};

const WITH_ID: [Example; 6] = [CREATE_WITH_ID, READ, HEAD, REPLACE, TOUCH, DESTROY];

#[tokio::test]
async fn missing_and_malformed_session_ids_are_rejected() {
    let app = App::new().await;
    for event in WITH_ID {
        let missing = app.send(event).without("session-id").await;
        assert_eq!(missing.status, 400);
        let long = "i".repeat(129);
        let mut bad = vec!["", "i234567890123456789o1", &long, "in between are spaces, here"];
        bad.extend([
            "umlauts-are-not-in-it-ä",
            "nor/slashes/nor/dots..",
            "\u{7f}delete-is-not-in-it-",
        ]);
        bad.push("two-ids-that-are-joined-by, a-comma-and-a-space");
        for id in bad {
            let response = app.send(event).id(id).await;
            let expected =
                if id.contains('\u{7f}') { "400 invalid-header" } else { "400 invalid-session-id" };
            assert_eq!(response.outcome(), expected, "{id:?}");
        }
    }
    for id in ["i".repeat(22), "i".repeat(128)] {
        assert_eq!(app.send(READ).id(&id).await.outcome(), "404 session-not-found");
    }
    assert_eq!(app.take_calls(), ["GetItem", "GetItem"]);
}

#[tokio::test]
async fn malformed_headers_are_rejected_by_name() {
    let app = App::new().await;
    let long_user = "u".repeat(257);
    let long_type = format!("a/b;{}", "c".repeat(252));
    let many_etags = vec!["\"e\""; 101].join(", ");
    for (events, header, values) in [
        (
            &[CREATE, CREATE_WITH_ID, REPLACE, TOUCH, PATCH, ROTATE][..],
            "session-ttl",
            &["", "0", "-1", "+1", " 1", "1.0", "one", "00", "1, 2"][..],
        ),
        (
            &[CREATE, CREATE_WITH_ID, REPLACE, PATCH, TOUCH, ROTATE],
            "session-user",
            &[&long_user, "two words", "ümlaut", "tab\t"],
        ),
        (
            &[CREATE, CREATE_WITH_ID, REPLACE, PATCH, TOUCH, ROTATE],
            "session-label",
            &[&long_user, "two words", "ümlaut", "tab\t"],
        ),
        (
            &[CREATE_WITH_ID, REPLACE, PATCH, TOUCH, LOCK],
            "idempotency-key",
            &["", "\"\"", "0123456789abcde", &long_user, "0123456789 abcdef", "\"0123456789abcdef"],
        ),
        (&[ROTATE], "session-new-id", &["", "short", EXAMPLE_ID, "a+b+c+d+e+f+g+h+i+j+k+l"]),
        (&[REVOKE_ALL], "session-limit", &["", "0", "101", "+5"]),
        (&[TOUCH, UNLOCK, ROTATE, REPLACE], "session-unlock", &["", "A", &long_user]),
        (&[CREATE_WITH_ID], "session-lock", &["AAAAAAAAAAAAAAAAAAAAAA", ""]),
        (&[CREATE_WITH_ID], "session-unlock", &["AAAAAAAAAAAAAAAAAAAAAA", ""]),
        (
            &[CREATE, CREATE_WITH_ID, REPLACE],
            "content-type",
            &["", &long_type, "text", "text/", "/", "te xt/plain", "text/ünicode", "a/b, c/d"],
        ),
        (&[REPLACE, DESTROY], "if-match", &["", "etag", "\"open", "'e'", "\"ä\"", &many_etags]),
        (&[READ, HEAD], "if-none-match", &["", "etag", "\"open", "'e'", "\"ä\"", &many_etags]),
        (&[REPLACE], "if-none-match", &["", "etag", "\"etag\"", "*, *"]),
        (&[CREATE_WITH_ID], "if-match", &["\"etag\"", "*"]),
        (&[READ], "x-anything", &["\u{0}", "line\nbreak", "\u{7f}"]),
    ] {
        for event in events {
            for value in values {
                let response = app.send(*event).header(header, value).await;
                assert_eq!(response.outcome(), "400 invalid-header", "{header}: {value:?}");
                let body = String::from_utf8(response.body).unwrap().to_lowercase();
                assert!(body.contains(header) || header.starts_with("x-"), "{header} in {body}");
            }
        }
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn problems_repeat_only_well_formed_request_ids() {
    let app = App::new().await;
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);
    for (id, is_named) in [
        ("U3KzvgYYliAEPzQ=", true),
        ("8476a536-e9f4-11e8-9739-2dfe598c3fcd", true),
        (&longest, true),
        (&too_long, false),
        ("", false),
        ("two words", false),
        ("\",\"detail\":\"", false),
        ("https://example.com/", false),
        ("umlaut-ä", false),
        ("line\nbreak", false),
    ] {
        let request = app.send(READ).id("short");
        let refused =
            request.edit_event(|event| event["requestContext"]["requestId"] = id.into()).await;
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        let expected = if is_named { Value::from(id) } else { Value::Null };
        assert_eq!(problem["instance"], expected);
    }
}

#[tokio::test]
async fn problem_details_do_not_repeat_input() {
    let app = App::new().await;
    for (header, value) in [
        ("session-id", "Zecret+Zecret+Zecret+Zecret"),
        ("session-ttl", "Zecret"),
        ("session-user", "Zecret Zecret"),
        ("content-type", "Zecret"),
        ("if-match", "Zecret"),
    ] {
        let response = app.send(REPLACE).header(header, value).await;
        assert_eq!(response.status, 400);
        assert!(!String::from_utf8(response.body).unwrap().contains("Zecret"));
    }
    let missing = app.send(READ).await;
    assert!(!String::from_utf8(missing.body).unwrap().contains(EXAMPLE_ID));
}

#[tokio::test]
async fn header_names_are_case_insensitive() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let read = app.send(READ).without("session-id").header("SESSION-ID", EXAMPLE_ID).await;
    assert_eq!(read.status, 200);
}

#[tokio::test]
async fn unknown_headers_are_ignored() {
    let app = App::new().await;
    let request = app.send(CREATE).header("x-name", "Grüße, \u{1f980}").header("x-empty", "");
    assert_eq!(request.await.status, 201);
}

#[tokio::test]
async fn invalid_base64_bodies_are_rejected() {
    let app = App::new().await;
    for body in ["no base64!", "YQ=", "YQ", "Y", "YQ==YQ=="] {
        for event in [CREATE, CREATE_WITH_ID, REPLACE] {
            let response = app.send(event).edit_event(|event| {
                event["isBase64Encoded"] = true.into();
                event["body"] = body.into();
            });
            assert_eq!(response.await.outcome(), "400 invalid-body", "{body}");
        }
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn content_encoding_is_rejected_on_every_route() {
    let app = App::new().await;
    for event in every_request() {
        for encoding in ["gzip", "br", "identity", "gzip, br", ""] {
            let request = app.send(event).header("content-encoding", encoding);
            let refused = request.body(b"\x1f\x8b").await;
            assert_eq!(refused.outcome(), "415 unsupported-media-type", "{encoding} {event}");
            assert_eq!(refused.header("Accept-Encoding"), "identity");
            assert!(!refused.header_names().contains(&"Accept-Patch"));
            let detail = String::from_utf8(refused.body).unwrap();
            assert!(detail.contains("Content-Encoding"), "{detail}");
        }
    }
    // A compressed text body also arrives with the wrong length, but the response must blame the encoding.
    let mangled = app.send(CREATE).header("content-encoding", "gzip").edit_event(|event| {
        event["body"] = "\u{1f}\u{fffd}".into();
    });
    assert_eq!(mangled.await.outcome(), "415 unsupported-media-type");
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn functions_reject_routes_that_are_not_their_own() {
    let app = App::new().await;
    let unknown =
        ["GET /sessions/x", "GET /", "GET /session/", "GET session", "get /session", "POST"];
    let others = ["PUT /session", "DELETE /session", "POST /session/touch"];
    for key in unknown.into_iter().chain(others) {
        let response = app.send(READ).edit_event(|event| event["routeKey"] = key.into()).await;
        assert_eq!(response.outcome(), "404 route-not-found", "{key}");
    }
    let destroy = app.send(DESTROY).edit_event(|event| event["routeKey"] = "GET /session".into());
    assert_eq!(destroy.await.outcome(), "404 route-not-found");
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn routing_ignores_path_prefixes_and_works_without_route_key() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let mapped = app.send(READ).edit_event(|event| event["rawPath"] = "/v1/session".into());
    assert_eq!(mapped.await.status, 200);
    // `cargo lambda watch` sends this route key.
    let unmatched = app.send(READ).edit_event(|event| event["routeKey"] = "$default".into());
    assert_eq!(unmatched.await.status, 200);
    let unknown = app.send(READ).edit_event(|event| {
        event["routeKey"] = "$default".into();
        event["rawPath"] = "/v1/session".into();
    });
    assert_eq!(unknown.await.outcome(), "404 route-not-found");
}

#[tokio::test]
async fn minimal_events_get_a_response() {
    let app = App::new().await;
    let bare = app.send(READ).edit_event(|event| {
        *event = serde_json::json!({ "routeKey": "GET /session" });
    });
    assert_eq!(bare.await.outcome(), "400 invalid-session-id");
}

#[tokio::test]
async fn payloads_of_other_event_sources_get_404() {
    let app = App::new().await;
    for not_an_event in ["[]", "null", "\"text\"", "1e9", r#"{"routeKey": 1}"#, "{}"] {
        let not_an_event: Value = serde_json::from_str(not_an_event).unwrap();
        let response = app.send(READ).edit_event(|event| *event = not_an_event).await;
        assert_eq!(response.outcome(), "404 route-not-found");
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn header_values_outside_ascii_are_served() {
    let app = App::new().await;
    let created =
        app.send(CREATE).header("x-name", "\u{fe}\u{1f980}").header("host", "\u{e9}").await;
    assert_eq!(created.status, 201);
    let user = app.send(CREATE).header("session-user", "\u{e9}").await;
    assert_eq!(user.outcome(), "400 invalid-header");
}

#[tokio::test]
async fn malformed_fields_of_an_event_are_bad_requests() {
    let app = App::new().await;
    for (pointer, value, outcome) in [
        ("/headers/x-anything", "null", "400 invalid-header"),
        ("/headers/x-anything", "1", "400 invalid-header"),
        ("/headers/x-anything", "{}", "400 invalid-header"),
        ("/headers/bad name", "\"value\"", "400 invalid-header"),
        ("/headers", "1", "400 invalid-header"),
        ("/headers", "[1]", "400 invalid-header"),
        ("/headers", "null", "201"),
        ("/body", "1", "400 invalid-body"),
        ("/body", "{}", "400 invalid-body"),
        ("/body", "null", "201"),
        ("/isBase64Encoded", "1", "400 invalid-body"),
        ("/isBase64Encoded", "\"true\"", "400 invalid-body"),
        ("/isBase64Encoded", "null", "201"),
        ("/requestContext/timeEpoch", "\"soon\"", "201"),
        ("/requestContext/http/sourceIp", "1", "201"),
        ("/cookies", "1", "201"),
    ] {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let request = app.send(CREATE).without("content-length").edit_event(|event| {
            let parent = event.pointer_mut(parent).unwrap();
            parent[name] = serde_json::from_str(value).unwrap();
        });
        assert_eq!(request.await.outcome(), outcome, "{pointer}: {value}");
    }
}

#[tokio::test]
async fn malformed_events_are_logged_with_route_and_request_id() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let app = App::new().await;
    let refused =
        app.send(READ).edit_event(|event| event["headers"]["x-anything"] = Value::Null).await;
    assert_eq!(refused.outcome(), "400 invalid-header");
    let line = &log.lines()[0];
    assert_eq!(line["route"], "GET /session");
    assert_eq!(line["gateway_request_id"], "U3KzvgYYliAEPzQ=");
}

#[tokio::test]
async fn unusual_queries_hosts_and_protocols_are_served() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    for query in ["<", ">", " ", "a=<b> c", "%", "%zz", "\"", "\u{e9}", "a&&=&", "{}|^`\\"] {
        let read = app.send(READ).edit_event(|event| event["rawQueryString"] = query.into());
        assert_eq!(read.await.status, 200, "{query}");
    }
    for value in ["", " ", "<>", "a b", "[", "http://", "a:b:c", "\u{e9}", "/", "@", "\t"] {
        for header in ["host", "x-forwarded-proto", "x-forwarded-port"] {
            let read = app.send(READ).header(header, value).await;
            assert_eq!(read.status, 200, "{header}: {value}");
        }
    }
}

#[tokio::test]
async fn too_many_headers_are_rejected() {
    let app = App::new().await;
    let distinct = app.send(READ).edit_event(|event| {
        for n in 0..25_000 {
            event["headers"][format!("x-{n}")] = "1".into();
        }
    });
    assert_eq!(distinct.await.outcome(), "400 invalid-header");
    let repeated =
        app.send(READ).edit_event(|event| event["headers"]["x"] = vec![""; 25_000].into());
    assert_eq!(repeated.await.outcome(), "400 invalid-header");
}
