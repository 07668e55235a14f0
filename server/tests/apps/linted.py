"""Every test application with a linter between it and the server: the headers X-App and X-Lint say which.

Chosen by headers, because a path would have to be changed before the linter sees it.
"""

import io
import sys
import warnings
from wsgiref.validate import validator

import bottle_site
import falcon_site
import flask_site
import plain
import shop.wsgi
import webtest.lint
from werkzeug.middleware.lint import LintMiddleware

# Whatever a linter warns of is an error ...
warnings.simplefilter("error")
# ... but for what is no mistake of a server, nor of an application: PEP 3333 allows every method;
warnings.filterwarnings("ignore", message="Unknown REQUEST_METHOD")
# it has read() and readline() without a size, and here they end with the body;
warnings.filterwarnings("ignore", message="WSGI does not guarantee an EOF marker")
warnings.filterwarnings("ignore", message=r"Calls to 'wsgi.input.readline\(\)' without arguments are unsafe")
# an answer to HEAD has the Content-Length of the body that it does not have (RFC 9110 §8.6).
warnings.filterwarnings("ignore", message="Content-Length and the number of bytes sent")
# This one is Bottle's mistake.
warnings.filterwarnings("ignore", message="Unquoted etag emitted")
# Raised where nobody sees it, so it has to be printed.
warnings.filterwarnings("always", message="Iterator was garbage collected before it was closed")


class Reader(io.RawIOBase):
    """Reads a linter's input in the one way that none of them objects to, for frameworks that know others."""

    def __init__(self, stream):
        self.stream = stream

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def reading(app):
    def reading_app(environ, start_response):
        environ["wsgi.input"] = io.BufferedReader(Reader(environ["wsgi.input"]))
        return app(environ, start_response)

    return reading_app


APPS = {
    "plain": plain.app,
    "flask": reading(flask_site.app),
    "django": reading(shop.wsgi.application),
    "falcon": reading(falcon_site.app),
    "bottle": reading(bottle_site.app),
}

LINTED = {
    (name, lint): linter(app)
    for name, app in APPS.items()
    for lint, linter in {"wsgiref": validator, "webtest": webtest.lint.middleware, "werkzeug": LintMiddleware}.items()
}


def app(environ, start_response):
    return LINTED[environ["HTTP_X_APP"], environ["HTTP_X_LINT"]](environ, start_response)


def unraisable(event):
    """A linter that finds something in a destructor can't raise it."""
    print(f"UNRAISABLE {event.exc_value!r}", file=sys.stderr, flush=True)


sys.unraisablehook = unraisable
