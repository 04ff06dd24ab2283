"""The session handlers' stores, behind proxies that count calls and refuse connections."""

import http.client
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3
from redis import Redis, RedisError
from stage import Proxy

# Commands that set up a connection. They don't count as calls by the session handler.
SETUP = {b"AUTH", b"CLIENT", b"COMMAND", b"HELLO", b"INFO", b"PING", b"QUIT", b"SELECT"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class RedisProxy:
    """Forwards connections to Redis."""

    def __init__(self, port):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._sockets = set()
        self._is_down = False
        self.calls = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def is_down(self):
        return self._is_down

    @is_down.setter
    def is_down(self, is_down):
        with self._lock:
            self._is_down = is_down
            open_sockets = list(self._sockets) if is_down else []
        for open_socket in open_sockets:
            shut(open_socket)

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self._port)) as redis:
            with self._lock:
                if self._is_down:
                    return
                self._sockets |= {client, redis}
            threading.Thread(target=self._respond, args=(redis, client), daemon=True).start()
            try:
                stream = client.makefile("rb")
                while command := self._read_command(stream):
                    name, sent = command
                    if name not in SETUP:
                        self.calls.append(name.decode())
                    redis.sendall(sent)
            except OSError:
                pass
            with self._lock:
                self._sockets -= {client, redis}
            shut(redis)

    @staticmethod
    def _read_command(stream):
        """Returns the next command's name and bytes, or None at the end. A command is an array of strings."""
        head = stream.readline()
        if not head:
            return None
        sent, words = head, []
        for _ in range(int(head[1:])):
            size = stream.readline()
            word = stream.read(int(size[1:]) + 2)
            sent += size + word
            words.append(word[:-2])
        return words[0].upper(), sent

    @staticmethod
    def _respond(redis, client):
        try:
            while data := redis.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        shut(client)


def shut(open_socket):
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class RedisStore:
    """A separate Redis server."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        port = free_port()
        self._server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", self._folder.name],
            stdout=subprocess.DEVNULL,
        )
        self._redis = Redis(port=port)
        for _ in range(100):
            try:
                self._redis.ping()
                break
            except RedisError:
                time.sleep(0.05)
        self.proxy = RedisProxy(port)
        self.url = self.proxy.url
        self.laravel = {"redis": self.proxy.port}

    def text(self):
        """Returns what somebody with a copy of the store can read."""
        return "\n".join(key.decode() for key in self._redis.scan_iter())

    def close(self):
        self._server.terminate()
        self._server.wait()
        self._folder.cleanup()


class DynamoDbStore:
    """Tables in the local API's DynamoDB, as the handlers' documentation creates them."""

    def __init__(self):
        self._client = boto3.client("dynamodb", endpoint_url=os.environ["DYNAMODB_URL"])
        existing = self._client.list_tables()["TableNames"]
        for table, key in {"php": "id", "connect": "id", "laravel": "key", "rails": "session_id"}.items():
            if table in existing:
                continue
            self._client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        self.proxy = Proxy(os.environ["DYNAMODB_URL"])
        self.url = self.proxy.url
        self.laravel = {"dynamodb": self.url}

    def text(self):
        names = self._client.list_tables()["TableNames"]
        return "\n".join(str(self._client.scan(TableName=name)["Items"]) for name in names)

    def close(self):
        self.proxy.__exit__()


class ApiStore:
    """The session API."""

    laravel = {}  # noqa: RUF012

    def __init__(self):
        self._client = boto3.client("dynamodb", endpoint_url=os.environ["DYNAMODB_URL"])
        self.proxy = Proxy(os.environ["SESSION_API_URL"])
        self.url = self.proxy.url

    def request(self, method, path, body, headers):
        """Calls the API through the proxy. Returns the status and the data."""
        api = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=30)
        api.request(method, path, body, headers)
        response = api.getresponse()
        data = response.read()
        api.close()
        return response.status, data

    def text(self):
        return str(self._client.scan(TableName="sessions")["Items"])

    def close(self):
        self.proxy.__exit__()


class DiskStore:
    """A folder or a database file on the app server's disk."""

    proxy = None

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp())
        self.url = str(self._folder)
        self.laravel = {"files": f"{self.url}/laravel"}
        # Like the one that `php artisan session:table` makes.
        with sqlite3.connect(f"{self.url}/laravel.sqlite") as database:
            columns = "id PRIMARY KEY, user_id, ip_address, user_agent, payload, last_activity"
            database.execute(f"CREATE TABLE sessions ({columns})")

    def text(self):
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        return "\n".join(f"{path.name}\n{path.read_bytes()!r}" for path in files)

    def close(self):
        shutil.rmtree(self._folder)


STORES = {"Redis": RedisStore, "DynamoDB": DynamoDbStore, "session API": ApiStore, "disk": DiskStore}

if shutil.which("redis-server") is None:
    sys.exit("error: redis-server is not installed: run benches/compare/install")
