//! End to end over HTTP: the program that `make run` starts, with the real binaries behind `cargo lambda watch`.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Request, Response};

/// The local API, as a separate process. Dropping it sends `SIGTERM`.
pub(crate) struct Local {
    process: Child,
    port: u16,
    url: String,
}

impl Local {
    /// Starts the API, with its sessions in a new folder of this name.
    pub(crate) fn start(data: &str) -> Self {
        let free_port = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let port = free_port();
        // Cargo builds examples into a folder next to the one with the tests.
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("examples/local");
        let data = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(data);
        let _ = std::fs::remove_dir_all(&data);
        let mut process = Command::new(program)
            .args(["--port", &port.to_string(), "--dynamodb-port", &free_port().to_string()])
            .arg("--data")
            .arg(data)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map(Result::unwrap).find(|line| line.contains("is ready at"));
        // Read the output to the end, or the functions would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let local = Self { process, port, url: format!("http://localhost:{port}") };
        assert!(ready.is_some(), "the program exited before it was ready");
        local
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the program with a signal and returns the port that it served.
    fn kill(&mut self, signal: &str) -> u16 {
        let pid = self.process.id();
        // Not every machine has `kill` as a program, but it's a shell builtin.
        let kill = Command::new("sh").args(["-c", &format!("kill -s {signal} {pid}")]).status();
        assert!(kill.unwrap().success());
        self.process.wait().unwrap();
        self.port
    }

    fn send(&self, request: ureq::http::request::Builder, body: &[u8]) -> Response<Vec<u8>> {
        let agent: Agent = ureq::config::Config::builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        response.map(|_| body)
    }

    fn request(&self, method: &str, path: &str) -> ureq::http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.url))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            self.kill("TERM");
        }
    }
}

#[test]
#[ignore = "requires cargo-lambda, which `make test` installs"]
fn port_is_free_soon_after_the_program_ends_for_any_reason() {
    for signal in ["TERM", "HUP", "KILL"] {
        let port = Local::start("ended").kill(signal);
        let is_free = || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        let deadline = Instant::now() + Duration::from_secs(8);
        while !is_free() {
            assert!(Instant::now() < deadline, "the emulator outlived SIG{signal}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
#[ignore = "requires cargo-lambda, which `make test` installs"]
fn binaries_serve_sessions_over_http() {
    let local = Local::start("watch");
    let created = local.send(
        local
            .request("POST", "/session")
            .header("Content-Type", "application/json")
            .header("Session-User", "ada")
            .header("Session-TTL", "60"),
        br#"{"cart":["apple"]}"#,
    );
    assert_eq!(created.status(), 201);
    let id = created.headers()["session-id"].to_str().unwrap();
    let session = |method: &str, path: &str| local.request(method, path).header("Session-Id", id);

    let read = local.send(session("GET", "/session"), b"");
    assert_eq!(read.status(), 200);
    assert_eq!(read.body(), br#"{"cart":["apple"]}"#);
    assert_eq!(read.headers()["content-type"], "application/json");
    assert_eq!(read.headers()["session-user"], "ada");
    assert_eq!(read.headers()["cache-control"], "no-store");
    let etag = read.headers()["etag"].clone();
    let known = session("GET", "/session").header("If-None-Match", &etag);
    assert_eq!(local.send(known, b"").status(), 304);
    assert_eq!(local.send(session("HEAD", "/session"), b"").headers()["etag"], etag);

    let bytes: Vec<u8> = (0..=255).collect();
    let put = || session("PUT", "/session");
    let binary = put().header("If-Match", &etag).header("Content-Type", "application/octet-stream");
    assert_eq!(local.send(binary, &bytes).status(), 204);
    assert_eq!(local.send(put().header("If-Match", &etag), b"stale").status(), 412);
    assert_eq!(local.send(session("GET", "/session"), b"").body(), &bytes);

    let touched = local.send(session("POST", "/session/touch").header("Session-TTL", "120"), b"");
    assert_eq!(touched.status(), 204);
    assert_eq!(touched.headers()["session-ttl"], "120");

    let json = put().header("Content-Type", "application/json");
    assert_eq!(local.send(json, br#"{"a":1}"#).status(), 204);
    let merge = session("PATCH", "/session").header("Content-Type", "application/merge-patch+json");
    let merge = merge.header("Prefer", "return=representation");
    assert_eq!(local.send(merge, br#"{"b":2}"#).body(), br#"{"a":1,"b":2}"#);

    let locked = local.send(session("POST", "/session/lock"), b"");
    assert_eq!(locked.status(), 200);
    assert_eq!(local.send(put(), b"no token").status(), 423);
    let unlock = session("DELETE", "/session/lock");
    let unlock = unlock.header("Session-Unlock", &locked.headers()["session-lock"]);
    assert_eq!(local.send(unlock, b"").status(), 204);

    let rotated = local.send(session("POST", "/session/rotate"), b"");
    assert_eq!(rotated.status(), 200);
    assert_eq!(local.send(session("GET", "/session"), b"").status(), 404);
    let id = rotated.headers()["session-id"].to_str().unwrap();
    let session = |method: &str, path: &str| local.request(method, path).header("Session-Id", id);
    let put = || session("PUT", "/session");

    let ada = |method: &str, path: &str| local.request(method, path).header("Session-User", "ada");
    let list = || -> serde_json::Value {
        serde_json::from_slice(local.send(ada("GET", "/sessions"), b"").body()).unwrap()
    };
    let listed = list();
    let handle = listed[0]["handle"].as_str().unwrap();
    assert_eq!(local.send(ada("DELETE", &format!("/sessions/{handle}")), b"").status(), 204);
    assert_eq!(local.send(ada("DELETE", "/sessions"), b"").status(), 200);
    assert_eq!(list(), serde_json::json!([]));

    assert_eq!(local.send(session("DELETE", "/session"), b"").status(), 204);
    let gone = local.send(session("GET", "/session"), b"");
    assert_eq!(gone.status(), 404);
    assert_eq!(gone.headers()["content-type"], "application/problem+json");
    assert_eq!(local.send(put(), b"late").status(), 404);
    assert_eq!(local.send(put().header("If-None-Match", "*"), b"again").status(), 201);
}
