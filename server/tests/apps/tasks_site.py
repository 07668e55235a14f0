"""Leaves background tasks. What they do shows in a file of notes; gates hold them up."""

import contextvars
import functools
import os
import threading
from urllib.parse import parse_qsl

import smarthttpd_tasks

TEXT = [("Content-Type", "text/plain")]
LEFT_BEHIND = contextvars.ContextVar("left_behind", default="nothing")

try:
    smarthttpd_tasks.submit(print)
    AT_IMPORT = "taken"
except smarthttpd_tasks.Unavailable as error:
    AT_IMPORT = str(error)


def query(environ):
    return dict(parse_qsl(environ["QUERY_STRING"]))


def pass_gate(gate):
    """Opening a FIFO to read blocks until somebody has it open to write."""
    os.close(os.open(gate, os.O_RDONLY))


def note(path, text):
    with open(path, "a") as file:
        file.write(text + "\n")


def work(path, text, gate=None):
    if gate:
        pass_gate(gate)
    note(path, text)


def write_list(path, words):
    note(path, " ".join(words))


def fails():
    raise ValueError("on purpose")


def exits():
    raise SystemExit("leaving")


def chains(path):
    smarthttpd_tasks.submit(work, path, "the second")
    note(path, "the first")


def looks_around(path):
    note(path, LEFT_BEHIND.get())
    LEFT_BEHIND.set("a task's")


class Once:
    """Pickled well, and never unpickled."""

    def __reduce__(self):
        return fails, ()


def submit(environ):
    """One task for each of the texts."""
    asked = query(environ)
    for text in asked["text"].split(","):
        environ["smarthttpd.tasks"].submit(work, asked["note"], text, gate=asked.get("gate"))
    if "hold" in asked:
        pass_gate(asked["hold"])
    return "left"


def submit_or_say(environ):
    try:
        return submit(environ)
    except smarthttpd_tasks.Full as error:
        return f"Full: {error}"


def request(environ):
    note(query(environ)["note"], "request")
    return "noted"


def unpicklable(environ):
    how = query(environ)["how"]
    calls = {
        "lambda": lambda: smarthttpd_tasks.submit(lambda: None),
        "argument": lambda: smarthttpd_tasks.submit(work, "path", threading.Lock()),
        "keyword": lambda: smarthttpd_tasks.submit(work, "path", "text", gate=threading.Lock()),
        "nothing": lambda: smarthttpd_tasks.submit(),
        "number": lambda: smarthttpd_tasks.submit(7),
    }
    try:
        calls[how]()
    except TypeError as error:
        return f"{error} | {type(error.__cause__).__name__}"
    return "taken"


def trouble(environ):
    smarthttpd_tasks.submit(fails)
    smarthttpd_tasks.submit(exits)
    smarthttpd_tasks.submit(print, Once())
    smarthttpd_tasks.submit(functools.partial(work, "/nowhere/at/all", "text"))
    return "left"


def snapshot(environ):
    words = ["as", "it", "was"]
    smarthttpd_tasks.submit(write_list, query(environ)["note"], words)
    words[:] = ["changed"]
    return "left"


def chain(environ):
    smarthttpd_tasks.submit(chains, query(environ)["note"])
    return "left"


def context(environ):
    LEFT_BEHIND.set("a request's")
    for _ in range(2):
        smarthttpd_tasks.submit(looks_around, query(environ)["note"])
    return "left"


def by_thread(environ):
    """A thread of the application's own has no response to wait for, even while a request waits for it."""
    asked = query(environ)
    thread = threading.Thread(target=smarthttpd_tasks.submit, args=(work, asked["note"], "done"))
    thread.start()
    thread.join()
    pass_gate(asked["hold"])
    return "left"


def in_child(environ):
    """The child says through a pipe what came of it, and leaves without a trace."""
    ours, childs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            smarthttpd_tasks.submit(fails)
        except smarthttpd_tasks.Unavailable as error:
            os.write(childs, str(error).encode())
        os._exit(0)
    os.close(childs)
    with open(ours) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def switched_off(environ):
    try:
        smarthttpd_tasks.submit(fails)
    except smarthttpd_tasks.Unavailable as error:
        return f"{'smarthttpd.tasks' in environ} {error}"
    return "taken"


ROUTES = {
    "/": lambda environ: "Hello",
    "/submit": submit_or_say,
    "/request": request,
    "/unpicklable": unpicklable,
    "/trouble": trouble,
    "/snapshot": snapshot,
    "/chain": chain,
    "/context": context,
    "/by-thread": by_thread,
    "/in-child": in_child,
    "/switched-off": switched_off,
    "/at-import": lambda environ: AT_IMPORT,
}


def app(environ, start_response):
    text = ROUTES[environ["PATH_INFO"]](environ)
    start_response("200 OK", TEXT)
    return [text.encode()]
