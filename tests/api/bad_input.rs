//! Bad input is answered: with the header's name and what it may hold, and before any call.

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::harness::{
    ALL, App, CREATE, CREATE_WITH_ID, DESTROY, EVENTS_ID, HEAD, PATCH, READ, REPLACE, ROTATE, TOUCH,
};
use crate::logs::Log;

const WITH_ID: [&str; 6] = [CREATE_WITH_ID, READ, HEAD, REPLACE, TOUCH, DESTROY];

#[tokio::test]
async fn a_session_id_is_missing_or_malformed() {
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
            let answer = app.send(event).id(id).await;
            let expected =
                if id.contains('\u{7f}') { "400 invalid-header" } else { "400 invalid-session-id" };
            assert_eq!(answer.outcome(), expected, "{id:?}");
        }
    }
    for id in ["i".repeat(22), "i".repeat(128)] {
        assert_eq!(app.send(READ).id(&id).await.outcome(), "404 session-not-found");
    }
    assert_eq!(app.take_calls(), ["GetItem", "GetItem"]);
}

#[tokio::test]
async fn the_other_headers_are_malformed() {
    let app = App::new().await;
    let long_user = "u".repeat(257);
    let long_type = format!("a/b;{}", "c".repeat(252));
    let many_etags = vec!["\"e\""; 101].join(", ");
    for (events, header, values) in [
        (
            &[CREATE, CREATE_WITH_ID, REPLACE, TOUCH, PATCH, ROTATE][..],
            "session-ttl",
            &["", "0", "-1", "+1", " 1", "1.0", "one", "2592001", "99999999999999999999", "1, 2"][..],
        ),
        (
            &[CREATE, CREATE_WITH_ID, REPLACE, PATCH, ROTATE],
            "session-user",
            &["", &long_user, "two words", "ümlaut", "tab\t"],
        ),
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
                let answer = app.send(event).header(header, value).await;
                assert_eq!(answer.outcome(), "400 invalid-header", "{header}: {value:?}");
                let body = String::from_utf8(answer.body).unwrap().to_lowercase();
                assert!(body.contains(header) || header.starts_with("x-"), "{header} in {body}");
            }
        }
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn problems_name_the_request_by_a_well_formed_id_only() {
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
        let refused = request.event(|event| event["requestContext"]["requestId"] = id.into()).await;
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        let expected = if is_named { Value::from(id) } else { Value::Null };
        assert_eq!(problem["instance"], expected);
    }
}

#[tokio::test]
async fn a_detail_repeats_nothing_that_was_sent() {
    let app = App::new().await;
    for (header, value) in [
        ("session-id", "Zecret+Zecret+Zecret+Zecret"),
        ("session-ttl", "Zecret"),
        ("session-user", "Zecret Zecret"),
        ("content-type", "Zecret"),
        ("if-match", "Zecret"),
    ] {
        let answer = app.send(REPLACE).header(header, value).await;
        assert_eq!(answer.status, 400);
        assert!(!String::from_utf8(answer.body).unwrap().contains("Zecret"));
    }
    let missing = app.send(READ).await;
    assert!(!String::from_utf8(missing.body).unwrap().contains(EVENTS_ID));
}

#[tokio::test]
async fn header_names_are_found_in_any_case() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let read = app.send(READ).without("session-id").header("SESSION-ID", EVENTS_ID).await;
    assert_eq!(read.status, 200);
}

#[tokio::test]
async fn a_header_of_no_meaning_is_ignored() {
    let app = App::new().await;
    let request = app.send(CREATE).header("x-name", "Grüße, \u{1f980}").header("x-empty", "");
    assert_eq!(request.await.status, 201);
}

#[tokio::test]
async fn a_body_claims_base64_and_is_not() {
    let app = App::new().await;
    for body in ["no base64!", "YQ=", "YQ", "Y", "YQ==YQ=="] {
        for event in [CREATE, CREATE_WITH_ID, REPLACE] {
            let answer = app.send(event).event(|event| {
                event["isBase64Encoded"] = true.into();
                event["body"] = body.into();
            });
            assert_eq!(answer.await.outcome(), "400 invalid-body", "{body}");
        }
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn content_encoding_is_refused_on_every_route() {
    let app = App::new().await;
    for event in ALL {
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
    // Text that was compressed has the wrong length when it arrives; the encoding is the cause.
    let mangled = app.send(CREATE).header("content-encoding", "gzip").event(|event| {
        event["body"] = "\u{1f}\u{fffd}".into();
    });
    assert_eq!(mangled.await.outcome(), "415 unsupported-media-type");
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn a_function_answers_no_route_but_its_own() {
    let app = App::new().await;
    let unknown =
        ["GET /sessions/x", "GET /", "GET /session/", "GET session", "get /session", "POST"];
    let others = ["POST /session", "PUT /session", "DELETE /session", "POST /session/touch"];
    for key in unknown.into_iter().chain(others) {
        let answer = app.send(READ).event(|event| event["routeKey"] = key.into()).await;
        assert_eq!(answer.outcome(), "404 route-not-found", "{key}");
    }
    for event in [CREATE, DESTROY] {
        let answer = app.send(event).event(|event| event["routeKey"] = "GET /session".into()).await;
        assert_eq!(answer.outcome(), "404 route-not-found");
    }
    assert!(app.take_calls().is_empty());
}

#[tokio::test]
async fn routes_are_found_behind_stages_mappings_and_without_a_route_key() {
    let app = App::new().await;
    app.send(CREATE_WITH_ID).await;
    let mapped = app.send(READ).event(|event| event["rawPath"] = "/v1/session".into());
    assert_eq!(mapped.await.status, 200);
    // As `cargo lambda watch` sends it.
    let unmatched = app.send(READ).event(|event| event["routeKey"] = "$default".into());
    assert_eq!(unmatched.await.status, 200);
    let unknown = app.send(READ).event(|event| {
        event["routeKey"] = "$default".into();
        event["rawPath"] = "/v1/session".into();
    });
    assert_eq!(unknown.await.outcome(), "404 route-not-found");
}

#[tokio::test]
async fn an_event_with_next_to_nothing_in_it_is_answered() {
    let app = App::new().await;
    let bare = app.send(READ).event(|event| {
        *event = serde_json::json!({ "routeKey": "GET /session" });
    });
    assert_eq!(bare.await.outcome(), "400 invalid-session-id");
}

#[tokio::test]
async fn what_is_no_event_of_an_http_api_is_answered() {
    let app = App::new().await;
    for not_an_event in ["[]", "null", "\"text\"", "1e999", r#"{"routeKey": 1}"#, "{}"] {
        let not_an_event: Value = serde_json::from_str(not_an_event).unwrap();
        let answer = app.send(READ).event(|event| *event = not_an_event).await;
        assert_eq!(answer.outcome(), "404 route-not-found");
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
        let request = app.send(CREATE).without("content-length").event(|event| {
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
    let refused = app.send(READ).event(|event| event["headers"]["x-anything"] = Value::Null).await;
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
        let read = app.send(READ).event(|event| event["rawQueryString"] = query.into());
        assert_eq!(read.await.status, 200, "{query}");
    }
    for value in ["", " ", "<>", "a b", "[", "http://", "a:b:c", "\u{e9}", "/", "@", "\t"] {
        for header in ["host", "x-forwarded-proto", "x-forwarded-port"] {
            let read = app.send(READ).header(header, value).await;
            assert_eq!(read.status, 200, "{header}: {value}");
        }
    }
}
