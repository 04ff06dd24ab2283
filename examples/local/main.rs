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
    let serve = async {
        wait_for_functions(options.port).await?;
        print_session(options.port);
        std::future::pending::<Outcome>().await
    };
    let ended = tokio::select! {
        failed = serve => failed,
        ended = watch.wait() => Err(format!("cargo lambda watch ended: {}", ended?).into()),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    stop(watch).await?;
    ended
}

/// Starts everything and gives the emulator, which starts a function at its first request.
async fn start(options: &Options) -> Outcome<Child> {
    // cargo-lambda says nothing of use when its port is taken.
    drop(bind(options.port, "the API").await?);
    let endpoint = start_dynamodb(options).await?;
    compile().await?;
    println!("Starting the functions.");
    let watch = cargo()
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
        .spawn();
    Ok(watch.map_err(|error| format!("cargo: {error}"))?)
}

/// Ends the functions and their emulator, all in one process group.
async fn stop(mut watch: Child) -> Outcome {
    if let Some(group) = watch.id() {
        // The shell's own `kill`: the program of that name is not on every machine.
        Command::new("sh").args(["-c", &format!("kill -s INT -- -{group}")]).status().await?;
        if tokio::time::timeout(Duration::from_secs(5), watch.wait()).await.is_err() {
            Command::new("sh").args(["-c", &format!("kill -s KILL -- -{group}")]).status().await?;
        }
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
    // Another table in the template is another file here, and not an old table that looks like it.
    let file = options.data.join(format!("{:016x}.sqlite", table::fingerprint()?));
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
    let built = cargo().args(["build", "--locked", "--bins"]).status().await?;
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

/// Waits until every function has answered a request.
async fn wait_for_functions(port: u16) -> Outcome {
    for (method, path) in PROBES {
        let url = format!("http://localhost:{port}{path}");
        let mut answered = probe(method, &url).await;
        for _ in 0..100 {
            if answered.is_ok() {
                break;
            }
            // The emulator takes a moment until it listens.
            tokio::time::sleep(Duration::from_millis(100)).await;
            answered = probe(method, &url).await;
        }
        match answered.map_err(|error| format!("{method} {path} does not answer: {error}"))? {
            400 => {}
            status => return Err(format!("{method} {path} answered {status}").into()),
        }
    }
    Ok(())
}

/// Sends a request and gives the status of the answer.
async fn probe(method: &'static str, url: &str) -> Outcome<u16> {
    let request = ureq::http::Request::builder().method(method).uri(url).body(())?;
    let agent: ureq::Agent = ureq::config::Config::builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let sent = tokio::task::spawn_blocking(move || agent.run(request)).await?;
    Ok(sent?.status().as_u16())
}

fn print_session(port: u16) {
    println!(
        r#"
The session API is ready at http://localhost:{port}. In another terminal:

  API=http://localhost:{port}
  ID=$(curl -s -i $API/session -H 'Content-Type: application/json' -d '{{"cart":["apple"]}}' |
         tr -d '\r' | sed -n 's/^session-id: //p')
  curl -i $API/session -H "Session-Id: $ID"
  curl -i $API/session -H "Session-Id: $ID" -X PUT -H 'Content-Type: application/json' \
    -d '{{"cart":["apple","pear"]}}'
  curl -i $API/session/touch -H "Session-Id: $ID" -H 'Session-TTL: 3600' -X POST
  curl -i $API/session -H "Session-Id: $ID" -X DELETE
  curl -i $API/session -H "Session-Id: $ID"

Ctrl-C ends it; the sessions are kept for the next time."#
    );
}
