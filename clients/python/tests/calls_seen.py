"""A client that records its calls, and loses the responses that a test tells it to lose."""

import threading
from urllib.parse import urlsplit

import httpcore
from session_api.client import Client


class Seen:
    def __init__(self):
        self.calls = []
        self._lost = None
        # A call that can't be sent.
        self.refused = None
        self._lock = threading.Lock()

    def take(self):
        with self._lock:
            calls, self.calls = self.calls, []
        return calls

    def lose_response(self, call):
        """Loses the response to the next call like this, such as `GET /session`."""
        self._lost = call

    def record(self, request):
        """Records a request. Returns whether to lose the response."""
        # A function's URL may have a path, too.
        path = urlsplit(request["url"]).path
        call = f"{request['method']} {path[path.index('/session') :]}"
        with self._lock:
            self.calls.append(call)
            is_lost = self._lost == call
            if is_lost:
                self._lost = None
        if self.refused == call:
            raise httpcore.ConnectError("the test refuses this call")
        return is_lost


class SeenClient(Client):
    def __init__(self, options, seen):
        super().__init__(options)
        self._seen = seen

    def _exchange(self, pool, request):
        is_lost = self._seen.record(request)
        response = super()._exchange(pool, request)
        if is_lost:
            raise httpcore.ReadError("the response was lost")
        return response

    async def _aexchange(self, pool, request):
        is_lost = self._seen.record(request)
        response = await super()._aexchange(pool, request)
        if is_lost:
            raise httpcore.ReadError("the response was lost")
        return response
