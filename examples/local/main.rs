//! The whole session API on this machine: DynamoDB, embedded, and the functions behind
//! `cargo lambda watch`, which routes as API Gateway does. `make run` starts it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the session API on this machine until Ctrl-C.
#[derive(Parser)]
struct Options {
    /// Port of the API
    #[arg(long, default_value_t = 9000, value_name = "PORT")]
    port: u16,
    /// Port of the embedded DynamoDB
    #[arg(long, default_value_t = 8000, value_name = "PORT")]
    dynamodb_port: u16,
    /// Folder that keeps the sessions between runs
    #[arg(long, default_value = "target/local", value_name = "DIR")]
    data: PathBuf,
    /// How much the functions log: off, error, warn, info, debug or trace
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log: String,
}

const TABLE: &str = "sessions";
/// One request to each function that it refuses by itself, which shows that it runs.
const PROBES: [(&str, &str); 4] = [
    ("GET", "/session"),
    ("POST", "/session/touch"),
    ("POST", "/session/rotate"),
    ("DELETE", "/session"),
];

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Outcome {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut watch = tokio::select! {
        started = start(&options) => started?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    print_session(options.port);
    tokio::select! {
        ended = watch.wait() => Err(format!("cargo lambda watch ended: {}", ended?).into()),
        _ = interrupt.recv() => stop(watch).await,
        _ = terminate.recv() => stop(watch).await,
    }
}

/// Starts everything; when it is done, every function has answered a request.
async fn start(options: &Options) -> Outcome<Child> {
    // cargo-lambda says nothing of use when its port is taken.
    drop(bind(options.port, "the API").await?);
    let endpoint = start_dynamodb(options).await?;
    compile().await?;
    println!("Starting the functions.");
    let mut watch = cargo()
        .args(["lambda", "watch", "--ignore-changes", "--quiet", "--disable-cors"])
        .args(["--invoke-address", "127.0.0.1", "--invoke-port", &options.port.to_string()])
        // Otherwise a function answers one request at a time, and a slow one holds up the rest.
        .args(["--concurrency", "8"])
        // Of cargo-lambda's own log the warnings; of the functions' what is asked for.
        .env("RUST_LOG", "warn,watchexec=off")
        .args(["--env-var", &format!("RUST_LOG={}", options.log)])
        .env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("TABLE_NAME", TABLE)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    let url = format!("http://localhost:{}", options.port);
    tokio::select! {
        ended = watch.wait() => Err(format!("cargo lambda watch ended: {}", ended?).into()),
        up = tokio::task::spawn_blocking(move || wait_for_functions(&url)) => {
            up??;
            Ok(watch)
        }
    }
}

/// Ends the functions and their emulator, all in one process group.
async fn stop(mut watch: Child) -> Outcome {
    if let Some(group) = watch.id() {
        Command::new("kill").args(["-s", "INT", "--", &format!("-{group}")]).status().await?;
    }
    if tokio::time::timeout(Duration::from_secs(5), watch.wait()).await.is_err() {
        watch.kill().await?;
    }
    Ok(())
}

async fn bind(port: u16, what: &str) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    Ok(listener.map_err(|error| format!("port {port} for {what}: {error}; choose another"))?)
}

/// Serves an embedded DynamoDB with the table of the template, and gives its URL.
async fn start_dynamodb(options: &Options) -> Outcome<String> {
    std::fs::create_dir_all(&options.data)
        .map_err(|error| format!("{}: {error}", options.data.display()))?;
    let file = options.data.join("dynamodb.sqlite");
    let database = Database::new(&file.to_string_lossy())?;
    let listener = bind(options.dynamodb_port, "DynamoDB").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(10));
        loop {
            tick.tick().await;
            let database = database.clone();
            let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        }
    });
    let at = endpoint.clone();
    tokio::task::spawn_blocking(move || table::create(&at, TABLE)).await??;
    println!("DynamoDB is at {endpoint}, its table {TABLE:?} in {}.", file.display());
    Ok(endpoint)
}

/// Compiles the functions, so that no first request waits for it.
async fn compile() -> Outcome {
    println!("Compiling the functions.");
    let built = cargo().args(["build", "--bins"]).status().await?;
    if built.success() { Ok(()) } else { Err("the functions do not compile".into()) }
}

/// Cargo as a shell would start it. The variables that the cargo around this program has set would
/// make another build of what is compiled already.
fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    let set_by_cargo =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(set_by_cargo) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn wait_for_functions(url: &str) -> Outcome {
    let agent: ureq::Agent = ureq::config::Config::builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    for (method, path) in PROBES {
        let probe = || -> Outcome<_> {
            let request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
            Ok(agent.run(request.body(())?)?.status())
        };
        // The emulator takes a moment until it listens.
        let mut answered = probe();
        for _ in 0..300 {
            if answered.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            answered = probe();
        }
        let status =
            answered.map_err(|error| format!("{method} {path} does not answer: {error}"))?;
        if status != 400 {
            return Err(format!("{method} {path} answered {status}").into());
        }
    }
    Ok(())
}

fn print_session(port: u16) {
    println!(
        r#"
The session API is ready at http://localhost:{port}. In another terminal:

  API=http://localhost:{port}
  ID=$(curl -s $API/session -H 'Content-Type: application/json' -d '{{"cart":["apple"]}}' \
         -o /dev/null -w '%header{{session-id}}')
  curl -i $API/session -H "Session-Id: $ID"
  curl -i $API/session -H "Session-Id: $ID" -X PUT -H 'Content-Type: application/json' \
    -d '{{"cart":["apple","pear"]}}'
  curl -i $API/session/touch -H "Session-Id: $ID" -H 'Session-TTL: 3600' -X POST
  curl -i $API/session -H "Session-Id: $ID" -X DELETE
  curl -i $API/session -H "Session-Id: $ID"

Ctrl-C ends it; the sessions are kept for the next time."#
    );
}
