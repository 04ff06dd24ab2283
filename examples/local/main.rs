//! Serves the session API on this machine: an embedded DynamoDB, and the functions behind `cargo lambda watch`, which
//! routes requests the way API Gateway does. `make run` starts it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for a person")]

mod log;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use dynoxide::Database;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
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
    /// Where the functions find DynamoDB, if there is a proxy in front of it
    #[arg(long, value_name = "URL")]
    dynamodb_url: Option<String>,
    /// Folder that keeps the sessions between runs
    #[arg(long, default_value = "target/local", value_name = "DIR")]
    data: PathBuf,
    /// How much the functions log: error, warn or info
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log: String,
}

const TABLE: &str = "sessions";
/// Runs a command until standard input closes, which happens no matter how this program ends. Then stops the command's
/// process group: first with `SIGINT`, because only the emulator can stop the functions, and 5 seconds later with
/// `SIGKILL`. The part in the background survives that long, because the shell makes it ignore `SIGINT`.
const UNTIL_END_OF_INPUT: &str = r#"
    exec 3<&0 </dev/null
    { read -r _ <&3; kill -s INT 0; sleep 5; kill -s KILL 0; } &
    exec "$@" 3<&-
"#;
/// One invalid request per function. A function that rejects it is running.
const PROBES: [(&str, &str); 3] =
    [("GET", "/session"), ("POST", "/session/touch"), ("DELETE", "/session")];

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
    // `wait` would close the input, and that would stop the emulator.
    let input = watch.stdin.take();
    let console = Arc::new(Console::new());
    console.print(watch.stdout.take());
    console.print(watch.stderr.take());
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
    console.stopping.store(true, Ordering::Relaxed);
    drop(input);
    watch.wait().await?;
    ended
}

/// Prints what the functions log.
struct Console {
    /// How many probes are still to come. They only show that a function is running, so we don't print them.
    probes: AtomicUsize,
    /// Whether to hide everything, because processes complain while they are being stopped.
    stopping: AtomicBool,
}

impl Console {
    fn new() -> Self {
        Self { probes: AtomicUsize::new(PROBES.len()), stopping: AtomicBool::new(false) }
    }

    /// Prints a stream's lines until it ends. Keeps reading while stopping, so that the writer doesn't block.
    fn print(self: &Arc<Self>, stream: Option<impl AsyncRead + Unpin + Send + 'static>) {
        let Some(stream) = stream else { return };
        let console = Arc::clone(self);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line);
                if !console.hides(&line) {
                    println!("{}", log::readable(&line));
                }
            }
        });
    }

    fn hides(&self, line: &str) -> bool {
        let take = |probes: usize| probes.checked_sub(1);
        self.stopping.load(Ordering::Relaxed)
            || log::is_request(line)
                && self.probes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Starts everything and returns the emulator, which starts a function at its first request.
async fn start(options: &Options) -> Outcome<Child> {
    // cargo-lambda's own error doesn't name the port.
    drop(bind(options.port, "the API").await?);
    let own = start_dynamodb(options).await?;
    let endpoint = options.dynamodb_url.as_ref().unwrap_or(&own);
    compile().await?;
    println!("Starting the functions.");
    let watch = command("sh")
        .args(["-c", UNTIL_END_OF_INPUT, "sh", "cargo"])
        .args(["lambda", "watch", "--ignore-changes", "--quiet", "--disable-cors"])
        .arg("--manifest-path")
        .arg(std::path::absolute("Cargo.toml")?)
        // Even with `--ignore-changes`, cargo-lambda watches every folder below the current one. In the repository's
        // root, that takes seconds, because of the folders that tools create.
        .current_dir(&options.data)
        .args(["--invoke-address", "127.0.0.1", "--invoke-port", &options.port.to_string()])
        // By default, a function handles one request at a time, so requests that wait for a lock would keep
        // its holder from releasing it.
        .args(["--concurrency", "32"])
        // cargo-lambda itself logs only warnings; the functions log at the level in the options.
        .env("RUST_LOG", "warn,watchexec=off")
        .args(["--env-var", &format!("RUST_LOG={}", options.log)])
        .env("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("TABLE_NAME", TABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    Ok(watch.map_err(|error| format!("sh: {error}"))?)
}

async fn bind(port: u16, what: &str) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    Ok(listener.map_err(|error| format!("port {port} for {what}: {error}; choose another"))?)
}

/// Serves an embedded DynamoDB with the template's table, and returns its URL.
async fn start_dynamodb(options: &Options) -> Outcome<String> {
    std::fs::create_dir_all(&options.data)
        .map_err(|error| format!("{}: {error}", options.data.display()))?;
    // Start a new file whenever the template's table changes, because the old file has the old schema.
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
    println!("DynamoDB is at {endpoint}. Its table {TABLE:?} is in {}.", file.display());
    Ok(endpoint)
}

/// Compiles the functions, so that the first requests don't have to wait for the compiler.
async fn compile() -> Outcome {
    let built = command("cargo")
        .args(["build", "--locked", "--quiet", "--bins"])
        .kill_on_drop(true)
        .status()
        .await?;
    if built.success() { Ok(()) } else { Err("the functions do not compile".into()) }
}

/// Returns a command without the variables that an enclosing cargo has set: with them, cargo would recompile
/// everything.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let set_by_cargo =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(set_by_cargo) {
            command.env_remove(name);
        }
    }
    command
}

/// Waits until every function has responded to a request.
async fn wait_for_functions(port: u16) -> Outcome {
    for (method, path) in PROBES {
        let url = format!("http://localhost:{port}{path}");
        let mut response = probe(method, &url).await;
        for _ in 0..100 {
            if response.is_ok() {
                break;
            }
            // It takes the emulator a moment to start listening.
            tokio::time::sleep(Duration::from_millis(100)).await;
            response = probe(method, &url).await;
        }
        match response.map_err(|error| format!("{method} {path} got no response: {error}"))? {
            400 => {}
            status => return Err(format!("{method} {path} responded {status}").into()),
        }
    }
    Ok(())
}

/// Sends a request and returns the status of the response.
async fn probe(method: &'static str, url: &str) -> Outcome<u16> {
    let request = ureq::http::Request::builder().method(method).uri(url).body(())?;
    let agent: ureq::Agent = ureq::config::Config::builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into();
    let sent = tokio::task::spawn_blocking(move || agent.run(request)).await?;
    Ok(sent?.status().as_u16())
}

fn print_session(port: u16) {
    let urls = format!("http://localhost:{port}/lambda-url");
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

For a client, over the functions' URLs as well:

  export SESSION_API_URL=http://localhost:{port}
  export SESSION_API_FUNCTION_URLS=read={urls}/read,write={urls}/write,destroy={urls}/destroy

Press Ctrl-C to stop. The sessions are kept for the next run.
"#
    );
}
