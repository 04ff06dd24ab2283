//! Runs a function as Lambda does: as a process that receives events from a
//! [Lambda Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), which this
//! harness serves.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::quota::Quota;

/// Time limit for init, for a response and for a log line.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A function's call to the Runtime API, with its arrival time.
enum RuntimeCall {
    /// Request for the next event. The first one ends init.
    Next(Instant),
    /// Response to an event.
    Response(Instant, Bytes),
    /// Failure of an invocation or of init.
    Error(Bytes),
}

struct RuntimeApi {
    /// The function's time limit, which sets each event's deadline.
    time_limit: Duration,
    calls: UnboundedSender<RuntimeCall>,
    events: Mutex<UnboundedReceiver<Bytes>>,
}

/// A running function that is waiting for an event.
pub(crate) struct Function {
    child: Child,
    cpu_clock: ClockId,
    events: UnboundedSender<Bytes>,
    calls: UnboundedReceiver<RuntimeCall>,
    log_lines: UnboundedReceiver<String>,
    server: tokio::task::JoinHandle<()>,
    /// Time from the start of the process to its first request for an event.
    pub(crate) init: Duration,
    _quota: Option<Quota>,
}

/// A function's response, in the format that API Gateway expects.
pub(crate) struct InvocationResponse {
    /// Time from sending the event to receiving the complete response.
    pub(crate) duration: Duration,
    payload: Bytes,
}

impl InvocationResponse {
    /// Returns the body, or an error if the HTTP status is not the expected one.
    pub(crate) fn body(&self, expected_status: u64) -> Result<String> {
        let response: Value = serde_json::from_slice(&self.payload)?;
        let status = response.get("statusCode").and_then(Value::as_u64);
        let status = status.context("the response has no statusCode")?;
        let body = response.get("body").and_then(Value::as_str).unwrap_or_default();
        ensure!(status == expected_status, "status {status} instead of {expected_status}: {body}");
        Ok(body.to_owned())
    }

    /// Returns the complete response.
    pub(crate) fn into_payload(self) -> Bytes {
        self.payload
    }
}

impl Function {
    /// Starts the function, and like Lambda, enforces the quota from the end of init.
    pub(crate) async fn start(
        command: &mut Command,
        time_limit: Duration,
        quota: Option<Quota>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (call_sender, mut calls) = unbounded_channel();
        let (events, event_queue) = unbounded_channel();
        let events_to_send = Mutex::new(event_queue);
        let api = RuntimeApi { time_limit, calls: call_sender, events: events_to_send };
        let api = Arc::new(api);
        let server = tokio::spawn(serve(listener, api));

        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started_at = Instant::now();
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let process = child.id().context("the function exited immediately")?;
        if let Some(quota) = &quota {
            quota.add_process(process)?;
        }
        let (line_sender, mut log_lines) = unbounded_channel();
        forward_lines(child.stdout.take(), line_sender.clone());
        forward_lines(child.stderr.take(), line_sender);

        let first_call = tokio::select! {
            call = tokio::time::timeout(TIMEOUT, calls.recv()) => call.ok().flatten(),
            _ = child.wait() => None,
        };
        let Some(RuntimeCall::Next(ready_at)) = first_call else {
            let output = unread_output(&mut log_lines).await;
            bail!("init of {:?} failed:\n{output}", command.as_std());
        };
        if let Some(quota) = &quota {
            quota.enforce()?;
        }
        Ok(Self {
            cpu_clock: clock_getcpuclockid(Pid::from_raw(process.try_into()?))?,
            init: ready_at - started_at,
            child,
            events,
            calls,
            log_lines,
            server,
            _quota: quota,
        })
    }

    /// Sends an event, and waits for the response and the request for the next event.
    pub(crate) async fn invoke(&mut self, event: &Bytes) -> Result<InvocationResponse> {
        while self.log_lines.try_recv().is_ok() {}
        // A runtime that reconnects while idle requests the next event again.
        while self.calls.try_recv().is_ok() {}
        let sent_at = Instant::now();
        self.events.send(event.clone())?;
        let response = match self.next_call().await? {
            RuntimeCall::Response(received_at, payload) => {
                InvocationResponse { duration: received_at - sent_at, payload }
            }
            RuntimeCall::Next(_) => {
                bail!("the function requested the next event before it responded")
            }
            RuntimeCall::Error(error) => {
                bail!("the invocation failed: {}", String::from_utf8_lossy(&error))
            }
        };
        match self.next_call().await? {
            RuntimeCall::Next(_) => Ok(response),
            _ => bail!("the function responded twice"),
        }
    }

    async fn next_call(&mut self) -> Result<RuntimeCall> {
        let call = tokio::select! {
            biased;
            call = tokio::time::timeout(TIMEOUT, self.calls.recv()) => call.ok().flatten(),
            _ = self.child.wait() => None,
        };
        let Some(call) = call else {
            let output = unread_output(&mut self.log_lines).await;
            bail!("the function stopped calling the Runtime API:\n{output}")
        };
        Ok(call)
    }

    /// Returns the first line that the function logged for the last event.
    pub(crate) async fn log_line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(TIMEOUT, self.log_lines.recv()).await?;
        line.context("the function closed its log")
    }

    /// Returns the CPU time of the process so far: user and system time of all threads.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        Ok(clock_gettime(self.cpu_clock)?.into())
    }

    /// Returns the peak resident memory of the process, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> Result<u64> {
        let process = self.child.id().context("the function has exited")?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(kib.context("the kernel does not report VmHWM")?.parse()?)
    }

    /// Sends no more events, and waits until the process has exited.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.events = unbounded_channel().0;
        tokio::time::timeout(TIMEOUT, self.child.wait()).await.context("it did not exit")??;
        Ok(())
    }

    /// Kills the process.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, api: Arc<RuntimeApi>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .with_state(api);
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // Runs until the task is aborted: axum retries when it fails to accept a connection.
    let _ = axum::serve(listener, router).await;
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let mut events = api.events.lock().await;
    let _ = api.calls.send(RuntimeCall::Next(Instant::now()));
    let Some(event) = events.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now() + api.time_limit;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let function = "arn:aws:lambda:us-east-1:123456789012:function:bench";
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", function.to_owned()),
        ("lambda-runtime-trace-id", "Root=1-6925b0a0-3f1c2d4e5a6b7c8d9e0f1a2b".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(api): State<Arc<RuntimeApi>>, payload: Bytes) -> StatusCode {
    let _ = api.calls.send(RuntimeCall::Response(Instant::now(), payload));
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<RuntimeApi>>, payload: Bytes) -> StatusCode {
    let _ = api.calls.send(RuntimeCall::Error(payload));
    StatusCode::ACCEPTED
}

/// Reads a function's output line by line into a channel, so that the function never blocks on a
/// full pipe.
fn forward_lines(
    output: Option<impl AsyncRead + Unpin + Send + 'static>,
    sender: UnboundedSender<String>,
) {
    let Some(output) = output else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
}

/// Returns the function's output that has not been read yet.
async fn unread_output(log_lines: &mut UnboundedReceiver<String>) -> String {
    let mut text = String::new();
    let quiet = Duration::from_millis(200);
    while let Ok(Some(line)) = tokio::time::timeout(quiet, log_lines.recv()).await {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
