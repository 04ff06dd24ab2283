//! Property tests: the merge agrees with a model, and accepts valid JSON and nothing else.

use super::*;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use serde_json::value::RawValue;

fn merged(data: &str, patch: &str) -> String {
    let merged = MergePatch::parse(patch.as_bytes()).unwrap().apply(data.as_bytes()).unwrap();
    String::from_utf8(merged).unwrap()
}

/// JSON that the model can merge. Texts are compared byte for byte.
#[derive(Debug, Clone)]
enum Json {
    Text(&'static str),
    Object(Vec<(Key, Json)>),
}

/// A number that identifies a name, and one way to spell that name.
type Key = (usize, &'static str);

impl Json {
    fn render(&self, space: &str) -> String {
        match self {
            Self::Text(text) => format!("{space}{text}{space}"),
            Self::Object(members) => {
                let member = |((_, name), value): &(Key, Self)| {
                    format!("{space}{name}{space}:{}", value.render(space))
                };
                let members: Vec<_> = members.iter().map(member).collect();
                format!("{space}{{{}{space}}}{space}", members.join(","))
            }
        }
    }

    /// Applies a patch following the pseudocode in RFC 7396, section 2, but allows repeated names.
    fn merge(self, patch: &Self) -> Self {
        let Self::Object(patch) = patch else { return patch.clone() };
        let Self::Object(mut members) = self else {
            return Self::Object(vec![]).merge(&Self::Object(patch.clone()));
        };
        for (index, ((id, _), _)) in patch.iter().enumerate() {
            if patch[..index].iter().any(|((earlier, _), _)| earlier == id) {
                continue;
            }
            let (name, value) = patch.iter().rfind(|((other, _), _)| other == id).unwrap();
            let last = members.iter().rposition(|((other, _), _)| other == id);
            if matches!(value, Self::Text("null")) {
                members.retain(|((other, _), _)| other != id);
            } else if let Some(last) = last {
                members[last].1 = members[last].1.clone().merge(value);
                let mut position = 0..;
                members.retain(|((other, _), _)| position.next() == Some(last) || other != id);
            } else {
                members.push((*name, Self::Text("null").merge(value)));
            }
        }
        Self::Object(members)
    }
}

/// The first eight are names that any parser can read.
const NAMES: [Key; 14] = [
    (0, r#""a""#),
    (0, r#""\u0061""#),
    (1, r#""b""#),
    (2, r#""""#),
    (3, r#""{\"""#),
    (3, r#""{\u0022""#),
    (4, r#""😀""#),
    (4, r#""\ud83d\ude00""#),
    (5, r#""\ud83d""#),
    (5, r#""\uD83D""#),
    (6, r#""\ude00""#),
    (7, r#""$serde_json::private::Number""#),
    (8, r#""$serde_json::private::RawValue""#),
    (9, r#""\ude00\ud83d""#),
];
const TEXTS: [&str; 11] = [
    "null",
    "null",
    "1",
    "-0.0",
    "1E5",
    "[]",
    r#"[null,{"a":null}]"#,
    r#""}\",""#,
    "1e999",
    r#""\ud800""#,
    r#"[{"a":"\udfff"}]"#,
];

fn json(names: &'static [Key], texts: &'static [&'static str]) -> impl Strategy<Value = Json> {
    let text = select(texts).prop_map(Json::Text);
    text.prop_recursive(4, 40, 6, move |value| {
        prop::collection::vec((select(names), value), 0..6).prop_map(Json::Object)
    })
}

fn any_json() -> impl Strategy<Value = Json> {
    json(&NAMES, &TEXTS)
}

/// JSON that a [`Value`] can hold.
fn simple_json() -> impl Strategy<Value = Json> {
    json(&NAMES[..8], &TEXTS[..8])
}

fn space() -> impl Strategy<Value = &'static str> {
    select(&["", " ", "\r\n\t"][..])
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// The pseudocode in RFC 7396, section 2.
fn merge_values(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge_values(&mut target[name], value);
        }
    }
}

proptest! {
    #[test]
    fn merge_equals_the_model(data in any_json(), patch in any_json(), spaces in (space(), space())) {
        let text = merged(&data.render(spaces.0), &patch.render(spaces.1));
        let without_spaces: String = text.split_ascii_whitespace().collect();
        prop_assert_eq!(without_spaces, data.merge(&patch).render(""));
        prop_assert!(is_json(text.as_bytes()));
    }

    #[test]
    fn merge_equals_the_pseudocode_in_the_rfc(data in simple_json(), patch in simple_json(), space in space()) {
        let (data, patch) = (data.render(space), patch.render(space));
        let mut expected = serde_json::from_str(&data).unwrap();
        merge_values(&mut expected, &serde_json::from_str(&patch).unwrap());
        let merged: Value = serde_json::from_str(&merged(&data, &patch)).unwrap();
        prop_assert_eq!(merged, expected);
    }

    #[test]
    fn second_merge_changes_nothing(data in any_json(), patch in any_json(), spaces in (space(), space())) {
        let patch = patch.render(spaces.1);
        let once = merged(&data.render(spaces.0), &patch);
        prop_assert_eq!(merged(&once, &patch), once);
    }

    #[test]
    fn empty_patch_changes_no_object(data in any_json(), space in space()) {
        prop_assume!(matches!(data, Json::Object(_)));
        let data = data.render(space);
        prop_assert_eq!(merged(&data, "{}"), data);
    }

    #[test]
    fn only_valid_json_is_accepted(
        json in any_json(), patch in any_json(), space in space(), at in any::<Index>(),
        edit in select(&["", "{", "}", "[", "]", ",", ":", "\"", "\\", "1", " ", "n"][..]),
    ) {
        let mut text = json.render(space).into_bytes();
        let at = at.index(text.len());
        text.splice(at..=at, edit.bytes());
        let valid = is_json(&text);
        prop_assert_eq!(MergePatch::parse(&text).is_ok(), valid);
        let patch = patch.render("");
        prop_assert_eq!(MergePatch::parse(patch.as_bytes()).unwrap().apply(&text).is_ok(), valid);
    }
}
