//! A function as Lambda runs it: a process of its own, which this harness serves the
//! [Lambda Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) to.

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

/// How long a function may take for anything before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a function said to the Runtime API, and when it arrived.
enum Said {
    /// It waits for the next event, which ends its init the first time.
    Next(Instant),
    /// It answered an event.
    Answer(Instant, Bytes),
    /// It failed.
    Error(Bytes),
}

struct RuntimeApi {
    said: UnboundedSender<Said>,
    events: Mutex<UnboundedReceiver<Bytes>>,
}

/// A running function, which waits for an event.
pub(crate) struct Function {
    child: Child,
    cpu_clock: ClockId,
    events: UnboundedSender<Bytes>,
    said: UnboundedReceiver<Said>,
    lines: UnboundedReceiver<String>,
    server: tokio::task::JoinHandle<()>,
    /// From the spawn of the process to its first call for an event.
    pub(crate) init: Duration,
    _quota: Option<Quota>,
}

/// An answer of a function in the form that API Gateway expects.
pub(crate) struct Answer {
    /// From the event's way out to the whole answer's arrival.
    pub(crate) took: Duration,
    payload: Bytes,
}

impl Answer {
    /// The body, of an answer with this HTTP status.
    pub(crate) fn body(&self, expected: u64) -> Result<String> {
        let reply: Value = serde_json::from_slice(&self.payload)?;
        let status = reply.get("statusCode").and_then(Value::as_u64).context("no statusCode")?;
        let body = reply.get("body").and_then(Value::as_str).unwrap_or_default();
        ensure!(status == expected, "answered {status} in place of {expected}: {body}");
        Ok(body.to_owned())
    }
}

impl Function {
    /// Starts the function, and imposes the quota at the end of its init, as Lambda does.
    pub(crate) async fn start(command: &mut Command, quota: Option<Quota>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (says, mut said) = unbounded_channel();
        let (events, queue) = unbounded_channel();
        let api = Arc::new(RuntimeApi { said: says, events: Mutex::new(queue) });
        let server = tokio::spawn(serve(listener, api));

        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{:?} does not start", command.as_std().get_program()))?;
        let process = child.id().context("the function ended at once")?;
        if let Some(quota) = &quota {
            quota.admit(process)?;
        }
        let (sends, mut lines) = unbounded_channel();
        forward(child.stdout.take(), sends.clone());
        forward(child.stderr.take(), sends);

        let next = tokio::select! {
            heard = tokio::time::timeout(PATIENCE, said.recv()) => heard.ok().flatten(),
            _ = child.wait() => None,
        };
        let Some(Said::Next(at)) = next else {
            bail!("{:?} failed at init:\n{}", command.as_std(), remaining(&mut lines).await);
        };
        if let Some(quota) = &quota {
            quota.impose()?;
        }
        Ok(Self {
            cpu_clock: clock_getcpuclockid(Pid::from_raw(process.try_into()?))?,
            init: at - started,
            child,
            events,
            said,
            lines,
            server,
            _quota: quota,
        })
    }

    /// Sends an event and waits until the function has answered and asks for the next.
    pub(crate) async fn invoke(&mut self, event: &Bytes) -> Result<Answer> {
        while self.lines.try_recv().is_ok() {}
        let sent = Instant::now();
        self.events.send(event.clone())?;
        let answer = match self.hear().await? {
            Said::Answer(at, payload) => Answer { took: at - sent, payload },
            Said::Next(_) => bail!("the function asked for the next event before it answered"),
            Said::Error(error) => bail!("the function failed: {}", String::from_utf8_lossy(&error)),
        };
        match self.hear().await? {
            Said::Next(_) => Ok(answer),
            _ => bail!("the function answered twice"),
        }
    }

    async fn hear(&mut self) -> Result<Said> {
        match tokio::time::timeout(PATIENCE, self.said.recv()).await {
            Ok(Some(said)) => Ok(said),
            _ => bail!("the function says nothing:\n{}", remaining(&mut self.lines).await),
        }
    }

    /// The line that the last request left in the log.
    pub(crate) async fn log_line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await?;
        line.context("the function's log has ended")
    }

    /// CPU time of the process since its start, user and system, of all its threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(clock_gettime(self.cpu_clock)?.into())
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let process = self.child.id().context("the function has ended")?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(kib.context("the kernel does not tell VmHWM")?.parse()?)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.server.abort();
        Ok(self.child.kill().await?)
    }
}

async fn serve(listener: TcpListener, api: Arc<RuntimeApi>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .with_state(api);
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // It ends with the task; until then it only ever fails to accept, and tries again.
    let _ = axum::serve(listener, router).await;
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let mut events = api.events.lock().await;
    let _ = api.said.send(Said::Next(Instant::now()));
    let Some(event) = events.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now() + Duration::from_secs(15);
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

async fn answer(State(api): State<Arc<RuntimeApi>>, payload: Bytes) -> StatusCode {
    let _ = api.said.send(Said::Answer(Instant::now(), payload));
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<RuntimeApi>>, payload: Bytes) -> StatusCode {
    let _ = api.said.send(Said::Error(payload));
    StatusCode::ACCEPTED
}

/// Passes on what the function prints, line by line, so that it never waits for a reader.
fn forward(output: Option<impl AsyncRead + Unpin + Send + 'static>, to: UnboundedSender<String>) {
    let Some(output) = output else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if to.send(line).is_err() {
                break;
            }
        }
    });
}

/// What the function printed and nobody read yet.
async fn remaining(lines: &mut UnboundedReceiver<String>) -> String {
    let mut text = String::new();
    let quiet = Duration::from_millis(200);
    while let Ok(Some(line)) = tokio::time::timeout(quiet, lines.recv()).await {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
