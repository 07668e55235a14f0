"""An application between the two sides of wsgiref's validator."""

from wsgiref.validate import validator


@validator
def app(environ, start_response):
    stream = environ["wsgi.input"]
    body = stream.read(4) + stream.readline() + b"".join(stream)
    if environ["PATH_INFO"] == "/empty":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("X-Length", str(len(body)))])
    if environ["PATH_INFO"] == "/stream":
        return (piece for piece in [b"", b"one", b"", b"two"])
    return [b"validated"]
