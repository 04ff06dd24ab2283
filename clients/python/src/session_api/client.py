"""Sends calls of the session API, signed and retried, from threads and from coroutines."""

import asyncio
import os
import random
import time
import weakref
from urllib.parse import urlsplit

import botocore.session
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from .calls import Call, Response
from .errors import Unavailable
from .options import Options

_RETRIED = (429, 500, 502, 503, 504)
# Seconds that an unused connection stays open. API Gateway closes it later.
_LIMITS = httpx.Limits(keepalive_expiry=60)


class Client:
    """Sends calls. `send` and `run` are for threads, `asend` and `arun` for coroutines.

    `run` carries out steps: a generator that yields calls, gets their outcomes, and returns a result. So the steps of a
    session are written once for both.
    """

    def __init__(self, options: Options, transport=httpx.HTTPTransport, async_transport=httpx.AsyncHTTPTransport):
        self.options = options
        self._transport = transport
        self._async_transport = async_transport
        self._signer = _Signer(options)
        self._connect()
        # Processes do not share connections.
        connect = weakref.WeakMethod(self._connect)
        os.register_at_fork(after_in_child=lambda: connect() and connect()())

    def _connect(self):
        self._http = httpx.Client(transport=self._transport(limits=_LIMITS))
        # Connections of coroutines belong to an event loop.
        self._async_https = weakref.WeakKeyDictionary()

    def send(self, call: Call):
        """Sends a call, and returns its outcome. Raises `Unavailable`, and what the call says."""

        def act(step):
            return time.sleep(step) if isinstance(step, float) else self._http.send(step)

        return _drive(self._attempts(self._http, call), act)

    async def asend(self, call: Call):
        """Sends a call, and returns its outcome. Raises what `send` raises."""
        http = self._async_http()

        async def act(step):
            return await (asyncio.sleep(step) if isinstance(step, float) else http.send(step))

        return await _adrive(self._attempts(http, call), act)

    def run(self, steps):
        """Carries out steps, and returns their result."""
        return _drive(steps, self.send)

    async def arun(self, steps):
        """Carries out steps, and returns their result."""
        return await _adrive(steps, self.asend)

    def _attempts(self, http, call: Call):
        """Yields the requests of a call, and the seconds to wait between them. Returns the outcome of the call."""
        for attempt in range(self.options.retries + 1):
            try:
                sent = yield self._request(http, call)
                return self._judge(call, sent, attempt)
            except _Failed as failed:
                failure = failed
            except httpx.HTTPError as error:
                failure = self._unreachable(error)
            if attempt < self.options.retries:
                yield _pause(attempt)
        raise failure.reason

    def _async_http(self):
        loop = asyncio.get_running_loop()
        if loop not in self._async_https:
            self._async_https[loop] = httpx.AsyncClient(transport=self._async_transport(limits=_LIMITS))
        return self._async_https[loop]

    def _request(self, http, call: Call):
        url = self.options.url.rstrip("/") + call.path
        headers = self._signer.sign(call.method, url, call.headers, call.body)
        timeout = self.options.timeout + call.wait
        return http.build_request(call.method, url, headers=headers, content=call.body, timeout=timeout)

    def _judge(self, call: Call, sent: httpx.Response, attempt: int):
        """Returns the outcome of a response, or raises the failure."""
        response = Response(sent.status_code, dict(sent.headers), sent.content, is_to_retry=attempt > 0)
        if response.status in call.accept or response.problem in call.accept:
            return call.outcome(response)
        path = "/sessions/{handle}" if call.path.startswith("/sessions/") else call.path
        detail = response.document.get("detail") or response.document.get("message") or "no reason"
        reason = Unavailable(
            f"The session API refused {call.method} {path} with status {response.status}: {detail}",
        )
        if response.status in _RETRIED:
            raise _Failed(reason)
        raise reason

    def _unreachable(self, error: httpx.HTTPError):
        cause = "it did not respond in time" if isinstance(error, httpx.TimeoutException) else str(error)
        reason = Unavailable(f"The session API at {self.options.url} cannot be reached: {cause}")
        reason.__cause__ = error
        return _Failed(reason)


class _Failed(Exception):
    """An attempt failed, and a retry may not."""

    def __init__(self, reason: Unavailable):
        super().__init__(str(reason))
        self.reason = reason


class _Signer:
    """Signs requests with the credentials of the server (AWS Signature Version 4)."""

    def __init__(self, options: Options):
        self._options = options
        self._credentials = None
        # `make run` serves the API without an authorizer.
        is_local = urlsplit(options.url).hostname in ("localhost", "127.0.0.1", "::1")
        self._signs = not is_local or options.credentials is not None or "AWS_ACCESS_KEY_ID" in os.environ

    def sign(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> dict[str, str]:
        if not self._signs:
            return headers
        if self._credentials is None:
            find = self._options.credentials or botocore.session.Session().get_credentials
            self._credentials = find()
        if self._credentials is None:
            raise Unavailable(
                "There are no AWS credentials to sign calls of the session API with. Give the server a role, set"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass the option credentials."
            )
        request = AWSRequest(method, url, headers, body or b"")
        credentials = self._credentials.get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", self._options.region).add_auth(request)
        return dict(request.headers)


def _drive(steps, act):
    """Has `act` do each step that a generator yields, and returns what the generator returns."""
    try:
        step = next(steps)
        while True:
            try:
                done = act(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        return end.value


async def _adrive(steps, act):
    """Does the same as `_drive` with a coroutine."""
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
        return end.value


def _pause(attempt: int) -> float:
    """Seconds before a retry, with jitter: 0.05 to 0.1, then twice as long each time."""
    return random.uniform(0.05, 0.1) * 2**attempt
