use super::conditions::entity_tags;
use super::*;
use crate::api::header::{IF_MATCH, IF_NONE_MATCH, SESSION_TTL, SESSION_USER};
use crate::session::{Change, ETag, ETagCondition, Limits};
use lambda_http::http::HeaderValue;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    default_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(3600),
    max_lifetime: None,
    revoked_before: None,
};

fn request(header: &'static str, value: &[u8]) -> Request {
    let mut http = lambda_http::Request::default();
    http.headers_mut().insert(header, HeaderValue::from_bytes(value).unwrap());
    Request::new(http)
}

fn tags(tags: &[&str]) -> ETagCondition {
    ETagCondition::OneOf(tags.iter().map(|tag| ETag::parse(tag).unwrap()).collect())
}

#[test]
fn absent_headers_are_valid_except_session_id() {
    let none = Request::new(lambda_http::Request::default());
    assert!(matches!(none.session_id(), Err(Problem::InvalidSessionId)));
    assert_eq!(none.ttl(&LIMITS).unwrap(), None);
    assert_eq!(none.user_change().unwrap(), Change::Keep);
    assert_eq!(none.media_type().unwrap(), MediaType::default());
    assert_eq!(none.if_match().unwrap(), ETagCondition::Any);
    assert_eq!(none.if_none_match().unwrap(), None);
}

#[test]
fn ttl_is_whole_seconds_clamped_to_the_limit() {
    let ttl = |value: &str| request(SESSION_TTL, value.as_bytes()).ttl(&LIMITS);
    for (value, seconds) in
        [("1", 1), ("3600", 3600), ("0060", 60), ("3601", 3600), ("99999999999999999999", 3600)]
    {
        assert_eq!(ttl(value).unwrap(), Some(Duration::from_secs(seconds)), "{value}");
    }
    for bad in ["", "0", "00", "-1", "+1", "1.5", "1e3", "one", "1 ", "1,1"] {
        let Problem::InvalidHeader { header, expected } = ttl(bad).unwrap_err() else {
            panic!("{bad}");
        };
        assert_eq!(header, "Session-TTL");
        assert_eq!(expected, "a whole number of seconds, 1 or more");
    }
}

#[test]
fn entity_tags_follow_rfc_9110() {
    let parse = |value: &str| request(IF_NONE_MATCH, value.as_bytes()).if_none_match();
    for (value, expected) in [
        ("*", ETagCondition::Any),
        (" * ", ETagCondition::Any),
        ("\"a\"", tags(&["a"])),
        ("W/\"a\"", tags(&["a"])),
        ("\"\"", tags(&[""])),
        ("\"a,b\" ,, W/\"c\",", tags(&["a,b", "c"])),
    ] {
        assert_eq!(parse(value).unwrap(), Some(expected), "{value}");
    }
    for bad in ["", ",", "a", "\"a", "a\"", "\"a\" \"b\"", "w/\"a\"", "\"a b\"", "*, \"a\"", "'a'"]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
    let many = |n| vec!["\"a\""; n].join(",");
    assert!(parse(&many(100)).is_ok());
    assert!(parse(&many(101)).is_err());
}

#[test]
fn first_return_preference_counts() {
    for (value, expected) in [
        ("return=representation", true),
        ("Return=\"Representation\"; x=1", true),
        ("return=representation, return=minimal", true),
        ("return=minimal, return=representation", false),
        ("respond-async, return=representation", true),
        ("a=\"b, return=representation\"", false),
        ("a=\"b, return=minimal\", return=representation", true),
        ("return", false),
        ("", false),
    ] {
        let request = request(PREFER, value.as_bytes());
        assert_eq!(request.prefers_representation(), expected, "{value}");
    }
}

#[test]
fn weak_tags_never_match_if_match() {
    let parsed = |value| request(IF_MATCH, value).if_match().unwrap();
    assert_eq!(parsed(b"W/\"a\", \"b\""), tags(&["b"]));
    assert_eq!(parsed(b"W/\"a\""), tags(&[]));
}

proptest! {
    #[test]
    fn header_values_never_panic_and_are_validated(
        value in prop_oneof![
            "[A-Za-z0-9_,-]{20,130}".prop_map(String::into_bytes),
            "[!-~]{0,10}/?[ -~]{0,300}".prop_map(String::into_bytes),
            prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 0..300),
        ],
    ) {
        let of = |name| request(name, &value);
        let all = |allowed: fn(&u8) -> bool| value.iter().all(allowed);
        match of(SESSION_ID).session_id() {
            Ok(id) => prop_assert_eq!(id.expose().as_bytes(), &value),
            Err(_) => prop_assert!(
                !(22..=128).contains(&value.len())
                    || !all(|b| b.is_ascii_alphanumeric() || b"_,-".contains(b))
            ),
        }
        match of(SESSION_USER).user_change() {
            Ok(Change::Set(user)) => prop_assert_eq!(user.expose().as_bytes(), &value),
            Ok(change) => {
                prop_assert_eq!(change, Change::Remove);
                prop_assert!(value.is_empty() || value == b"\"\"");
            }
            Err(_) => prop_assert!(
                !(0..=256).contains(&value.len()) || !all(|b| (0x21..=0x7e).contains(b))
            ),
        }
        if let Ok(media_type) = of(CONTENT_TYPE).media_type() {
            prop_assert_eq!(media_type.as_str().as_bytes(), &value);
        }
        if let Ok(Some(ttl)) = of(SESSION_TTL).ttl(&LIMITS) {
            prop_assert!((1..=3600).contains(&ttl.as_secs()));
        }
        let _ = of(IF_MATCH).if_match();
        let _ = of(IF_NONE_MATCH).if_none_match();
    }

    #[test]
    fn lists_of_entity_tags_are_parsed_back(
        list in prop::collection::vec((any::<bool>(), "[!#-~]{0,30}"), 1..20), space in "[ \t]{0,3}",
    ) {
        let mark = |weak: bool| if weak { "W/" } else { "" };
        let written: Vec<_> = list.iter().map(|(w, tag)| format!("{}\"{tag}\"", mark(*w))).collect();
        let written = written.join(&format!("{space},{space}"));
        let expected: Vec<_> = list.iter().map(|(w, tag)| (*w, tag.as_str())).collect();
        prop_assert_eq!(entity_tags(&written), Some(expected));
    }
}
