use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(event: &Value) -> Event {
    Event::read(&serde_json::value::to_raw_value(event).unwrap())
}

fn body(event: &Value) -> Vec<u8> {
    read(event).request.ok().unwrap().body().to_vec()
}

fn event() -> Value {
    json!({
        "routeKey": "PUT /session",
        "rawPath": "/session",
        "headers": { "session-id": "events-example-id-0123456789abcdefghijklmnop" },
        "requestContext": { "requestId": "U3KzvgYYliAEPzQ=", "http": { "method": "PUT" } },
        "isBase64Encoded": false,
    })
}

#[test]
fn header_names_that_differ_in_case_are_one_header() {
    for other in ["Session-User", "SESSION-USER", "session-user"] {
        let event = format!(r#"{{"headers":{{"session-user":"ada","{other}":"grace"}}}}"#);
        let event: Box<RawValue> = serde_json::from_str(&event).unwrap();
        let Err(Problem::InvalidHeader { .. }) = Event::read(&event).request else {
            panic!("{other}");
        };
    }
}

/// Any JSON, often of the kind that the field has in a real event.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[A-Za-z0-9+/]{0,20}={0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,20}", inner, 0..4)
                .prop_map(|object| object.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_payload_is_read(payload in value()) {
        read(&payload);
    }

    #[test]
    fn events_with_one_malformed_field_keep_their_route(
        field in prop::sample::select(vec!["headers", "body", "isBase64Encoded"]), value in value(),
    ) {
        let mut event = event();
        event[field] = value;
        let event = read(&event);
        prop_assert_eq!(event.route.map(|route| route.key), Some("PUT /session"));
        prop_assert_eq!(event.gateway_request_id.as_deref(), Some("U3KzvgYYliAEPzQ="));
    }

    #[test]
    fn bodies_are_read_byte_for_byte(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut event = event();
        event["isBase64Encoded"] = true.into();
        event["body"] = STANDARD.encode(&bytes).into();
        prop_assert_eq!(body(&event), bytes);
    }

    #[test]
    fn texts_are_read_byte_for_byte(text in "\\PC{0,200}") {
        let mut event = event();
        event["body"] = text.clone().into();
        prop_assert_eq!(body(&event), text.as_bytes());
    }

    #[test]
    fn text_that_does_not_match_its_content_length_is_refused(text in "\\PC{0,50}", stated in 0..60_usize) {
        let mut event = event();
        event["body"] = text.clone().into();
        event["headers"]["content-length"] = stated.to_string().into();
        let is_read = read(&event).request.is_ok();
        prop_assert_eq!(is_read, stated == text.len());
    }
}
