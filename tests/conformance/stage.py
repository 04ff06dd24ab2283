"""An app with a client or another session handler, a browser that visits the app, and a proxy in front of its store."""

import http.client
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Proxy(ThreadingHTTPServer):
    """Forwards HTTP calls to a store. Counts them, loses responses and refuses connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), Forward)
        self.upstream = urlsplit(upstream)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.calls = []
        # Whether calls about one session should come over function URLs, and those that came the other way.
        self.over_urls = False
        self.strays = []
        # Bytes in both directions, including headers.
        self.bytes = 0
        # The kind of call whose next response gets lost: `read` or `write`.
        self.lost = None
        self.is_down = False
        # How late the next write reaches the store, in seconds.
        self.late = 0
        # How long each response is held back, in seconds.
        self.delay = 0
        # Open connections, and those to reset the next time they're used.
        self.open = set()
        self.dead = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def kill_connections(self, how):
        """Ends the connections that clients keep open: `closed` ends them now, `reset` the next time they're used."""
        with self.lock:
            if how == "reset":
                self.dead |= self.open
            else:
                for connection in self.open:
                    # The client may just have reset it itself.
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """Deliberately silent: a client may close its connection at any time."""

    def prepare(self, body):
        """Returns the body to forward instead of this one."""
        return body

    def measure(self, call, body, data):
        """Called for each call with its body and the response's body, never twice at once."""


class Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.open.add(self.connection)

    def finish(self):
        with self.server.lock:
            self.server.open.discard(self.connection)
            self.server.dead.discard(self.connection)
        super().finish()

    def forward(self):
        if self.connection in self.server.dead:
            # Closing with a linger time of zero sends a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        # DynamoDB names its operation in a header. A function's URL comes before the path.
        path = re.sub("^/lambda-url/[a-z]+", "", self.path)
        call = self.headers.get("x-amz-target") or f"{self.command} {path}"
        with self.server.lock:
            self.server.calls.append(call)
            if (self.path != path) != (self.server.over_urls and not path.startswith("/sessions")):
                self.server.strays.append(f"{self.command} {self.path}")
            # Taking the lock also reads the session.
            kind = "read" if call in ("GET /session", "POST /session/lock") else "write"
            is_lost = self.server.lost == kind
            if is_lost:
                self.server.lost = None
            late = 0
            if kind == "write":
                late, self.server.late = self.server.late, 0
        time.sleep(late)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.is_down:
            self.close_connection = True
            return
        body = self.server.prepare(body)
        headers = {name.lower(): value for name, value in self.headers.items()} | {"content-length": str(len(body))}
        upstream = self.server.upstream
        store = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=30)
        store.request(self.command, self.path, body, headers)
        response = store.getresponse()
        data = response.read()
        store.close()
        with self.server.lock:
            self.server.bytes += size(self.headers.items(), body) + size(response.getheaders(), data)
            self.server.measure(call, body, data)
        time.sleep(self.server.delay)
        if is_lost:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, *parameters):
        """Deliberately silent: the calls are counted, not printed."""


def size(headers, body):
    """Returns a message's size in bytes, counting the first line as an average header."""
    lines = [len(name) + len(value) + 4 for name, value in headers]
    return sum(lines) + sum(lines) // max(1, len(lines)) + len(body)


@dataclass
class Page:
    """What a visit returned."""

    status: int
    session: dict
    error: str
    # Cookies that the response sets, or deletes if None.
    changed: dict
    cookies: dict
    seconds: float

    @property
    def is_ok(self):
        return self.status == 200 and not self.error

    @property
    def reason(self):
        return f"status {self.status}: {self.error}"


def free_port():
    """Returns a free port outside the range from which the system assigns ports, so the app can still listen on it later."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_768)))
            return probe.getsockname()[1]


class App:
    """An app whose pages perform the steps in the request's body, and show the session afterwards."""

    def __init__(self, command, names=None, environment=None):
        """Starts the app. `names` says what it calls steps whose names differ between frameworks."""
        self._names = names or {}
        self._port = free_port()
        address = f"127.0.0.1:{self._port}"
        command = [address if part == "ADDRESS" else str(part) for part in command]
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = self._temporary.name
        self._log = open(f"{self.folder}/log", "w+b")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            env=os.environ | {"PHP_CLI_SERVER_WORKERS": "32", "TMPDIR": self.folder} | (environment or {}),
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait()

    def _wait(self):
        for _ in range(500):
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit(f"error: the app did not start: {self.log()}")

    def log(self):
        """Returns what the app has printed."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self._process.pid, 15)
        self._process.wait()
        self._log.close()
        self._temporary.cleanup()

    def visit(self, steps, cookies, headers, timeout=60):
        """Visits a page. Raises `OSError` if no response arrives within `timeout` seconds."""
        started = time.monotonic()
        translated = [[*self._names.get(step, [step]), *parameters] for step, *parameters in steps]
        # Some apps expect two parameters for each step.
        padded = [[*step, None, None][: max(3, len(step))] for step in translated]
        headers = headers | {"content-type": "application/json"}
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        app = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            app.request("POST", "/", json.dumps(padded), headers)
            response = app.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            app.close()
        changed = {}
        for line in response.headers.get_all("set-cookie") or []:
            name, value = line.split(";")[0].strip().split("=", 1)
            changed[name] = None if value in ("", "null", '""', "deleted") else value
        try:
            page = json.loads(body)
        except ValueError:
            page = {"error": body[:300]}
        error = page.get("error") or page.get("warnings") or ""
        seconds = time.monotonic() - started
        return Page(response.status, page.get("session") or {}, error, changed, kept(cookies, changed), seconds)


def kept(cookies, changed):
    """Returns a browser's cookies after a response has changed some of them."""
    return {name: value for name, value in (cookies | changed).items() if value is not None}


def session_id(cookies):
    """Returns the id in the cookie, without Express's signature."""
    [cookie] = [value for name, value in cookies.items() if name != "XSRF-TOKEN"]
    return re.sub(r"^s:|\.[^.]*$", "", unquote(cookie)) if "s%3A" in cookie or cookie.startswith("s:") else cookie
