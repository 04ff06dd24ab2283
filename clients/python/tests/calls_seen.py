"""Transports that record the calls of the API, and lose the responses that a test asks for."""

import threading

import httpx


class Seen:
    def __init__(self):
        self.calls = []
        self._lost = None
        self._lock = threading.Lock()

    def take(self):
        with self._lock:
            calls, self.calls = self.calls, []
        return calls

    def lose_response(self, call):
        """Loses the response to the next call of this kind, as in `GET /session`."""
        self._lost = call

    def record(self, request):
        """Returns whether the response is to be lost."""
        call = f"{request.method} {request.url.path}"
        with self._lock:
            self.calls.append(call)
            is_lost = self._lost == call
            if is_lost:
                self._lost = None
        return is_lost


class Transport(httpx.HTTPTransport):
    def __init__(self, seen, limits):
        super().__init__(limits=limits)
        self._seen = seen

    def handle_request(self, request):
        is_lost = self._seen.record(request)
        response = super().handle_request(request)
        if is_lost:
            response.read()
            raise httpx.ReadError("the response was lost", request=request)
        return response


class AsyncTransport(httpx.AsyncHTTPTransport):
    def __init__(self, seen, limits):
        super().__init__(limits=limits)
        self._seen = seen

    async def handle_async_request(self, request):
        is_lost = self._seen.record(request)
        response = await super().handle_async_request(request)
        if is_lost:
            await response.aread()
            raise httpx.ReadError("the response was lost", request=request)
        return response
