"""The application of the default comparison: every contender serves this file, unmodified."""

import sys
import time
from importlib.metadata import version

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def hello():
    """The least that a Flask application does."""
    return "Hello, World!"


@app.get("/json")
def numbers():
    """A small document."""
    return jsonify(name="bench", numbers=list(range(10)))


@app.get("/sleep50")
def sleep50():
    """Blocks for 50 ms off the CPU, as a call to a database or another service does."""
    time.sleep(0.05)
    return "slept"


@app.get("/about")
def about():
    """What really runs: recorded with the results, never timed."""
    return jsonify(
        python=sys.version.split()[0],
        flask=version("flask"),
        multithread=request.environ["wsgi.multithread"],
        multiprocess=request.environ["wsgi.multiprocess"],
        protocol=request.environ["SERVER_PROTOCOL"],
    )
