"""What an application may do, rightly or wrongly, between start_response() and its last byte: one function per case.

A function's name, with dashes, is its path.
"""

import sys
from urllib.parse import parse_qs, unquote

TEXT = [("Content-Type", "text/plain")]
ROUTES = {}


def route(function):
    ROUTES["/" + function.__name__.replace("_", "-")] = function
    return function


def failed():
    """The exc_info of an exception."""
    try:
        raise ValueError("the reason for exc_info")
    except ValueError:
        return sys.exc_info()


def sized(length):
    return TEXT + [("Content-Length", str(length))]


# write()


@route
def write_only(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"")
    write(b"two")
    return []


@route
def write_and_return(environ, start_response):
    start_response("200 OK", sized(7))(b"one ")
    return [b"two"]


@route
def write_between(environ, start_response):
    """A generator that also writes."""
    write = start_response("200 OK", TEXT)
    write(b"1")
    yield b"2"
    write(b"3")
    yield b"4"


@route
def write_text(environ, start_response):
    start_response("200 OK", TEXT)("text")
    return []


@route
def write_too_much(environ, start_response):
    write = start_response("200 OK", sized(5))
    write(b"12345")
    write(b"6")
    return []


@route
def write_and_raise(environ, start_response):
    start_response("200 OK", TEXT)(b"part")
    raise ValueError("after write()")


@route
def write_and_file(environ, start_response):
    """A file after something was written: the kernel can't send it as the whole body."""
    start_response("200 OK", TEXT)(b"before ")
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


# start_response()


@route
def twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("201 Created", TEXT)
    return [b"never"]


@route
def twice_and_caught(environ, start_response):
    """The second call is refused, which does no harm to the first."""
    start_response("200 OK", TEXT + [("X-First", "yes")])
    try:
        start_response("201 Created", TEXT)
    except AssertionError:
        return [b"the first stands"]


@route
def replaced(environ, start_response):
    start_response("200 OK", TEXT + [("X-First", "yes"), ("Content-Length", "1000")])
    start_response("503 Sorry", TEXT, failed())
    return [b"sorry"]


@route
def replaced_by_keyword(environ, start_response):
    """Not by the letter of PEP 3333, but seen, and other servers take it."""
    start_response("200 OK", TEXT)
    start_response("503 Sorry", TEXT, exc_info=failed())
    return [b"sorry"]


@route
def replaced_before_the_first_byte(environ, start_response):
    """Empty pieces are no output."""
    start_response("200 OK", TEXT)
    yield b""
    start_response("503 Sorry", TEXT, failed())
    yield b"sorry"


@route
def replaced_too_late(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"sent"
    start_response("503 Sorry", TEXT, failed())
    yield b"never"


@route
def twice_too_late(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"sent"
    start_response("200 OK", TEXT)
    yield b"never"


@route
def explicit_none(environ, start_response):
    start_response("200 OK", TEXT, None)
    return [b"fine"]


@route
def late(environ, start_response):
    """Nothing of a generator runs before its first piece is asked for."""
    start_response("202 Late", TEXT)
    yield b"late"


@route
def late_in_an_iterator(environ, start_response):
    class Pieces:
        def __iter__(self):
            start_response("202 Late", TEXT)
            return iter([b"la", b"te"])

    return Pieces()


@route
def recovered(environ, start_response):
    """What start_response() refused can be mended."""
    try:
        start_response("200 OK", [("Bad Name", "x")])
    except ValueError:
        start_response("200 OK", TEXT)
    return [b"mended"]


@route
def rejected(environ, start_response):
    try:
        start_response("200 OK", [("Bad Name", "x")])
    except ValueError:
        pass
    return [b"nobody asked for this"]


@route
def never_list(environ, start_response):
    return [b"no status"]


@route
def never_empty(environ, start_response):
    return []


@route
def never_generator(environ, start_response):
    yield b"no status"


@route
def no_arguments(environ, start_response):
    start_response()


# Iterables


@route
def empty(environ, start_response):
    start_response("200 OK", TEXT)
    shapes = {
        "list": [],
        "tuple": (),
        "iterator": iter([]),
        "generator": (piece for piece in []),
        "pieces": [b"", b""],
        "generated": (piece for piece in [b"", b""]),
        "dict": {},
    }
    return shapes[environ["QUERY_STRING"]]


class Indexed:
    """Iterable as sequences were before there were iterators."""

    def __getitem__(self, index):
        return [b"in", b"dex", b"ed"][index]


@route
def shapes(environ, start_response):
    start_response("200 OK", TEXT)
    pieces = [b"a", b"", b"bc"]
    shapes = {
        "list": pieces,
        "tuple": tuple(pieces),
        "iterator": iter(pieces),
        "generator": (piece for piece in pieces),
        "map": map(bytes, pieces),
        "dict": dict.fromkeys(pieces),
        "indexed": Indexed(),
    }
    return shapes[environ["QUERY_STRING"]]


@route
def many(environ, start_response):
    start_response("200 OK", TEXT)
    parts = (b"%09d\n" % number for number in range(10_000))
    return list(parts) if environ["QUERY_STRING"] == "list" else parts


@route
def length(environ, start_response):
    """Content-Length and a body of five bytes, as a list or generated."""
    promised, shape = environ["QUERY_STRING"].split("&")
    start_response("200 OK", sized(promised))
    pieces = [b"12", b"345"]
    return pieces if shape == "list" else (piece for piece in pieces)


@route
def endless(environ, start_response):
    """Never ends by itself: a server stops asking (PEP 3333, "Handling the Content-Length Header")."""
    start_response("200 OK", sized(environ["QUERY_STRING"]) if environ["QUERY_STRING"] else TEXT)
    while True:
        yield b"1234"


@route
def status(environ, start_response):
    """A status and a body, as a list or generated, with or without its length."""
    query = parse_qs(environ["QUERY_STRING"])
    headers = sized(4) if "sized" in query else TEXT
    start_response(query["status"][0], headers if "bare" not in query else [])
    return [b"bo", b"dy"] if "list" in query else (piece for piece in [b"bo", b"dy"])


@route
def piece(environ, start_response):
    """A piece that is no bytes, at once or after a good one."""
    kind, place = environ["QUERY_STRING"].split("&")
    bad = {"str": "text", "none": None, "int": 5, "bytearray": bytearray(b"x"), "view": memoryview(b"x")}[kind]
    start_response("200 OK", TEXT)
    if place == "list":
        return [b"good", bad]
    return (piece for piece in ([bad] if place == "first" else [b"good", bad]))


@route
def result(environ, start_response):
    """Something that is no iterable of bytes."""
    start_response("200 OK", TEXT)
    results = {"str": "text", "bytes": b"bytes", "none": None, "int": 5, "class": Indexed}
    return results[environ["QUERY_STRING"]]


@route
def broken_iter(environ, start_response):
    class Pieces:
        def __iter__(self):
            raise ValueError("from __iter__")

    start_response("200 OK", TEXT)
    return Pieces()


@route
def exits_midway(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"part"
    sys.exit("leaving midway")


# Headers


@route
def header(environ, start_response):
    """Name and value as the query has them, percent-encoded UTF-8."""
    name, value = environ["QUERY_STRING"].split("=")
    start_response("200 OK", TEXT + [(unquote(name), unquote(value))])
    return [b"with a header"]


@route
def raw_status(environ, start_response):
    start_response(unquote(environ["QUERY_STRING"]), TEXT)
    return [b"with a status"]


@route
def head_types(environ, start_response):
    """Status and headers of types that PEP 3333 does not allow."""
    wrong = {
        "status-bytes": (b"200 OK", TEXT),
        "status-int": (200, TEXT),
        "headers-tuple": ("200 OK", tuple(TEXT)),
        "headers-dict": ("200 OK", dict(TEXT)),
        "headers-none": ("200 OK", None),
        "header-list": ("200 OK", [["Content-Type", "text/plain"]]),
        "header-single": ("200 OK", [("Content-Type",)]),
        "header-triple": ("200 OK", [("Content-Type", "text/plain", "x")]),
        "name-bytes": ("200 OK", [(b"Content-Type", "text/plain")]),
        "value-bytes": ("200 OK", [("Content-Type", b"text/plain")]),
        "value-int": ("200 OK", [("Content-Length", 5)]),
        "value-none": ("200 OK", [("X-Value", None)]),
    }
    start_response(*wrong[environ["QUERY_STRING"]])
    return [b"never"]


@route
def many_headers(environ, start_response):
    start_response("200 OK", TEXT + [("X-Number-%d" % number, "v" * 100) for number in range(2000)])
    return [b"many"]


@route
def large_header(environ, start_response):
    start_response("200 OK", TEXT + [("X-Large", "v" * (1 << 20))])
    return [b"large"]


@route
def repeated(environ, start_response):
    cookies = [("Set-Cookie", f"c{number}=v; Path=/") for number in range(20)]
    start_response("200 OK", TEXT + cookies + [("Vary", "Accept"), ("vary", "Cookie")])
    return [b"repeated"]


def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
