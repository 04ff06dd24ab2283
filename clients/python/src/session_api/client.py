"""Calls the session API from threads and coroutines: signs requests and retries them."""

import os
import random
import re
import ssl
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import botocore.session
import httpcore
from anyio.lowlevel import current_token
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from .calls import Call, Pause, Response
from .errors import Unavailable
from .options import Options

T = TypeVar("T")

_RETRIED = (429, 500, 502, 503, 504)
_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.ProtocolError)
_UNREACHABLE = (*_LOST, httpcore.ConnectError, httpcore.ProxyError, httpcore.TimeoutException, OSError)
# Seconds after which an idle connection is closed: sooner than API Gateway closes it.
_KEEPALIVE = 60
# Longest Retry-After to wait for, in seconds.
_MAX_RETRY_AFTER = 10
# Seconds until the option `credentials` is called again, unless the credentials refresh themselves.
_CREDENTIALS_AGE = 300


@dataclass(frozen=True)
class _Attempt:
    call: Call[Any]
    # Whether the kept connections may be dead.
    is_to_reconnect: bool


# The steps of an operation, or of a call.
_Steps = Generator[Call[Any] | Pause | _Attempt, Any, T]


class Client:
    """Sends calls: `send` and `run` from threads, `asend` and `arun` from coroutines.

    `run` and `arun` carry out steps: a generator that yields calls and pauses, gets the calls' outcomes, and returns a
    result. That way, each operation is only written once.
    """

    def __init__(self, options: Options):
        self.options = options
        urls = {options.url, *options.function_urls.values()}
        # Shared by all pools, because making one takes 40 ms and 0.8 MB.
        tls = httpcore.default_ssl_context() if any(url.startswith("https:") for url in urls) else None
        shared: dict[str, Any] = {"keepalive_expiry": _KEEPALIVE, "max_connections": None, "ssl_context": tls}
        self._pool_options = {url: shared | {"proxy": _proxy(url)} for url in urls}
        self._start()
        # Processes must not share connections.
        start = weakref.WeakMethod(self._start)

        def restart() -> None:
            if method := start():
                method()

        os.register_at_fork(after_in_child=restart)

    def _start(self) -> None:
        self._signer = _Signer(self.options)
        # Each URL has its own connections. If those to one are dead, the others may be fine.
        self._pools = {url: self._connect(url) for url in self._pool_options}
        # A coroutine's connections belong to its event loop, and a thread runs one loop at a time.
        self._of_loop = threading.local()

    def _connect(self, url: str) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(**self._pool_options[url], network_backend=_Backend())

    def send(self, call: Call[T]) -> T:
        """Sends a call and returns its outcome. Raises `Unavailable`, and whatever the call's docstring names."""
        return self.run(self._attempts(call))

    async def asend(self, call: Call[T]) -> T:
        """Like `send`, from a coroutine."""
        return await self.arun(self._attempts(call))

    def run(self, steps: _Steps[T]) -> T:
        """Carries out steps and returns their result."""
        return _drive(steps, self._act)

    async def arun(self, steps: _Steps[T]) -> T:
        """Like `run`, from a coroutine."""
        return await _adrive(steps, self._aact)

    def _act(self, step: Any) -> Any:
        match step:
            case Call():
                return self.run(self._attempts(step))
            case Pause():
                return time.sleep(step.seconds)
        url = self.options.url_of(step.call)
        if step.is_to_reconnect:
            self._pools[url] = self._connect(url)
        if self._signer.is_to_fetch(url):
            self._signer.fetch()
        request = self._signer.request(step.call)
        deadline = time.monotonic() + self._timeout(step.call)
        timeouts = dict.fromkeys(("connect", "read", "write"), deadline)
        return self._exchange(self._pools[url], request | {"extensions": {"timeout": timeouts}})

    async def _aact(self, step: Any) -> Any:
        match step:
            case Call():
                return await self.arun(self._attempts(step))
            case Pause():
                return await anyio.sleep(step.seconds)
        url = self.options.url_of(step.call)
        if self._signer.is_to_fetch(url):
            await anyio.to_thread.run_sync(self._signer.fetch)
        request = self._signer.request(step.call)
        loop = current_token()
        if getattr(self._of_loop, "loop", None) != loop:
            self._of_loop.loop, self._of_loop.pools = loop, {}
        if step.is_to_reconnect or url not in self._of_loop.pools:
            self._of_loop.pools[url] = httpcore.AsyncConnectionPool(**self._pool_options[url])
        with anyio.fail_after(self._timeout(step.call)):
            return await self._aexchange(self._of_loop.pools[url], request)

    def _timeout(self, call: Call[Any]) -> float:
        return self.options.timeout + call.wait

    def _exchange(self, pool: httpcore.ConnectionPool, request: dict[str, Any]) -> httpcore.Response:
        return pool.request(**request)

    async def _aexchange(self, pool: httpcore.AsyncConnectionPool, request: dict[str, Any]) -> httpcore.Response:
        return await pool.request(**request)

    def _attempts(self, call: Call[T]) -> _Steps[T]:
        """Yields a call's attempts and the pauses between them. Returns the call's outcome."""
        attempt, retries, is_to_reconnect = 0, 0, False
        while True:
            was_reconnected, is_to_reconnect, pause = is_to_reconnect, False, None
            try:
                sent = yield _Attempt(call, was_reconnected)
                response = _response(sent, is_to_retry=attempt > 0)
                if response.status in call.accept or response.problem in call.accept:
                    return _outcome(call, response)
                failure = _unexpected(call, response)
                if response.status not in _RETRIED:
                    raise failure
                pause = _retry_after(response)
            except _NoCredentials as error:
                failure = error
            except _UNREACHABLE as error:
                is_late = isinstance(error, httpcore.TimeoutException | TimeoutError)
                cause = "it did not respond in time" if is_late else str(error) or type(error).__name__
                failure = Unavailable(f"The session API at {self.options.url_of(call)} cannot be reached: {cause}")
                failure.__cause__ = error
                is_to_reconnect = True
                if isinstance(error, _LOST) and attempt == 0:
                    # The connection may have died long before the call, so this doesn't count as an attempt.
                    retries, pause = -1, 0
            attempt, retries = attempt + 1, retries + 1
            if retries > self.options.retries:
                raise failure
            # With jitter: 50 to 150 ms at first, then twice as long each time.
            yield Pause(random.uniform(0.05, 0.15) * 2 ** (retries - 1) if pause is None else pause)


class _NoCredentials(Unavailable):
    """There are no credentials to sign calls with."""


class _Signer:
    """Signs requests with the server's credentials (AWS Signature Version 4)."""

    def __init__(self, options: Options):
        self._options = options
        self._credentials: Any = None
        self._frozen: Any = None
        self._fetched = 0.0
        self._signs_local = options.credentials is not None or bool(os.environ.get("AWS_ACCESS_KEY_ID"))

    def _signs(self, url: str) -> bool:
        # `make run` serves the API without an authorizer.
        return self._signs_local or not _is_local(url)

    def is_to_fetch(self, url: str) -> bool:
        """Whether the next request to this URL has to fetch credentials first, which may take a while."""
        if not self._signs(url):
            return False
        if self._frozen is None:
            return True
        if hasattr(self._credentials, "refresh_needed"):
            return bool(self._credentials.refresh_needed())
        return self._options.credentials is not None and time.monotonic() - self._fetched > _CREDENTIALS_AGE

    def fetch(self) -> None:
        """Fetches or refreshes the credentials. Raises `_NoCredentials`."""
        try:
            if not hasattr(self._credentials, "refresh_needed"):
                find = self._options.credentials or botocore.session.Session().get_credentials
                self._credentials = find()
                self._fetched = time.monotonic()
            self._frozen = self._credentials and self._credentials.get_frozen_credentials()
        except Exception as error:
            # botocore, the file system or the option's function may raise anything.
            raise _NoCredentials(
                f"There are no AWS credentials to sign calls of the session API with: {error}"
            ) from error
        if self._frozen is None:
            raise _NoCredentials(
                "There are no AWS credentials to sign calls of the session API with. Give the server a role, set"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass the option credentials."
            )

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """Returns the signed httpcore request for a call."""
        base, headers = self._options.url_of(call), call.headers
        url = base.rstrip("/") + call.path
        if self._signs(base):
            request = AWSRequest(call.method, url, headers, call.body or b"")
            SigV4Auth(self._frozen, *self._scope(base)).add_auth(request)
            headers = dict(request.headers)
        return {"method": call.method, "url": url, "headers": headers, "content": call.body}

    def _scope(self, url: str) -> tuple[str, str]:
        """Returns the service and the region to sign for. AWS's own hosts name both."""
        host = urlsplit(url).hostname or ""
        named = re.search(r"\.(execute-api|lambda)(?:-url)?\.([^.]+)\.(?:amazonaws|on)\.", host)
        if named:
            return named[1], named[2]
        return "execute-api" if url == self._options.url else "lambda", self._options.region


class _Backend(httpcore.SyncBackend):
    """Treats timeouts as the attempt's deadline, because httpcore would apply them to each read and write."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _left(timeout), *args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream):
        self._stream = stream

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _proxy(url: str) -> httpcore.Proxy | None:
    """Returns the proxy to use according to HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""
    parts = urlsplit(url)
    proxy = None if _is_local(url) or proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
    if proxy is None:
        return None
    of_proxy = urlsplit(proxy)
    auth = (unquote(of_proxy.username), unquote(of_proxy.password or "")) if of_proxy.username else None
    return httpcore.Proxy(proxy, auth)


def _response(sent: httpcore.Response, is_to_retry: bool) -> Response:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in sent.headers}
    return Response(sent.status, headers, sent.content, is_to_retry)


def _outcome(call: Call[T], response: Response) -> T:
    try:
        return call.outcome(response)
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected(call, response) from error


def _unexpected(call: Call[Any], response: Response) -> Unavailable:
    path = "/sessions/{handle}" if call.path.startswith("/sessions/") else call.path
    # Lambda itself says `Message`.
    reasons = map(response.document.get, ("detail", "message", "Message"))
    detail = next(filter(None, reasons), "no reason given")
    return Unavailable(f"The session API refused {call.method} {path} with status {response.status}: {detail}")


def _retry_after(response: Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(int(text), _MAX_RETRY_AFTER) if re.fullmatch("[0-9]{1,9}", text) else None


def _drive(steps: _Steps[T], act: Callable[[Any], Any]) -> T:
    """Like `_adrive` with a plain function, so the coroutine never waits."""

    async def aact(step: Any) -> Any:
        return act(step)

    try:
        _adrive(steps, aact).send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a coroutine waited")


async def _adrive(steps: _Steps[T], act: Callable[[Any], Awaitable[Any]]) -> T:
    """Has `act` carry out each step that a generator yields. Returns what the generator returns."""
    try:
        step = next(steps)
        while True:
            try:
                done = await act(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        result: T = end.value
        return result
