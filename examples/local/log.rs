//! Makes the functions' log lines readable for people.

use serde_json::{Map, Value};

/// Whether a line reports a request that didn't fail inside the API.
pub(crate) fn is_request(line: &str) -> bool {
    parse(line).is_some_and(|entry| entry.contains_key("route") && text(&entry, "level") == "INFO")
}

/// Makes a line of JSON readable. Returns any other line, such as a panic's, unchanged.
pub(crate) fn readable(line: &str) -> String {
    let Some(entry) = parse(line) else { return line.to_owned() };
    let timestamp = text(&entry, "timestamp");
    let mut parts = vec![format!("{}Z", timestamp.get(11..19).unwrap_or_default())];
    if entry.contains_key("route") {
        parts.extend(["route", "status"].map(|name| text(&entry, name)));
        parts.push(format!("{} ms", text(&entry, "ms")));
        parts.extend(counted(&entry, "capacity", "unit", "units"));
        parts.extend(counted(&entry, "retries", "retry", "retries").filter(|_| retried(&entry)));
        parts.extend(["handle", "problem"].map(|name| text(&entry, name)));
    } else {
        parts.extend(["level", "message"].map(|name| text(&entry, name)));
    }
    parts.retain(|part| !part.is_empty());
    let line = parts.join(" ");
    match text(&entry, "cause") {
        cause if cause.is_empty() => line,
        cause => format!("{line}: {cause}"),
    }
}

fn parse(line: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(line).ok().filter(|entry: &Map<_, _>| entry.contains_key("level"))
}

/// A field as text, or nothing if it is absent.
fn text(entry: &Map<String, Value>, name: &str) -> String {
    match entry.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn counted(entry: &Map<String, Value>, name: &str, one: &str, many: &str) -> Option<String> {
    let count = entry.get(name)?.as_f64()?;
    Some(format!("{count} {}", if count == 1.0 { one } else { many }))
}

fn retried(entry: &Map<String, Value>) -> bool {
    entry.get("retries").and_then(Value::as_u64).is_some_and(|retries| retries > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = r#""timestamp":"2026-11-25T12:34:56.789012Z""#;

    #[test]
    fn request_is_one_line() {
        let line = format!(
            r#"{{{TIME},"level":"INFO","request_id":"8e9f","version":"1","route":"POST /session","status":201,"ms":4,"capacity":1.0,"retries":0,"handle":"A1b2C3d4"}}"#
        );
        assert_eq!(readable(&line), "12:34:56Z POST /session 201 4 ms 1 unit A1b2C3d4");
        assert!(is_request(&line));
    }

    #[test]
    fn failed_request_shows_retries_problem_and_cause() {
        let line = format!(
            r#"{{{TIME},"level":"ERROR","route":"GET /session","status":503,"ms":900,"capacity":0.5,"retries":2,"handle":"A1b2C3d4","problem":"unavailable","cause":"timeout: no response"}}"#
        );
        assert_eq!(
            readable(&line),
            "12:34:56Z GET /session 503 900 ms 0.5 units 2 retries A1b2C3d4 unavailable: timeout: no response"
        );
        assert!(!is_request(&line));
    }

    #[test]
    fn warning_shows_its_cause() {
        let line =
            format!(r#"{{{TIME},"level":"WARN","message":"not reached","cause":"refused"}}"#);
        assert_eq!(readable(&line), "12:34:56Z WARN not reached: refused");
        assert!(!is_request(&line));
    }

    #[test]
    fn other_lines_stay_unchanged() {
        for line in ["thread 'main' panicked at src/lib.rs:1:1:", "{}", "[1]", "", "null"] {
            assert_eq!(readable(line), line);
        }
    }
}
