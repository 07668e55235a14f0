"""The application of the request-path scenarios: plain WSGI, so that what is measured is the server."""

import json
import os
import sys
import time

BLOCK = 65536

# Bodies by their length: made once, so that a download costs the application nothing.
bodies = {}


def answer(start_response, body, content_type="text/plain"):
    start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def hello(environ, start_response, _):
    """The least that an application does."""
    return answer(start_response, b"Hello, World!")


def upload(environ, start_response, _):
    """Reads the whole body in blocks and answers with its length."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"]
    count = 0
    while left:
        block = body.read(min(BLOCK, left))
        if not block:
            break
        count += len(block)
        left -= len(block)
    return answer(start_response, b"%d" % count)


def download(environ, start_response, length):
    """As many bytes as the path says."""
    body = bodies.get(length)
    if body is None:
        body = bodies.setdefault(length, b"x" * length)
    return answer(start_response, body, "application/octet-stream")


def file(environ, start_response, _):
    """The session's large file, by the server's own means where it has any."""
    name = os.environ["BENCH_LARGE_FILE"]
    opened = open(name, "rb")
    length = os.fstat(opened.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(opened, BLOCK) if wrapper else iter(lambda: opened.read(BLOCK), b"")


def sleep(environ, start_response, milliseconds):
    """Blocks off the CPU and without the interpreter lock, as a call to a database does."""
    time.sleep(milliseconds / 1000)
    return answer(start_response, b"slept")


def spin(environ, start_response, milliseconds):
    """Keeps the CPU busy, and the interpreter lock as far as Python lets it."""
    until = time.perf_counter() + milliseconds / 1000
    while time.perf_counter() < until:
        pass
    return answer(start_response, b"spun")


def burn(environ, start_response, milliseconds):
    """Uses so much of the CPU, however long it takes to get it: others may have it meanwhile."""
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass
    return answer(start_response, b"burnt")


def compute(environ, start_response, rounds):
    """A fixed amount of work on the CPU."""
    total = 0
    for i in range(rounds):
        total += i
    return answer(start_response, b"%d" % total)


def about(environ, start_response, _):
    """What really runs: recorded with the results, never timed."""
    facts = {
        "python": sys.version.split()[0],
        "multithread": bool(environ["wsgi.multithread"]),
        "multiprocess": bool(environ["wsgi.multiprocess"]),
        "protocol": environ["SERVER_PROTOCOL"],
    }
    return answer(start_response, json.dumps(facts).encode(), "application/json")


ROUTES = {
    "": hello,
    "upload": upload,
    "download": download,
    "file": file,
    "sleep": sleep,
    "spin": spin,
    "burn": burn,
    "compute": compute,
    "about": about,
}


def app(environ, start_response):
    """`/NAME` or `/NAME/NUMBER`."""
    path = environ["PATH_INFO"]
    # Kept apart from the table: this one is measured in microseconds.
    if path == "/":
        return hello(environ, start_response, 0)
    name, _, number = path[1:].partition("/")
    handler = ROUTES.get(name)
    if handler is None:
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        return [b"not found"]
    return handler(environ, start_response, int(number or 0))
