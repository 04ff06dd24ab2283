import os
from wsgiref.simple_server import make_server

from flask import Flask, session

app = Flask(__name__)
# README


@app.get("/")
def page():
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


make_server("localhost", int(os.environ["PORT"]), app).serve_forever()
