"""A Falcon application: routes, JSON, uploads, streams, files, errors, and a sink for every method."""

import os

import falcon


class Hello:
    def on_get(self, request, response, name):
        response.text = f"{name} {request.get_param('greeting', default='')}"
        response.content_type = falcon.MEDIA_TEXT


class Items:
    def on_post(self, request, response):
        response.media = {"received": request.get_media(), "length": request.content_length}
        response.status = falcon.HTTP_201
        response.location = "http://test/items/1"
        response.set_cookie("last", "item", secure=False)
        response.set_cookie("seen", "yes", secure=False)


class Upload:
    def on_post(self, request, response):
        parts = {}
        for part in request.get_media():
            content = part.stream.read()
            parts[part.name] = {"filename": part.filename, "size": len(content)}
        response.media = parts


class Stream:
    def on_get(self, request, response):
        gate = request.get_param("gate", required=True)

        def pieces():
            yield b"first\n"
            os.close(os.open(gate, os.O_RDONLY))
            yield b"second\n"

        response.stream = pieces()
        response.content_type = falcon.MEDIA_TEXT


class Source:
    """A file object, which Falcon gives to wsgi.file_wrapper."""

    def on_get(self, request, response):
        response.set_stream(open(__file__, "rb"), os.path.getsize(__file__))
        response.content_type = "text/x-python"


class Fails:
    def on_get(self, request, response):
        raise RuntimeError("Falcon responder failed on purpose")


def mirror(request, response):
    """The body comes back, whatever the method."""
    response.data = request.bounded_stream.read()
    response.content_type = "application/octet-stream"
    response.set_header("X-Method", request.method)


app = falcon.App()
app.add_route("/hello/{name}", Hello())
app.add_route("/items", Items())
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
app.add_route("/source", Source())
app.add_route("/fails", Fails())
app.add_sink(mirror, "/mirror")
