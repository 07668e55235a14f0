"""What hostile and unlucky clients are set upon: the plain application, and behaviours that strain a server."""

import ctypes
import time

import plain
from plain import TEXT, Closing, query

# Calls through PyDLL keep the interpreter lock, as C extensions do that never let go of it.
C = ctypes.PyDLL(None)


def hold(environ, start_response):
    """One call into C that keeps the interpreter lock all the time."""
    C.usleep(int(query(environ)["ms"]) * 1000)
    start_response("200 OK", TEXT)
    return [b"held"]


def spin(environ, start_response):
    """Pure Python, for as long as the clock on the wall says."""
    end = time.monotonic() + int(query(environ)["ms"]) / 1000
    while time.monotonic() < end:
        pass
    start_response("200 OK", TEXT)
    return [b"spun"]


def compute(environ, start_response):
    """Pure Python, as much CPU time as asked for."""
    return plain.spin(environ, start_response)


def only_get(environ, start_response):
    if environ["REQUEST_METHOD"] != "GET":
        start_response("405 Method Not Allowed", TEXT + [("Allow", "GET")])
        return [b"GET only"]
    return plain.hello(environ, start_response)


def pieces(environ, start_response):
    """A body of `count` pieces of `size` bytes, of a length that only the end tells; `fail`: it fails after them."""
    asked = query(environ)
    count, piece = int(asked["count"]), b"x" * int(asked["size"])

    def generate():
        for _ in range(count):
            yield piece
        if "fail" in asked:
            raise ValueError("after the last piece")

    start_response("200 OK", TEXT)
    return Closing(environ, generate()) if "note" in asked else generate()


def promised(environ, start_response):
    """Promises `length` bytes and sends `size`, in one of the ways that there are."""
    asked = query(environ)
    body = b"x" * int(asked["size"])
    put = start_response("200 OK", TEXT + [("Content-Length", asked["length"])])
    if asked["how"] == "list":
        return [body]
    if asked["how"] == "pieces":
        return (body[at : at + 10] for at in range(0, len(body), 10))
    for at in range(0, len(body), 10):
        put(body[at : at + 10])
    return []


def headers(environ, start_response):
    """`count` headers of `size` bytes."""
    asked = query(environ)
    value = "v" * int(asked["size"])
    start_response("200 OK", TEXT + [(f"X-{n}", value) for n in range(int(asked["count"]))])
    return [b"many headers"]


def cookies(environ, start_response):
    count = int(query(environ)["count"])
    start_response("200 OK", TEXT + [("Set-Cookie", f"name{n}=value{n}; Path=/") for n in range(count)])
    return [b"many cookies"]


ROUTES = plain.ROUTES | {
    "/hold": hold,
    "/spin": spin,
    "/compute": compute,
    "/only-get": only_get,
    "/pieces": pieces,
    "/promised": promised,
    "/headers": headers,
    "/many-cookies": cookies,
}


def app(environ, start_response):
    return ROUTES.get(environ["PATH_INFO"], plain.show_environ)(environ, start_response)
