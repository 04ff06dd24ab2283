//! A function's init phase: from its start until it first asks for an invocation. During init, Lambda gives the
//! function a full CPU.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::harness::{TARGET, read_request};

/// Answers every request with `{}`, which the Lambda runtime takes for an invocation, and forwards header lines that
/// start with `prefix` to `seen`.
async fn serve(listener: TcpListener, prefix: &'static str, seen: UnboundedSender<String>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let mut connection = BufReader::new(connection);
        let (head, _) = read_request(&mut connection).await.unwrap();
        for line in head.into_iter().filter(|line| line.starts_with(prefix)) {
            if seen.send(line).is_err() {
                return; // The test is over.
            }
        }
        let response = "HTTP/1.1 200 OK\r\n\
                      connection: close\r\n\
                      content-length: 2\r\n\
                      lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                      lambda-runtime-deadline-ms: 9999999999999\r\n\r\n{}";
        connection.write_all(response.as_bytes()).await.unwrap();
    }
}

/// Starts a function. Returns its requests to DynamoDB and Lambda, up to the first one for an invocation, and a
/// future that returns the first line of its log.
async fn start(program: &str, has_dynamodb: bool) -> (Vec<String>, impl Future<Output = Value>) {
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
    let (sender, mut receiver) = unbounded_channel();
    if has_dynamodb {
        tokio::spawn(serve(dynamodb, TARGET, sender.clone()));
    } else {
        // Not just an unused port: another test might get it.
        tokio::spawn(async move {
            while let Ok((connection, _)) = dynamodb.accept().await {
                drop(connection);
            }
        });
    }
    tokio::spawn(serve(lambda, "GET ", sender));
    let mut requests = Vec::new();
    while !requests.last().is_some_and(|line: &String| line.starts_with("GET ")) {
        requests.push(receiver.recv().await.unwrap());
    }
    let log = async move {
        // Move the whole child: capturing only its output would drop the child, and that kills it.
        let mut function = function;
        let mut lines = BufReader::new(function.stdout.take().unwrap()).lines();
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    (requests, log)
}

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next HTTP/1.1";

#[tokio::test]
async fn init_connects_with_a_permitted_read_only_call() {
    for program in
        [env!("CARGO_BIN_EXE_read"), env!("CARGO_BIN_EXE_write"), env!("CARGO_BIN_EXE_destroy")]
    {
        let (requests, _) = start(program, true).await;
        assert_eq!(requests, [format!("{TARGET}GetItem"), NEXT.into()]);
    }
}

#[tokio::test]
async fn function_starts_without_dynamodb_and_logs_a_warning() {
    let (requests, log) = start(env!("CARGO_BIN_EXE_read"), false).await;
    assert_eq!(requests, [NEXT]);
    let line = log.await;
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "DynamoDB was not reached at init");
    assert!(line["cause"].as_str().unwrap().contains("did not respond"), "{line}");
}

#[tokio::test]
async fn log_lines_contain_the_function_version() {
    let (_, log) = start(env!("CARGO_BIN_EXE_read"), true).await;
    let line = log.await;
    assert_eq!(line["problem"], "route-not-found");
    assert_eq!(line["version"], "7");
}

#[tokio::test]
async fn init_fails_without_region_or_credentials_and_never_asks_the_metadata_service() {
    let metadata = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    metadata.set_nonblocking(true).unwrap();
    let metadata_url = format!("http://{}", metadata.local_addr().unwrap());
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
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata_url)
            .env_remove(missing);
        let output = function.output().await.unwrap();
        assert!(!output.status.success());
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["message"], expected);
        assert!(!String::from_utf8(output.stdout).unwrap().contains("Zecret"));
    }
    assert!(metadata.accept().is_err(), "the metadata service was called");
}

#[tokio::test]
async fn init_fails_with_invalid_sdk_variables_and_prints_no_secret() {
    let secret = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"Zecret\xff");
    for (variable, value, expected) in [
        (
            "AWS_USE_FIPS_ENDPOINT",
            "yes".as_ref(),
            "AWS_USE_FIPS_ENDPOINT is \"yes\"; it must be true or false",
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            secret,
            "AWS_SECRET_ACCESS_KEY is not set; \
             it must be the secret of the access key that AWS_ACCESS_KEY_ID names",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_read"))
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "Zecret")
            .env("TABLE_NAME", "sessions")
            .env(variable, value)
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["message"], expected);
    }
}
