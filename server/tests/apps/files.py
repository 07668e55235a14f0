"""wsgi.file_wrapper around all kinds of files: one function per kind, which returns a file object and Content-Length."""

import gc
import gzip
import io
import os
import tempfile
from urllib.parse import parse_qs

#: What was given out, to be asked whether it was closed.
GIVEN = []


class Reader:
    """The least that a file-like object may be: read(), and not even close()."""

    def __init__(self, pieces):
        self.pieces = list(pieces)

    def read(self, size):
        return self.pieces.pop(0) if self.pieces else b""


class Counting(io.BytesIO):
    """Counts calls of close()."""

    closes = 0

    def close(self):
        self.closes += 1
        super().close()


class Shouting(io.FileIO):
    """A real file whose read() gives something else than its descriptor does."""

    def read(self, size=-1):
        return super().read(size).upper()


def text_then_bytes(path):
    """Written to and read from through one buffer, part of which the descriptor does not know."""
    file = open(path, "w+b")
    file.write(b"old old old")
    file.seek(0)
    file.read(1)
    file.seek(0)
    file.write(b"new")
    file.seek(0)
    return file


def at(file, offset):
    file.seek(offset)
    return file


def pipe():
    """A pipe with something in it, whose other end is closed."""
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    return os.fdopen(reading, "rb")


def read_first(file, size):
    """Read through a buffer: the descriptor's own offset is further on than what was read."""
    file.read(size)
    return file


def temporary(content):
    file = tempfile.NamedTemporaryFile()
    file.write(content)
    file.seek(0)
    return file


KINDS = {
    "buffered": lambda path: open(path, "rb"),
    "unbuffered": lambda path: open(path, "rb", buffering=0),
    "offset": lambda path: at(open(path, "rb"), 5),
    "past-the-end": lambda path: at(open(path, "rb"), 1 << 40),
    "read-before": lambda path: read_first(open(path, "rb"), 3),
    "bytes": lambda path: Counting(b"in memory"),
    "bytes-offset": lambda path: at(Counting(b"in memory"), 3),
    "reader": lambda path: Reader([b"one ", b"two ", b"three"]),
    "pipe": lambda path: pipe(),
    "subclass": lambda path: Shouting(path),
    "read-write": lambda path: text_then_bytes(path + ".new"),
    "temporary": lambda path: temporary(b"temporary"),
    "gzip": lambda path: gzip.open(path, "rb"),
    "proc": lambda path: open("/proc/self/comm", "rb"),
    "sysfs": lambda path: open("/sys/devices/system/cpu/online", "rb"),
    "text": lambda path: open(path, "r"),
    "closed": lambda path: closed(open(path, "rb")),
    "write-only": lambda path: open(path + ".write", "wb", buffering=0),
    "directory": lambda path: os.open(os.path.dirname(path), os.O_RDONLY),
}


def closed(file):
    file.close()
    return file


def state(kept):
    """How often what was given out was closed, as far as can be told; forgets it."""
    states = [getattr(file, "closes", getattr(file, "closed", None)) for file in kept]
    kept.clear()
    gc.collect()
    return repr([int(state) for state in states if state is not None])


def app(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    headers = [("Content-Type", "application/octet-stream")]
    if environ["PATH_INFO"] == "/state":
        start_response("200 OK", headers)
        return [state(GIVEN).encode()]
    file = KINDS[query["kind"]](query["path"])
    GIVEN.append(file)
    if "length" in query:
        headers.append(("Content-Length", query["length"]))
    if "unstarted" not in query:
        start_response(query.get("status", "200 OK"), headers)
    wrapper = environ["wsgi.file_wrapper"]
    return wrapper(file, int(query["block"])) if "block" in query else wrapper(file)
