//! Connections to DynamoDB that end while a function is idle or frozen. The functions run as they do on Lambda,
//! between stand-ins for its Runtime API and for DynamoDB.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};

use crate::harness::{
    App, CREATE_WITH_ID, DESTROY, TARGET, Timeouts, engine, every_request, read_request, route,
};

/// How DynamoDB's side ends its connections.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Fin,
    Reset,
}

/// A stand-in for DynamoDB, backed by the tests' engine.
#[derive(Clone)]
struct Dynamodb {
    url: String,
    calls: Arc<Mutex<Vec<String>>>,
    /// Tells all connections to end. Each holds a receiver while it's open.
    end: watch::Sender<Option<End>>,
}

impl Dynamodb {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let dynamodb = Self { url, calls: Arc::default(), end: watch::Sender::default() };
        tokio::spawn({
            let dynamodb = dynamodb.clone();
            async move {
                loop {
                    let (connection, _) = listener.accept().await.unwrap();
                    tokio::spawn(dynamodb.clone().serve(connection));
                }
            }
        });
        dynamodb
    }

    async fn serve(self, connection: TcpStream) {
        let mut end = self.end.subscribe();
        end.mark_unchanged();
        let mut connection = BufReader::new(connection);
        loop {
            let (head, body) = tokio::select! {
                request = read_request(&mut connection) => match request {
                    Some(request) => request,
                    None => return,
                },
                _ = end.changed() => {
                    if *end.borrow() == Some(End::Reset) {
                        connection.get_ref().set_zero_linger().unwrap();
                    }
                    return;
                }
            };
            let operation = head.iter().find_map(|line| line.strip_prefix(TARGET)).unwrap();
            self.calls.lock().unwrap().push(operation.to_owned());
            let parameters = serde_json::from_slice(&body).unwrap();
            let (status, body) = match engine::call(operation.to_owned(), parameters).await {
                Ok(body) => ("200 OK", body.to_string()),
                Err(body) => ("400 Bad Request", body),
            };
            respond(&mut connection, status, "", &body).await;
        }
    }

    /// Ends all connections and returns once they're closed. There must be at least one.
    async fn end_connections(&self, how: End) {
        assert!(self.end.receiver_count() > 0, "the function has no connection");
        self.end.send(Some(how)).unwrap();
        self.end.closed().await;
        moment().await;
    }

    fn take_calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        // A list reads its sessions concurrently.
        calls.sort();
        calls
    }
}

/// A function in a Lambda execution environment.
struct Function {
    process: Child,
    events: UnboundedSender<Value>,
    payloads: UnboundedReceiver<Value>,
    /// Has a permit once the function waits for an event.
    idle: Arc<Semaphore>,
}

impl Function {
    async fn start(name: &str, table: &str, dynamodb: &Dynamodb) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let runtime_api = listener.local_addr().unwrap().to_string();
        let (events, received) = unbounded_channel();
        let (sender, payloads) = unbounded_channel();
        let idle = Arc::new(Semaphore::new(0));
        tokio::spawn(serve_runtime_api(listener, received, sender, idle.clone()));
        // Cargo builds all functions into one folder.
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_read")).with_file_name(name);
        let process = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", "test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "7")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("TABLE_NAME", table)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { process, events, payloads, idle }
    }

    /// Returns once the function waits for an event.
    async fn idle(&self) {
        self.idle.acquire().await.unwrap().forget();
    }

    /// Sends an event. A frozen function finds it when it thaws.
    async fn send(&self, event: &Value) {
        self.events.send(event.clone()).unwrap();
        moment().await;
    }

    /// Returns the function's response to an event.
    async fn payload(&mut self) -> Value {
        self.payloads.recv().await.unwrap()
    }

    async fn signal(&self, signal: &str) {
        let kill = format!("kill -s {signal} {}", self.process.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        moment().await;
    }
}

/// Gives a signal, or something sent over a connection, time to arrive.
async fn moment() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Serves Lambda's Runtime API to a function, which uses only one connection.
async fn serve_runtime_api(
    listener: TcpListener,
    mut events: UnboundedReceiver<Value>,
    payloads: UnboundedSender<Value>,
    idle: Arc<Semaphore>,
) -> Option<()> {
    let (connection, _) = listener.accept().await.unwrap();
    let mut connection = BufReader::new(connection);
    loop {
        let (head, body) = read_request(&mut connection).await?;
        if head[0].starts_with("GET ") {
            idle.add_permits(1);
            let id = "lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                      lambda-runtime-deadline-ms: 9999999999999\r\n";
            respond(&mut connection, "200 OK", id, &events.recv().await?.to_string()).await;
        } else {
            payloads.send(serde_json::from_slice(&body).unwrap()).ok()?;
            respond(&mut connection, "202 Accepted", "", "").await;
        }
    }
}

async fn respond(connection: &mut BufReader<TcpStream>, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let response = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
    // The client may be gone.
    let _ = connection.write_all(response.as_bytes()).await;
}

#[tokio::test]
async fn connections_that_ended_while_a_function_slept_cause_no_extra_calls_or_failures() {
    for event in every_request() {
        let payload = event.event();
        let route = route(event.0);
        let table = engine::create_table().await;
        let app = App::connect(&table, engine::endpoint(), Timeouts::Long).with_real_clock();
        let dynamodb = Dynamodb::start().await;
        let mut function = Function::start(&route.function, &table, &dynamodb).await;
        let mut expected = None;
        for (end, is_frozen) in [
            (None, false),
            (Some(End::Fin), false),
            (Some(End::Fin), true),
            (Some(End::Reset), false),
            (Some(End::Reset), true),
        ] {
            app.send(DESTROY).await;
            if event != CREATE_WITH_ID {
                app.send(CREATE_WITH_ID).await;
            }
            function.idle().await;
            dynamodb.take_calls();
            if is_frozen {
                function.signal("STOP").await;
            }
            if let Some(end) = end {
                dynamodb.end_connections(end).await;
            }
            function.send(&payload).await;
            if is_frozen {
                function.signal("CONT").await;
            }
            let status = function.payload().await["statusCode"].as_u64().unwrap();
            assert!((200..300).contains(&status), "{event}: {status} after {end:?}");
            let calls = dynamodb.take_calls();
            let expected = expected.get_or_insert_with(|| calls.clone());
            assert_eq!(calls, *expected, "{event} after {end:?}");
        }
    }
}
