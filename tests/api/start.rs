//! A function's start, which Lambda gives a whole CPU to: it ends with the first call for an event.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::harness::{TARGET, read_request};

/// Answers each request with an empty JSON object, which for Lambda is an invocation, and tells the
/// line of it that begins like this.
async fn serve(listener: TcpListener, telling: &'static str, tells: UnboundedSender<String>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let mut connection = BufReader::new(connection);
        let (head, _) = read_request(&mut connection).await.unwrap();
        for line in head.into_iter().filter(|line| line.starts_with(telling)) {
            if tells.send(line).is_err() {
                return; // The test has seen enough.
            }
        }
        let answer = "HTTP/1.1 200 OK\r\n\
                      connection: close\r\n\
                      content-length: 2\r\n\
                      lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                      lambda-runtime-deadline-ms: 9999999999999\r\n\r\n{}";
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Starts a function and gives what it asked of DynamoDB and of Lambda up to its first call for an
/// event, and the first line of its log.
async fn start(
    program: &str,
    is_dynamodb_there: bool,
) -> (Vec<String>, impl Future<Output = Value>) {
    let lambda = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dynamodb = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let function = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", lambda.local_addr().unwrap().to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "test")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "7")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", dynamodb.local_addr().unwrap()))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("TABLE_NAME", "sessions")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (tells, mut told) = unbounded_channel();
    if is_dynamodb_there {
        tokio::spawn(serve(dynamodb, TARGET, tells.clone()));
    } else {
        drop(dynamodb);
    }
    tokio::spawn(serve(lambda, "GET ", tells));
    let mut asked = Vec::new();
    while !asked.last().is_some_and(|line: &String| line.starts_with("GET ")) {
        asked.push(told.recv().await.unwrap());
    }
    let log = async move {
        // Moves the whole child: a block that captured only its output would drop, and so kill, it.
        let mut function = function;
        let mut lines = BufReader::new(function.stdout.take().unwrap()).lines();
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    (asked, log)
}

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next HTTP/1.1";

#[tokio::test]
async fn the_connection_is_made_by_a_call_that_the_role_allows_and_that_changes_nothing() {
    for (program, action) in [
        (env!("CARGO_BIN_EXE_read"), "GetItem"),
        (env!("CARGO_BIN_EXE_write"), "GetItem"),
        (env!("CARGO_BIN_EXE_rotate"), "GetItem"),
        (env!("CARGO_BIN_EXE_destroy"), "Query"),
    ] {
        let (asked, _) = start(program, true).await;
        assert_eq!(asked, [format!("{TARGET}{action}"), NEXT.into()]);
    }
}

#[tokio::test]
async fn a_function_starts_without_dynamodb_and_says_so() {
    let (asked, log) = start(env!("CARGO_BIN_EXE_read"), false).await;
    assert_eq!(asked, [NEXT]);
    let line = log.await;
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "DynamoDB was not reached at init");
    assert!(line["cause"].as_str().unwrap().contains("did not respond"), "{line}");
}

#[tokio::test]
async fn log_lines_have_the_version_of_the_function() {
    let (_, log) = start(env!("CARGO_BIN_EXE_read"), true).await;
    let line = log.await;
    assert_eq!(line["problem"], "route-not-found");
    assert_eq!(line["version"], "7");
}

#[tokio::test]
async fn init_ends_immediately_without_region_or_credentials() {
    for (missing, expected) in [
        ("AWS_REGION", "AWS_REGION is not set; it must be an AWS region, as in eu-central-1"),
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_ACCESS_KEY_ID is not set; it must be the id of an AWS access key",
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECRET_ACCESS_KEY is not set; \
             it must be the secret of the access key that AWS_ACCESS_KEY_ID names",
        ),
    ] {
        let mut function = Command::new(env!("CARGO_BIN_EXE_read"));
        let function = function
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "Zecret")
            .env("AWS_SESSION_TOKEN", "Zecret")
            .env("TABLE_NAME", "sessions")
            .env_remove(missing);
        let started = std::time::Instant::now();
        let output = function.output().await.unwrap();
        // The metadata service of EC2 would be waited for at least this long.
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{missing}");
        assert!(!output.status.success());
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["message"], expected);
        assert!(!String::from_utf8(output.stdout).unwrap().contains("Zecret"));
    }
}
