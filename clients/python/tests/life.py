"""Takes a session through its life with this client, to test a deployed API. Prints `lived` at the end."""

import asyncio
import secrets
from dataclasses import replace

from session_api import calls
from session_api.calls import Attributes
from session_api.client import Client
from session_api.options import Options

client = Client(Options.read(retries=0))


def send(call):
    return client.send(call)


id, new_id = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
user = f"life of {id[:8]} ü!'()*~"
attributes = Attributes(600, label="Python & life")
created = send(calls.create(id, b"\0binary\xff", replace(attributes, content_type="application/octet-stream")))
read = asyncio.run(client.asend(calls.read(id)))
assert (read.data, read.etag) == (b"\0binary\xff", created.etag)
assert send(calls.exists(id))
replaced = send(calls.replace(send(calls.lock(id, 0, 10)), b"{}", attributes))
send(calls.touch(replaced, 600))
rotated = send(calls.rotate(replaced, new_id, b"[]", replace(attributes, user=user)))
read = send(calls.read(new_id))
assert (read.data, read.etag, read.user) == (b"[]", rotated.etag, user)
assert not send(calls.exists(id))
[device] = send(calls.sessions(user, new_id))
assert device["label"] == "Python & life" and device["current"]
assert send(calls.destroy_by_handle(user, device["handle"]))
assert send(calls.destroy_all(user)) == 0
send(calls.destroy(new_id))
assert send(calls.read(new_id)) is None
print("lived", end="")
