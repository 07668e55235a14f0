"""A WSGI application without a framework: one small function per behaviour, chosen by path."""

import json
import os
import signal
import sys
import time
from urllib.parse import parse_qsl

TEXT = [("Content-Type", "text/plain")]


def query(environ):
    return dict(parse_qsl(environ["QUERY_STRING"]))


def wait_at_gate(environ):
    """Opening a FIFO to read blocks until somebody has it open to write."""
    os.close(os.open(query(environ)["gate"], os.O_RDONLY))


def note(environ, text):
    with open(query(environ)["note"], "a") as file:
        file.write(text + "\n")


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"Hello"]


def pid(environ, start_response):
    start_response("200 OK", TEXT)
    return [str(os.getpid()).encode()]


def show_environ(environ, start_response):
    plain = (str, bool, int, tuple)
    known = {key: value for key, value in environ.items() if isinstance(value, plain)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(known).encode()]


def echo(environ, start_response):
    stream = environ["wsgi.input"]
    ways = {
        "read": lambda: stream.read(),
        "pieces": lambda: b"".join(iter(lambda: stream.read(7), b"")),
        "readline": lambda: b"|".join(iter(stream.readline, b"")),
        "readlines": lambda: b"|".join(stream.readlines()),
        "iterate": lambda: b"|".join(stream),
        "none": lambda: b"not read",
    }
    body = ways[query(environ).get("how", "read")]()
    start_response("200 OK", TEXT)
    return [body]


def mirror(environ, start_response):
    """The body comes back, whatever the method; read in several ways."""
    stream = environ["wsgi.input"]
    body = stream.read(4) + stream.readline() + b"".join(stream) + stream.read(1)
    headers = [("Content-Type", "application/octet-stream"), ("X-Method", environ["REQUEST_METHOD"])]
    start_response("200 OK", headers)
    return [body]


def count(environ, start_response):
    """How much came, without keeping it."""
    total = sum(len(piece) for piece in iter(lambda: environ["wsgi.input"].read(65536), b""))
    start_response("200 OK", TEXT)
    return [str(total).encode()]


def wait(environ, start_response):
    wait_at_gate(environ)
    start_response("200 OK", TEXT)
    return [b"passed"]


def pid_then_wait(environ, start_response):
    start_response("200 OK", TEXT)
    yield str(os.getpid()).encode()
    wait_at_gate(environ)
    yield b"passed"


def sleep(environ, start_response):
    time.sleep(int(query(environ)["ms"]) / 1000)
    start_response("200 OK", TEXT)
    return [b"slept"]


def spin(environ, start_response):
    end = time.thread_time() + int(query(environ)["ms"]) / 1000
    while time.thread_time() < end:
        pass
    start_response("200 OK", TEXT)
    return [b"spun"]


def large(environ, start_response):
    size = int(query(environ)["size"])
    start_response("200 OK", TEXT + [("Content-Length", str(size))])
    return [b"x" * size]


def stream(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    wait_at_gate(environ)
    yield b"second"


def write(environ, start_response):
    put = start_response("200 OK", TEXT)
    put(b"written ")
    put(b"twice, ")
    return [b"then returned"]


def exc_info(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise ValueError("before the first byte")
    except ValueError:
        start_response("503 Sorry", TEXT, sys.exc_info())
    return [b"sorry"]


def exc_info_late(environ, start_response):
    put = start_response("200 OK", TEXT)
    put(b"already sent")
    try:
        raise ValueError("after the first byte")
    except ValueError:
        start_response("500 Too Late", TEXT, sys.exc_info())
    return [b"never seen"]


class Closing:
    def __init__(self, environ, pieces):
        self.environ = environ
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)

    def close(self):
        note(self.environ, "closed")


def close(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing(environ, (piece for piece in [b"one", b"two"]))


def close_after_failure(environ, start_response):
    def pieces():
        yield b"one"
        raise ValueError("midway")

    start_response("200 OK", TEXT)
    return Closing(environ, pieces())


def endless(environ, start_response):
    def pieces():
        while True:
            yield b"more " * 10000

    start_response("200 OK", TEXT)
    return Closing(environ, pieces())


def midway(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"the first piece"
    raise ValueError("failed midway")


def raises(environ, start_response):
    raise ValueError("on purpose")


def exits(environ, start_response):
    sys.exit("leaving")


def never_started(environ, start_response):
    return [b"no status"]


def not_bytes(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text"]


def too_short(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "10")])
    return [b"short"]


def too_long(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "5")])
    return [b"longer than promised"]


def injects(environ, start_response):
    start_response("200 OK", TEXT + [("X-Value", "a\r\nX-Injected: yes")])
    return [b"injected"]


def dies(environ, start_response):
    os.kill(os.getpid(), signal.SIGKILL)


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def cookies(environ, start_response):
    start_response("200 OK", TEXT + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"two"]


def file(environ, start_response):
    path = query(environ)["path"]
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](open(path, "rb"))


ROUTES = {
    "/": hello,
    "/pid": pid,
    "/environ": show_environ,
    "/echo": echo,
    "/mirror": mirror,
    "/count": count,
    "/wait": wait,
    "/pid-then-wait": pid_then_wait,
    "/sleep": sleep,
    "/spin": spin,
    "/large": large,
    "/stream": stream,
    "/write": write,
    "/exc-info": exc_info,
    "/exc-info-late": exc_info_late,
    "/close": close,
    "/close-after-failure": close_after_failure,
    "/endless": endless,
    "/midway": midway,
    "/raises": raises,
    "/exits": exits,
    "/never-started": never_started,
    "/not-bytes": not_bytes,
    "/too-short": too_short,
    "/too-long": too_long,
    "/injects": injects,
    "/dies": dies,
    "/no-content": no_content,
    "/cookies": cookies,
    "/file": file,
}


def app(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], show_environ)(environ, start_response)
