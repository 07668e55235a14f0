"""Reads wsgi.input in random ways, each beside an io.BytesIO of the same bytes, and reports the first difference.

The bytes are in a file that the query names, and so is the seed: a difference that was found once is found again.
"""

import array
import io
import random
from urllib.parse import parse_qs


def size(random, length):
    """A size to read: usual, odd, or past the end."""
    return random.choice(
        [None, -1, -5, 0, 1, 2, 7, 100, 8191, 8192, 65536, length - 1, length, length + 1, 2**40, True]
        + [random.randrange(1, length + 2) for _ in range(8)]
    )


def read_into(make):
    """readinto() a buffer that `make` makes; what it said and what is in the buffer then."""

    def operation(stream):
        buffer = make()
        return stream.readinto(buffer), bytes(buffer)

    return operation


def operation(random, length):
    """One way of reading, and its name. Long ones are rare, so that there are many steps in one body."""
    n = size(random, length) if random.random() < 0.15 else random.randrange(0, 200)
    count = random.randrange(1, 6)
    buffer_size = random.randrange(0, 5000)
    return random.choice(
        [
            (f"read({n})", lambda stream: stream.read(n)),
            (f"readline({n})", lambda stream: stream.readline(n)),
            ("readline()", lambda stream: stream.readline()),
            (f"readlines({n or 1})", lambda stream: stream.readlines(n or 1)),
            ("next()", lambda stream: next(stream, "end")),
            (f"{count} lines", lambda stream: [line for line, _ in zip(stream, range(count))]),
            (f"readinto(bytearray({buffer_size}))", read_into(lambda: bytearray(buffer_size))),
            (f"readinto(array of {count})", read_into(lambda: array.array("I", [0] * count))),
            (f"readinto(view of {count})", read_into(lambda: memoryview(bytearray(count + 3))[1:-1])),
        ]
        + [
            ("read()", lambda stream: stream.read()),
            ("readlines()", lambda stream: stream.readlines()),
            ("readlines(0)", lambda stream: stream.readlines(0)),
            ("readlines(None)", lambda stream: stream.readlines(None)),
            ("list()", list),
        ]
        * (random.random() < 0.02)
    )


def compare(stream, reference, seed, steps):
    """The first step whose result differs; None if there is none up to and past the end."""
    generator = random.Random(seed)
    length = len(reference.getvalue())
    past_the_end = 0
    for step in range(steps):
        name, read = operation(generator, length)
        place = reference.tell()
        got, expected = read(stream), read(reference)
        if got != expected or type(got) is not type(expected):
            return f"step {step}, {name} at {place} of {length}: {got!r:.200} instead of {expected!r:.200}"
        past_the_end += place == length
        if past_the_end == 10:
            return None
    remaining, expected = stream.read(), reference.read()
    return None if remaining == expected else f"the rest: {len(remaining)} bytes instead of {len(expected)}"


def at_random(environ, query):
    with open(query["path"][0], "rb") as file:
        reference = io.BytesIO(file.read())
    return compare(environ["wsgi.input"], reference, int(query["seed"][0]), 3000) or "same"


def raised(operation):
    try:
        operation()
    except Exception as error:
        return type(error).__name__
    return "nothing"


def wrongly(environ, query):
    """What wrong arguments raise, compared with BytesIO; then the whole body, of which none may be lost."""
    stream, reference = environ["wsgi.input"], io.BytesIO(b"x")
    wrong = {
        "read(text)": lambda stream: stream.read("5"),
        "read(float)": lambda stream: stream.read(1.5),
        "read(huge)": lambda stream: stream.read(2**64),
        "read(two)": lambda stream: stream.read(1, 2),
        "readline(bytes)": lambda stream: stream.readline(b"5"),
        "readlines(text)": lambda stream: stream.readlines("5"),
        "readinto(bytes)": lambda stream: stream.readinto(b"read-only"),
        "readinto(none)": lambda stream: stream.readinto(None),
        "readinto(steps)": lambda stream: stream.readinto(memoryview(bytearray(10))[::2]),
    }
    for name, operation in wrong.items():
        got, expected = raised(lambda: operation(stream)), raised(lambda: operation(reference))
        if got != expected:
            return f"{name} raised {got}, BytesIO {expected}"
    return f"{len(stream.read())} left"


def wrapped(environ, query):
    """What the standard library makes of it."""
    kind = query["kind"][0]
    stream = environ["wsgi.input"]
    if kind == "text":
        return "|".join(io.TextIOWrapper(stream, "utf-8", newline=""))
    if kind == "buffered":
        reader = io.BufferedReader(stream, 16)
        return (reader.peek(1)[:1] + b"|" + reader.read()).decode()
    flags = [stream.readable(), stream.writable(), stream.seekable(), stream.closed]
    return f"{flags} {raised(lambda: stream.seek(0))} {raised(lambda: stream.write(b''))}"


def closed(environ, query):
    stream = environ["wsgi.input"]
    first = stream.read(2)
    stream.close()
    stream.close()
    results = [raised(operation) for operation in (stream.read, stream.readline, stream.readlines, lambda: next(stream))]
    return f"{first} {stream.closed} {results}"


ROUTES = {"/random": at_random, "/wrong": wrongly, "/wrapped": wrapped, "/closed": closed}


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    answer = ROUTES[environ["PATH_INFO"]](environ, query)
    terminated = environ.get("wsgi.input_terminated")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("X-Terminated", repr(terminated))])
    return [answer.encode()]
