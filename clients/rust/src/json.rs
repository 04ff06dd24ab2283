//! Session data as JSON that other frameworks may have written.
//!
//! What Rust can't represent, such as half an emoji, `NaN` or a number of 30 digits, is read as the closest value, and
//! keeps its original text until the app changes its key.

use std::collections::HashMap;

use serde_json::Value;

use crate::Data;

/// Original text of values that we would write differently, by key.
pub(crate) type Texts = HashMap<String, String>;

/// Parses a JSON object. Returns `None` if the text isn't one.
pub(crate) fn parse(text: &[u8]) -> Option<(Data, Texts)> {
    let (mut data, mut texts) = (Data::new(), Texts::new());
    for (key, value) in members(std::str::from_utf8(text).ok()?)? {
        let Value::String(key) = parse_value(key)? else { return None };
        let parsed = parse_value(value)?;
        texts.remove(&key);
        let written = parsed.to_string();
        if written != value {
            texts.insert(key.clone(), value.to_owned());
        }
        data.insert(key, parsed);
    }
    Some((data, texts))
}

/// Writes data as JSON. Values that haven't changed since they were read keep their original text.
pub(crate) fn write(data: &Data, read: &Data, texts: &Texts) -> String {
    let members: Vec<String> = data
        .iter()
        .map(|(key, value)| {
            let text = texts.get(key).filter(|_| read.get(key) == Some(value));
            let key = Value::from(key.as_str());
            format!("{key}:{}", text.cloned().unwrap_or_else(|| value.to_string()))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Splits a JSON object into its keys and values.
fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inside.trim().is_empty() {
        return Some(Vec::new());
    }
    split(inside, b',')
        .into_iter()
        .map(|member| match split(member, b':')[..] {
            [key, value] => Some((key.trim(), value.trim())),
            _ => None,
        })
        .collect()
}

/// Splits JSON at separators that aren't inside a string, an array or an object.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut is_string, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if byte == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_value(text: &str) -> Option<Value> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&approximate(text))).ok()
}

/// Replaces lone halves of surrogate pairs with U+FFFD, and numbers that aren't finite with null.
fn approximate(text: &str) -> String {
    let (mut result, mut rest, mut is_string) = (String::new(), text, false);
    while let Some(first) = rest.chars().next() {
        let (length, replacement) = match first {
            '\\' if is_string => approximate_escape(rest),
            _ if !is_string && is_of_number(first) => {
                let end = rest.find(|other| !is_of_number(other)).unwrap_or(rest.len());
                let is_infinite = rest[..end].parse().is_ok_and(|number: f64| !number.is_finite());
                (end, is_infinite.then_some("null"))
            }
            _ => {
                is_string ^= first == '"';
                (first.len_utf8(), None)
            }
        };
        result.push_str(replacement.unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    result
}

fn is_of_number(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
}

/// Returns the length of the escape sequence at the beginning of the text, and what to replace it with.
fn approximate_escape(text: &str) -> (usize, Option<&'static str>) {
    match (code_unit(text), text.get(6..).and_then(code_unit)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, None),
        (Some(0xD800..=0xDFFF), _) => (6, Some("\\ufffd")),
        _ => (text.chars().take(2).map(char::len_utf8).sum(), None),
    }
}

fn code_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_from_other_frameworks_stays_as_it_is() {
        for value in [
            "1180591620717411303424",
            "1.10",
            "1E400",
            "NaN",
            "-Infinity",
            r#""half \ud83d, whole \ud83d\ude00, \\ud83d \"""#,
            r#"{"b": [1, {"}": "\"],:"}], "a": "\udc00\ud83d"}"#,
        ] {
            let text = format!(r#" {{ "a:,\"" : {value} , "n":1}}"#);
            let (mut data, texts) = parse(text.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            let read = data.clone();
            data.insert("n".to_owned(), json!(2));
            let written = write(&data, &read, &texts);
            let members = [format!(r#""a:,\"":{value}"#), r#""n":2"#.to_owned()];
            let [one, other] = &members;
            let either = [format!("{{{one},{other}}}"), format!("{{{other},{one}}}")];
            assert!(either.contains(&written), "{written}");
        }
    }

    #[test]
    fn a_value_that_the_app_changes_does_not_keep_its_text() {
        let (read, texts) = parse(br#"{"a":1.10}"#).unwrap();
        let data = Data::from([("a".to_owned(), json!(2))]);
        assert_eq!(write(&data, &read, &texts), r#"{"a":2}"#);
    }

    #[test]
    fn values_that_rust_cannot_represent_are_approximated() {
        let (data, _) = parse(br#"{"text":"a\ud83dz","none":[NaN,1e400],"b":true}"#).unwrap();
        assert_eq!(json!(data), json!({ "text": "a\u{fffd}z", "none": [null, null], "b": true }));
    }

    #[test]
    fn other_text_is_not_an_object() {
        for text in
            ["", "[1]", "1", r#"{"a"}"#, r#"{"a":}"#, r#"{a:1}"#, r#"{"a":1"#, "{\"a\":x}", "{}1"]
        {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_none());
        assert_eq!(parse(b" { } ").unwrap().0, Data::new());
    }
}
