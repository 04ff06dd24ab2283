"""How calls are sent: connections, timeouts, retries and signatures."""

import asyncio
import gc
import os
import secrets
import socket
import ssl
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import anyio
import pytest
import session_api.client
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError
from servers import NOT_FOUND, Gateway, answers, read_request, response, serve
from session_api import Unavailable, calls
from session_api.client import Client
from session_api.options import Options

READ = calls.read("x" * 32)


@pytest.fixture(params=["thread", "coroutine"])
def send(request):
    """Sends calls at the same time, from threads or from coroutines in one event loop."""
    if request.param == "thread":
        with ThreadPoolExecutor(8) as pool:

            def send(client, count=1, call=READ):
                begin = Barrier(count)
                return list(pool.map(lambda _: (begin.wait(), client.send(call))[1], range(count)))

            yield send
    else:
        loop = asyncio.new_event_loop()

        async def together(client, count, call):
            return await asyncio.gather(*[client.asend(call) for _ in range(count)])

        yield lambda client, count=1, call=READ: loop.run_until_complete(together(client, count, call))
        loop.close()


@pytest.mark.parametrize("retries", [0, 2])
def test_dead_connections_are_replaced(send, retries):
    gateway = Gateway(os.environ["SESSION_API_URL"])
    with serve(gateway) as url:
        client = Client(Options.read(url=url, retries=retries))
        send(client, count=6)
        kept = gateway.connections
        gateway.forget()
        assert send(client) == [None]
        assert gateway.connections == kept + 1


def function_urls(url):
    return f"read={url}/read/,write={url}/write/,destroy={url}/destroy/"


def test_api_and_functions_keep_connections_of_their_own(send):
    with (
        answers(response(200, b"[]", "application/json")) as (lists, _),
        answers(response(404, NOT_FOUND)) as (reads, _),
    ):
        api, read = Gateway(lists), Gateway(reads)
        with serve(api) as url, serve(read) as read_url:
            client = Client(Options.read(url=url, function_urls=function_urls(read_url), retries=0))
            for forget in (read.forget, lambda: None):
                assert send(client) == [None]
                assert send(client, call=calls.sessions("ada")) == [[]]
                forget()
        assert (api.connections, read.connections) == (1, 2)


def test_local_calls_are_unsigned_even_if_others_are_not(send):
    with answers(response(404, NOT_FOUND)) as (url, requests):
        assert send(Client(Options.read(url="https://api.example", function_urls=function_urls(url)))) == [None]
        assert requests[0][0] == "GET /read/session HTTP/1.1"
        assert not any(line.lower().startswith("authorization:") for line in requests[0])


def test_timeout_covers_the_whole_attempt(send):
    def drip(connection):
        read_request(connection)
        for byte in response(404, NOT_FOUND):
            connection.sendall(bytes([byte]))
            time.sleep(0.2)

    with serve(drip) as url:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="did not respond in time"):
            send(Client(Options.read(url=url, retries=0, timeout=0.5)))
        # The whole response would take about 20 s.
        assert 0.4 < time.monotonic() - started < 10


def test_silent_connection_is_replaced_after_one_timeout(send):
    silent = []

    def handle(connection):
        while read_request(connection):
            if connection in silent:
                connection.recv(1)  # The client closes it.
                return
            silent.append(connection)
            connection.sendall(response(404, NOT_FOUND))

    with serve(handle) as url:
        client = Client(Options.read(url=url, timeout=2, retries=1))
        send(client, count=3)
        assert send(client) == [None]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_waits_as_long_as_the_api_says(send, status):
    with answers(response(status, retry_after=1), response(404, NOT_FOUND)) as (url, requests):
        started = time.monotonic()
        assert send(Client(Options.read(url=url))) == [None]
        assert len(requests) == 2
        # Without the header, it would wait at most 0.2 s.
        assert time.monotonic() - started >= 1


def test_dead_connections_over_tls_are_replaced(send, monkeypatch, tmp_path):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    connections = []

    def answer_once(connection):
        connections.append(connection)
        read_request(connection)
        connection.sendall(response(404, NOT_FOUND))
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with serve(answer_once, tls) as url:
        client = Client(Options.read(url=url, retries=0))
        assert send(client) == send(client) == [None]
        assert len(connections) == 2


def test_event_loops_leave_nothing_behind():
    client = Client(Options.read())
    asyncio.run(client.asend(READ))
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        asyncio.run(client.asend(READ))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) < files + 10


def test_processes_do_not_share_connections():
    gateway = Gateway(os.environ["SESSION_API_URL"])
    with serve(gateway) as url:
        client = Client(Options.read(url=url))
        client.send(READ)
        child = os.fork()
        if child == 0:
            client.send(READ)
            os._exit(0)
        os.waitpid(child, 0)
        client.send(READ)
        assert gateway.connections == 2


def test_calls_work_on_trio():
    pytest.importorskip("trio")
    client = Client(Options.read())
    id = secrets.token_urlsafe(24)
    created = anyio.run(client.asend, calls.create(id, b"{}", calls.Attributes(60)), backend="trio")
    assert anyio.run(client.asend, calls.read(id), backend="trio").etag == created.etag


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"url": "http://api.example"}, "http://api.example/session"),
        # The API's own URL is local, so it needs no proxy.
        ({"function_urls": function_urls("http://api.example")}, "http://api.example/read/session"),
    ],
)
def test_calls_go_through_the_proxy_in_the_environment(monkeypatch, options, url):
    with answers(response(404, NOT_FOUND)) as (proxy, requests):
        monkeypatch.setenv("http_proxy", proxy)
        client = Client(Options.read(credentials=lambda: Credentials("key", "secret"), **options))
        assert client.send(READ) is None
        assert requests[0][0] == f"GET {url} HTTP/1.1"


@pytest.mark.parametrize(
    "answer",
    [
        response(200, b"<html>", "text/html"),
        response(200, b'{"a":1}', "application/json", etag='"a"', session_ttl="soon"),
        response(404, b'{"message":"Not Found"}', "application/json"),
    ],
)
@pytest.mark.parametrize("call", [READ, calls.exists("x" * 32), calls.sessions("ada")])
def test_response_of_another_server_is_an_error(answer, call):
    if call.method == "HEAD" and b" 200 " in answer:
        pytest.skip("without a body, nothing gives the other server away")
    head, _, body = answer.partition(b"\r\n\r\n")
    body = b"" if call.method == "HEAD" else body
    with answers(head + b"\r\n\r\n" + body) as (url, _), pytest.raises(Unavailable):
        Client(Options.read(url=url, retries=0)).send(call)


def authorization(request):
    return next(line for line in request if line.lower().startswith("authorization:"))


def test_credentials_are_fetched_again(send, monkeypatch):
    keys = iter("abcdefghij")
    with answers(response(404, NOT_FOUND)) as (url, requests):
        client = Client(Options.read(url=url, credentials=lambda: Credentials(next(keys), "secret")))
        send(client)
        send(client)
        monkeypatch.setattr(session_api.client, "_CREDENTIALS_AGE", 0)
        send(client)
    keys = [authorization(request).split("Credential=")[1][0] for request in requests]
    assert keys == ["a", "a", "b"]


def test_failure_to_fetch_credentials_is_retried(send):
    outcomes = [CredentialRetrievalError(provider="metadata", error_msg="away"), Credentials("key", "secret")]

    def credentials():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with answers(response(404, NOT_FOUND)) as (url, _):
        assert send(Client(Options.read(url=url, credentials=credentials))) == [None]


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_misconfigured_credentials_raise_unavailable(monkeypatch, variable):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app")
    monkeypatch.setenv(variable, "/missing")
    with pytest.raises(Unavailable, match="credentials"):
        Client(Options.read(url="http://api.example", retries=0)).send(READ)


def test_empty_access_key_id_counts_as_unset(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    assert Client(Options.read()).send(READ) is None


@pytest.mark.parametrize(
    ("variable", "url"), [(function_urls("http://api.example"), "http://api.example/read/"), ("", None)]
)
def test_environment_sets_function_urls(monkeypatch, variable, url):
    monkeypatch.setenv("SESSION_API_FUNCTION_URLS", variable)
    options = Options.read()
    assert options.url_of(READ) == (url or options.url)
    assert Options.read(url="http://other.example").url_of(READ) == "http://other.example"


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://localhost:9000\r"},
        {"url": "http://localhost:9000/#"},
        {"url": "http://user:password@localhost"},
        {"url": "localhost:9000"},
        {"lock": 2.5},
        {"lease": None},
        {"max_sessions": 5},
        {"retries": 1.5},
        {"timeout": float("nan")},
        {"user": "ada"},
        {"ttl": 60},
    ],
)
def test_invalid_options_are_named(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f'"{name}"'):
        Options.read(**options)
