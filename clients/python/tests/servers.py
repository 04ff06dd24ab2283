"""Stand-ins for the API that fail in ways the real one doesn't."""

import socket
import struct
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

NOT_FOUND = b'{"type":"urn:session-api:session-not-found"}'


@contextmanager
def serve(handle, tls=None):
    """Calls `handle` with each connection, in a thread. Yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection):
            with connection:
                try:
                    handle(tls.wrap_socket(connection, server_side=True) if tls else connection)
                except OSError:
                    pass

        threading.Thread(target=accept, daemon=True).start()
        yield f"{'https://localhost' if tls else 'http://127.0.0.1'}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def response(status, body=b"", content_type="application/problem+json", **headers):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(body)}", *lines]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_request(connection):
    """Reads a request without a body. Returns its lines, or an empty list at the end of the connection."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            return []
        received += data
    return received.decode().splitlines()


@contextmanager
def answers(*responses):
    """Sends these responses in turn, then repeats the last one. Yields the URL and the requests."""
    left, requests = list(responses), []

    def handle(connection):
        while request := read_request(connection):
            requests.append(request)
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    with serve(handle) as url:
        yield url, requests


class Gateway:
    """Forwards connections to a server until told to forget them. From then on, using one resets it."""

    def __init__(self, url):
        self._server = urlsplit(url)
        self._forgotten = self._open = ()
        self.connections = 0

    def forget(self):
        self._forgotten, self._open = self._open, ()

    def __call__(self, connection):
        self._open += (connection,)
        self.connections += 1
        with socket.create_connection((self._server.hostname, self._server.port)) as server:
            threading.Thread(target=self._back, args=(server, connection), daemon=True).start()
            while data := connection.recv(65536):
                if connection in self._forgotten:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                server.sendall(data)

    def _back(self, server, connection):
        try:
            while data := server.recv(65536):
                connection.sendall(data)
        except OSError:
            pass
