"""An application that uses what it was given when, or where, it should not: each use must fail cleanly or do nothing."""

import threading

TEXT = [("Content-Type", "text/plain")]

#: What earlier calls left behind: (environ, start_response, write).
KEPT = []


def attempt(operation):
    try:
        return repr(operation())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def elsewhere(operation):
    """What comes of it in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(attempt(operation)))
    thread.start()
    thread.join()
    return results[0]


def keep(environ, start_response):
    write = start_response("200 OK", TEXT)
    KEPT.append((environ, start_response, write))
    return [b"kept"]


def after(environ, start_response):
    """Uses what the calls before have left behind, here and in another thread."""
    lines = []
    for old, old_start, old_write in KEPT:
        for run in (attempt, elsewhere):
            lines.append(run(lambda: old_start("200 OK", TEXT)))
            lines.append(run(lambda: old_start("200 OK", TEXT, (ValueError, ValueError(), None))))
            lines.append(run(lambda: old_write(b"into another response")))
        lines.append(attempt(lambda: old["wsgi.input"].read(3)))
        lines.append(elsewhere(lambda: old["wsgi.input"].read()))
        lines.append(attempt(lambda: old["wsgi.errors"].write("")))
        lines.append(attempt(lambda: old["wsgi.file_wrapper"](open(__file__, "rb")).close()))
    KEPT.clear()
    start_response("200 OK", TEXT)
    return ["\n".join(lines).encode()]


def other_thread(environ, start_response):
    """Uses what belongs to this call in another thread, while the call goes on."""
    early = elsewhere(lambda: start_response("200 OK", TEXT))
    write = start_response("200 OK", TEXT)
    lines = [early, elsewhere(lambda: write(b"no")), elsewhere(lambda: environ["wsgi.input"].read(4))]
    lines.append(attempt(lambda: environ["wsgi.input"].read()))
    return ["\n".join(lines).encode()]


def share(environ, start_response):
    """Many threads read one input: every byte goes to exactly one of them."""
    stream = environ["wsgi.input"]
    pieces = []

    def read(index):
        ways = [lambda: stream.read(7), stream.readline, lambda: next(stream, b"")]
        while piece := ways[index % 3]():
            pieces.append(piece)

    threads = [threading.Thread(target=read, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    start_response("200 OK", TEXT)
    return [b"%d %d" % (sum(map(len, pieces)), sum(map(sum, pieces)))]


def result_elsewhere(environ, start_response):
    """A generator that somebody else drives in a thread of its own, start_response() included."""

    def pieces():
        start_response("200 OK", TEXT)
        yield b"never"

    return [elsewhere(lambda: next(pieces())).encode()]


def changed(environ, start_response):
    """Empties the environ, then uses a header list that changes while it is read."""
    environ.clear()
    headers = list(TEXT)

    class Name(str):
        def __repr__(self):
            headers.clear()
            return "a name that empties the list"

    headers.extend([(Name("Bad Name"), "x"), ("X-Last", "y")])
    text = attempt(lambda: start_response("200 OK", headers))
    start_response("200 OK", TEXT)
    return [text.encode()]


def nested(environ, start_response):
    """start_response() from within start_response()."""

    class Value(tuple):
        def __repr__(self):
            return attempt(lambda: start_response("500 Nested", TEXT))

    text = attempt(lambda: start_response("200 OK", [Value(("a", "b", "c"))]))
    start_response("200 OK", TEXT)
    return [text.encode()]


def circle(environ, start_response):
    """A circle through everything that the server made, for the collector to find."""
    write = start_response("200 OK", TEXT)
    environ["circle"] = [environ, start_response, write, environ["wsgi.input"]]
    environ["circle"].append(environ["circle"])
    return [b"circle"]


ROUTES = {
    "/keep": keep,
    "/after": after,
    "/other-thread": other_thread,
    "/share": share,
    "/result-elsewhere": result_elsewhere,
    "/changed": changed,
    "/nested": nested,
    "/circle": circle,
}


def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
