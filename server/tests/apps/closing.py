"""Responses whose close() leaves a line in the file that the query names as `note`."""

import os
import sys
from urllib.parse import parse_qsl

TEXT = [("Content-Type", "text/plain")]


class Noted:
    """An iterable that is no iterator; its close() is all that ends it."""

    def __init__(self, path, pieces):
        self.path = path
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)

    def close(self):
        with open(self.path, "a") as file:
            file.write("closed\n")


class Unreadable(Noted):
    def __iter__(self):
        raise ValueError("from __iter__")


class Unclosable(Noted):
    def close(self):
        super().close()
        raise ValueError("from close()")


class NotedList(list):
    """A list, which alone would have no close()."""

    def close(self):
        Noted(self.path, []).close()


def noted_list(path, pieces):
    pieces = NotedList(pieces)
    pieces.path = path
    return pieces


def generator(path, pieces):
    """What runs at the end of a generator, whether it came to its end or was closed before."""
    try:
        yield from pieces
    finally:
        Noted(path, []).close()


def failing():
    yield b"part"
    raise ValueError("while iterating")


def endless():
    while True:
        yield b"more " * 10_000


def gated(gate):
    """Pieces after the gate was opened, enough of them to notice that nobody is there."""
    os.close(os.open(gate, os.O_RDONLY))
    for _ in range(100):
        yield b"after " * 10_000


def first_then_gated(gate):
    yield b"first"
    yield from gated(gate)


class File:
    """A file-like object around pieces."""

    def __init__(self, path, pieces):
        self.pieces = iter(pieces)
        self.noted = Noted(path, [])

    def read(self, size):
        return next(self.pieces, b"")

    def close(self):
        self.noted.close()


SHAPES = {
    "iterable": Noted,
    "generator": generator,
    "list": noted_list,
    "unreadable": Unreadable,
    "unclosable": Unclosable,
}

BODIES = {
    "empty": lambda query: (),
    "list": lambda query: [b"one", b"two"],
    "pieces": lambda query: (piece for piece in [b"one", b"two"]),
    "failing": lambda query: failing(),
    "failing-first": lambda query: (1 / 0 for _ in [1]),
    "text": lambda query: ["text"],
    "late-text": lambda query: (piece for piece in [b"one", "text"]),
    "endless": lambda query: endless(),
    "gated": lambda query: gated(query["gate"]),
    "first-then-gated": lambda query: first_then_gated(query["gate"]),
}


def writer(path, write):
    """Writes until that fails, and notes how."""
    try:
        while True:
            write(b"more " * 10_000)
    except OSError as error:
        with open(path, "a") as file:
            file.write(type(error).__name__ + "\n")
        raise


def app(environ, start_response):
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    if query["shape"] == "writer":
        return writer(query["note"], start_response("200 OK", TEXT))
    pieces = BODIES[query.get("body", "pieces")](query)
    if query["shape"] == "file":
        result = environ["wsgi.file_wrapper"](File(query["note"], pieces))
    else:
        result = SHAPES[query["shape"]](query["note"], pieces)
    headers = TEXT + ([("Content-Length", query["length"])] if "length" in query else [])
    start = query.get("start", "ok")
    if start != "never":
        write = start_response(query.get("status", "200 OK"), headers)
        if start == "write":
            write(b"written ")
        if start == "exc_info":
            try:
                raise ValueError("the reason for exc_info")
            except ValueError:
                start_response("503 Sorry", headers, sys.exc_info())
    return result
