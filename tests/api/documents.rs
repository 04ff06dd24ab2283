//! The commands in the docs produce the output that the docs show.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::watch::Local;

/// A command in a document, and the output that the document shows for it.
#[derive(Debug, PartialEq)]
struct Example {
    command: String,
    output: String,
}

/// Reads the `console` blocks in a Markdown document. A command starts with `$`. If a line ends with a backslash, a
/// pipe, or an open parenthesis, the command continues on the next line.
fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut indent = None;
    for line in markdown.lines() {
        let text = line.trim_start();
        if text == "```console" {
            indent = Some(line.len() - text.len());
            continue;
        }
        let Some(spaces) = indent else { continue };
        if text == "```" {
            indent = None;
            continue;
        }
        let line = line.get(spaces..).unwrap_or_default();
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => {
                examples.push(Example { command: command.to_owned(), output: String::new() });
            }
            (None, Some(Example { command, output }))
                if output.is_empty() && command.ends_with(['\\', '|', '(']) =>
            {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some(Example { output, .. })) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    examples
}

/// Replaces whatever differs between runs: times, ETags, handles, and request ids.
fn normalized(output: &str) -> String {
    let words = output.trim().split_inclusive(|c: char| c.is_whitespace() || "\",".contains(c));
    let word = |word: &str| {
        let bare = word.trim_end_matches(|c: char| c.is_whitespace() || "\",".contains(c));
        let end = &word[bare.len()..];
        let is_id = |length| {
            bare.len() == length
                && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.contains('T');
        if is_id(34) || is_id(43) || is_id(36) || is_time {
            format!("…{end}")
        } else {
            word.to_owned()
        }
    };
    let text: String = words.map(word).collect();
    let lines = text.lines().map(str::trim_end);
    lines
        .map(|line| if line.starts_with("date: ") { "date: …" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs a document's commands in one shell and compares what they print.
fn check(markdown: &str, url: &str, before: &str) {
    let is_run = |example: &&Example| {
        // These commands are for people's own machines and accounts.
        !["make", "rustup", "aws", "PATH", "cargo"]
            .iter()
            .any(|word| example.command.starts_with(word))
    };
    let all = examples(markdown);
    let examples: Vec<_> = all.iter().filter(is_run).collect();
    assert!(examples.len() > 3, "the document has only {} examples", examples.len());
    let mark = "---- next ----";
    let mut script = before.to_owned();
    for example in &examples {
        script.push_str(&format!("echo '{mark}'\n{}\necho\n", example.command));
    }
    let script = script.replace("http://localhost:9000", url);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents");
    std::fs::create_dir_all(&folder).unwrap();
    let started = Instant::now();
    let run = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    // If the run started just before a new second began, lifetimes can be another second shorter.
    let seconds = started.elapsed().as_secs() + 1;
    let printed = String::from_utf8(run.stdout).unwrap();
    let outputs: Vec<_> = printed.split(mark).skip(1).collect();
    assert_eq!(outputs.len(), examples.len(), "{printed}");
    for (example, output) in examples.iter().zip(outputs) {
        let shown = normalized(&example.output);
        let output = with_elapsed_lifetime(&normalized(output), &shown, seconds);
        assert_eq!(output, shown, "{}", example.command);
    }
}

/// Replaces a remaining lifetime with the one shown if it's at most `seconds` shorter.
fn with_elapsed_lifetime(printed: &str, shown: &str, seconds: u64) -> String {
    let lifetime = |line: &str| line.strip_prefix("session-ttl: ")?.parse::<u64>().ok();
    let mut shown = shown.lines();
    let mut as_shown = |line: &str| {
        let shown = shown.next()?;
        let elapsed = lifetime(shown)?.checked_sub(lifetime(line)?)?;
        (elapsed <= seconds).then_some(shown)
    };
    let lines = printed.lines().map(|line| as_shown(line).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "requires cargo-lambda: make test installs it and runs this too"]
fn documented_commands_print_the_documented_output() {
    let local = Local::start("documents");
    check(include_str!("../../README.md"), local.url(), "");
    let create = "API=http://localhost:9000\nID=$(curl -s -i $API/session -H 'Content-Type: application/json' \
                  -d '{\"cart\":[\"apple\"]}' | tr -d '\\r' | sed -n 's/^session-id: //p')\n";
    check(include_str!("../../docs/api.md"), local.url(), create);
}

#[test]
fn console_blocks_are_read_as_commands_and_output() {
    let markdown = "text\n\n   ```console\n   $ a \\\n       b\n   one\n\n   two\n   $ c\n   ```\n```sh\n$ d\n```\n";
    let example = |command: &str, output: &str| Example {
        command: command.to_owned(),
        output: output.to_owned(),
    };
    assert_eq!(examples(markdown), [example("a \\\n    b", "one\n\ntwo\n"), example("c", "")]);
}

#[test]
fn lifetimes_may_be_shorter_by_the_time_that_passed() {
    let shown = "etag: …\nsession-ttl: 3600\n\ndata";
    for (printed, matches) in [("3600", true), ("3598", true), ("3597", false), ("3601", false)] {
        let printed = shown.replace("3600", printed);
        assert_eq!(with_elapsed_lifetime(&printed, shown, 2) == shown, matches, "{printed}");
    }
}

#[test]
fn times_and_ids_do_not_count() {
    let shown = "etag: \"DlMCnEC2caXwpcDfNrDXCw.uCQDvikCdHM\"\ndate: Wed, 25 Nov 2026 02:57:20 GMT\nsession-ttl: 60";
    let printed = "etag: \"AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAA\"\r\ndate: Thu, 26 Nov 2026 02:57:20 GMT\nsession-ttl: 60\n";
    assert_eq!(normalized(shown), normalized(printed));
    assert_ne!(normalized(shown), normalized(&printed.replace("60", "61")));
}
