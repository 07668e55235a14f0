"""What the chaos suite asks: every body is a known function of the request's number, and every call is written down.

The target is /ROUTE?NUMBER&SIZE, the number in hexadecimal. CHAOS_JOURNAL names a folder in which every process keeps a
file: a line per call, before the call does anything else, and one more if it is about to end its process, to hang, or to
keep memory; one when a task was taken, when it begins and when it is done.
"""

import ctypes
import os
import threading
import time

import smarthttpd_tasks

JOURNAL = os.environ["CHAOS_JOURNAL"]

#: The longest body, and how many different places in NUMBERS one can start at.
LONGEST, STARTS = 1 << 20, 1 << 16
NUMBERS = b"".join((n * 2654435761 & 0xFFFFFFFF).to_bytes(4, "little") for n in range((LONGEST + STARTS) // 4))


class Journal:
    """This process's file; after a fork a new one."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owner = None
        self.file = None

    def write(self, line):
        pid = os.getpid()
        with self.lock:
            if self.owner != pid:
                path = os.path.join(JOURNAL, "%d-%d" % (pid, time.monotonic_ns()))
                self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self.owner = pid
        os.write(self.file, line)


journal = Journal()


def body(number, size):
    """Bytes in which a piece that is missing, doubled, moved or another response's shows."""
    name = b"%016x" % number
    if size < 32:
        return (name * 2)[:size]
    start = number * 40503 % STARTS
    return name + NUMBERS[start : start + size - 32] + name


def pieces(content, count):
    step = len(content) // count + 1
    for start in range(0, len(content), step):
        yield content[start : start + step]


def whole(number, size, start, environ):
    start(length=size)
    return [body(number, size)]


def chunked(number, size, start, environ):
    start()
    return pieces(body(number, size), 1 + number % 20)


def slow(number, size, start, environ):
    start(length=size)

    def waiting():
        for piece in pieces(body(number, size), 8):
            time.sleep(0.005)
            yield piece

    return waiting()


def upload(number, size, start, environ):
    received = environ["wsgi.input"].read()
    if received != body(number, size):
        start("400 Bad Request", length=0)
        return []
    return whole(number, size % 100, start, environ)


def raises(number, size, start, environ):
    raise RuntimeError("as asked")


def breaks(number, size, start, environ):
    """Promises more than it gives."""
    start(length=size) if number % 2 else start()

    def broken():
        yield body(number, size)[: size // 2]
        raise RuntimeError("in the middle, as asked")

    return broken()


def loops(number, size, start, environ):
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        sum(range(1000))
    return whole(number, size, start, environ)


def allocates(number, size, start, environ):
    memory = [bytearray(1 << 20) for _ in range(32)]
    del memory
    return whole(number, size, start, environ)


def exits(number, size, start, environ):
    journal.write(b"%016x dies %d\n" % (number, time.monotonic_ns()))
    os._exit(3)


def faults(number, size, start, environ):
    journal.write(b"%016x dies %d\n" % (number, time.monotonic_ns()))
    ctypes.string_at(0)


def hangs(number, size, start, environ):
    """Never returns: every second one after a part of its answer."""
    journal.write(b"%016x hangs\n" % number)
    if number % 2 == 0:
        threading.Event().wait()
    start()

    def hanging():
        yield body(number, size)[: size // 2]
        threading.Event().wait()

    return hanging()


KEPT = []


def grows(number, size, start, environ):
    """Keeps more memory than a worker may have."""
    KEPT.append(b"\1" * (128 << 20))
    journal.write(b"%016x grows %d\n" % (number, time.monotonic_ns()))
    return whole(number, size, start, environ)


def work(number):
    """A task; one in sixteen fails when it is done."""
    journal.write(b"%016x begins\n" % number)
    time.sleep(number % 8 / 1000)
    journal.write(b"%016x done\n" % number)
    if number % 16 == 0:
        raise RuntimeError("as asked")


def leaves(number, size, start, environ):
    smarthttpd_tasks.submit(work, number)
    journal.write(b"%016x left\n" % number)
    return whole(number, size, start, environ)


ROUTES = {
    "/whole": whole,
    "/chunked": chunked,
    "/slow": slow,
    "/upload": upload,
    "/raises": raises,
    "/breaks": breaks,
    "/loops": loops,
    "/allocates": allocates,
    "/exits": exits,
    "/faults": faults,
    "/hangs": hangs,
    "/grows": grows,
    "/leaves": leaves,
}


def app(environ, start_response):
    number, size = environ["QUERY_STRING"].split("&")
    journal.write(number.encode() + b"\n")

    def start(status="200 OK", length=None):
        headers = [("X-Number", number), ("X-Pid", str(os.getpid()))]
        if length is not None:
            headers.append(("Content-Length", str(length)))
        start_response(status, headers)

    return ROUTES[environ["PATH_INFO"]](int(number, 16), int(size), start, environ)
