use super::*;

fn merged(data: &str, patch: &str) -> String {
    let merged = MergePatch::parse(patch.as_bytes()).unwrap().apply(data.as_bytes()).unwrap();
    String::from_utf8(merged).unwrap()
}

#[test]
fn merge_passes_the_examples_of_rfc_7396_appendix_a() {
    for (original, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(original, patch), result, "{original} with {patch}");
    }
}

#[test]
fn merge_keeps_the_bytes_of_everything_else() {
    let data = "\n{ \"n\" : 1E5 , \"big\":1e999,\r\n\t\"u\":\"\\ud800\\u00df\\/\" ,\"o\": { \"x\":-0.0 } , \"a\" : [ 1, 2 ] } ";
    for (patch, old, new) in [
        (r#"{"n":2}"#, "1E5", "2"),
        (r#"{"n":null}"#, "{ \"n\" : 1E5 , ", "{ "),
        (r#"{"big":null}"#, " , \"big\":1e999", ""),
        (r#"{"n":null,"big":null}"#, " \"n\" : 1E5 , \"big\":1e999,", ""),
        (r#"{"a":null}"#, " , \"a\" : [ 1, 2 ] } ", " } "),
        (r#"{"a":null,"new":1}"#, " , \"a\" : [ 1, 2 ] } ", ",\"new\":1 } "),
        (r#"{"new": [ null,{"a":null} ] }"#, "2 ] } ", "2 ],\"new\":[ null,{\"a\":null} ] } "),
        (r#"{"o": {"y": { "z" : 2 } } }"#, "-0.0 } ", "-0.0,\"y\":{\"z\":2} } "),
        (r#"{"o":{"x":null,"y":1}}"#, "{ \"x\":-0.0 } ", "{\"y\":1 } "),
        (r#"{"o":{"x":null}}"#, "{ \"x\":-0.0 } ", "{ } "),
    ] {
        assert!(data.contains(old));
        assert_eq!(merged(data, patch), data.replace(old, new), "{patch}");
    }
}

#[test]
fn merge_that_changes_nothing_returns_the_same_bytes() {
    let data = " { \"a\" :1.0 ,\"o\":{ \"x\" : [ ] , \"y\":{ } } , \"n\":null } ";
    for patch in [
        "{}",
        r#" { "a": 1.0 } "#,
        r#"{"absent":null}"#,
        r#"{"\u0061":1.0}"#,
        r#"{"o":{}}"#,
        r#"{"o":{"x":[ ],"y":{"absent":null}}}"#,
    ] {
        assert_eq!(merged(data, patch), data, "{patch}");
    }
    assert_eq!(merged("\n[ 1 ]\n", " [ 1 ] "), "\n[ 1 ]\n");
}

#[test]
fn names_are_equal_if_their_characters_are() {
    for (name, same, other) in [
        ("a", r"\u0061", "A"),
        ("😀", r"\ud83D\uDe00", r"\ud83d"),
        (r"\ud800", r"\uD800", r"\ud801"),
        (r"\ud800", r"\uD800", r"\udc00"),
        (r"\udc00\ud800", r"\uDC00\uD800", r"\ud800\udc00"),
        (r"\ud800\n", r"\ud800\u000a", r"\ud800n"),
        (r"\ud800", r"\uD800", "\u{fffd}"),
        (r#"\""#, r"\u0022", r"\\"),
        ("", "", r"\u0000"),
    ] {
        let data = format!(r#"{{"{name}":1,"{other}":2}}"#);
        let expected = format!(r#"{{"{name}":3,"{other}":2}}"#);
        assert_eq!(merged(&data, &format!(r#"{{"{same}":3}}"#)), expected);
        let expected = format!(r#"{{"{other}":2}}"#);
        assert_eq!(merged(&data, &format!(r#"{{"{same}":null}}"#)), expected);
    }
}

#[test]
fn names_that_serde_json_uses_internally_have_no_meaning() {
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        for value in [r#""[[[]]]""#, r#""1""#, "1", r#""not JSON""#] {
            let object = format!(r#"{{"{name}":{value}}}"#);
            let inside = format!(r#"{{"o":{object}}}"#);
            assert_eq!(merged(&object, "{}"), object);
            assert_eq!(merged("{}", &object), object);
            assert_eq!(merged(&object, &format!(r#"{{"{name}":null}}"#)), "{}");
            assert_eq!(merged(&inside, r#"{"o":{"a":null}}"#), inside);
            assert_eq!(merged(r#"{"o":1}"#, &inside), inside);
        }
    }
}

#[test]
fn last_member_counts_if_a_name_is_repeated() {
    let data = r#"{"a":{"x":1},"b":1,"a":2,"b":2,"a":{"y":3},"b":3}"#;
    assert_eq!(merged(data, r#"{"a":{"z":4}}"#), r#"{"b":1,"b":2,"a":{"y":3,"z":4},"b":3}"#);
    assert_eq!(merged(data, r#"{"a":null}"#), r#"{"b":1,"b":2,"b":3}"#);
    assert_eq!(merged(data, r#"{"a":0,"b":null,"a":null,"b":4}"#), r#"{"b":4}"#);
    let nested = r#"{"o":{"a":1},"o":{}}"#;
    assert_eq!(merged(nested, r#"{"o":{"a":2}}"#), r#"{"o":{"a":2}}"#);
    assert_eq!(merged("{}", r#"{"c":1,"d":2,"c":3}"#), r#"{"c":3,"d":2}"#);
}

#[test]
fn data_of_any_depth_can_be_patched() {
    let arrays = "[".repeat(100_000) + &"]".repeat(100_000);
    let objects = r#"{"a":"#.repeat(100_000) + "1" + &"}".repeat(100_000);
    for deep in [arrays, objects] {
        let data = format!(r#"{{"deep":{deep},"n":1}}"#);
        assert_eq!(merged(&data, r#"{"n":2}"#), format!(r#"{{"deep":{deep},"n":2}}"#));
        assert_eq!(merged(&data, r#"{"deep":null}"#), r#"{"n":1}"#);
        assert_eq!(merged(&data, r#"{"deep":{"b":1,"a":null}}"#), r#"{"deep":{"b":1},"n":1}"#);
        assert_eq!(
            merged("{}", &format!(r#"{{"deep":[{deep}]}}"#)),
            format!(r#"{{"deep":[{deep}]}}"#)
        );
    }
}

#[test]
fn patch_nests_a_limited_number_of_objects() {
    let nested = |depth: usize| r#"{"a":"#.repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    assert_eq!(merged("1", &nested(128)), nested(128));
    assert_eq!(merged(&nested(200), &nested(128)), nested(200));
    for patch in [nested(129), nested(100_000)] {
        let refused = MergePatch::parse(patch.as_bytes());
        assert!(matches!(refused, Err(Problem::PatchTooDeep { limit: 128 })));
    }
}

const NOT_JSON: [&[u8]; 30] = [
    b"",
    b" ",
    b"{",
    b"}",
    b"{}}",
    b"{} {}",
    b"{,}",
    b"{\"a\":1,}",
    b"{,\"a\":1}",
    b"{\"a\":1,,\"b\":2}",
    b"{\"a\":1 \"b\":2}",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\" 1}",
    b"{\"a\"::1}",
    b"{a:1}",
    b"{1:1}",
    b"{[]:1}",
    b"{\"a\":1",
    b"{\"a\":1]",
    b"{\"a\":01}",
    b"{\"a\":1x}",
    b"{\"a\":truefalse}",
    b"{\"a\":\"\x01\"}",
    b"{\"\x01\":1}",
    b"{\"\\x\":1}",
    b"{\"\\u12\":1}",
    b"{\"a\":\"\xff\"}",
    b"\xef\xbb\xbf{}",
    b"{\"a\":1}\x0b",
];

#[test]
fn malformed_data_and_patches_are_refused() {
    for text in NOT_JSON {
        let shown = String::from_utf8_lossy(text);
        assert!(matches!(MergePatch::parse(text), Err(Problem::InvalidPatch)), "{shown}");
        for patch in ["{}", "1", r#"{"a":2,"x":null}"#, r#"{"a":{}}"#] {
            let patch = MergePatch::parse(patch.as_bytes()).unwrap();
            assert!(matches!(patch.apply(text), Err(Problem::NotJson)), "{shown}");
        }
    }
}

/// With a quadratic algorithm, this would take minutes.
#[test]
fn merge_of_many_members_completes() {
    let members = |value: &str| {
        let members: Vec<_> = (0..60_000).map(|n| format!(r#""{n}":{value}"#)).collect();
        members.join(",")
    };
    let data = format!(r#"{{{},"end":1}}"#, members("1"));
    let patch = format!("{{{}}}", members("null"));
    assert_eq!(merged(&data, &patch), r#"{"end":1}"#);

    let data = format!(r#"{{{}"a":{{}}}}"#, r#""a":{},"#.repeat(60_000));
    let patch = format!(r#"{{"a":{{{}}}}}"#, members("1"));
    assert_eq!(merged(&data, &patch), patch);
}
