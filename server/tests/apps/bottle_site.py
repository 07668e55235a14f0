"""A Bottle application: routes, forms, JSON, uploads, streams, files, errors, and a route for every method."""

import os

from bottle import Bottle, HTTPResponse, request, response, static_file

app = Bottle()


@app.get("/hello/<name>")
def hello(name):
    return f"{name} {request.query.getunicode('greeting', '')}"


@app.post("/form")
def form():
    return {"name": request.forms.getunicode("name"), "tags": request.forms.getall("tag")}


@app.post("/json")
def echo_json():
    response.set_cookie("last", "item")
    response.set_cookie("seen", "yes")
    return {"received": request.json}


@app.post("/upload")
def upload():
    file = request.files.get("file")
    content = file.file.read()
    return {"filename": file.raw_filename, "size": len(content), "comment": request.forms.getunicode("comment")}


@app.get("/stream")
def stream():
    gate = request.query["gate"]
    response.content_type = "text/plain"
    yield "first\n"
    os.close(os.open(gate, os.O_RDONLY))
    yield "second\n"


@app.get("/source")
def source():
    """Has ranges and conditions, and goes through wsgi.file_wrapper."""
    return static_file(os.path.basename(__file__), root=os.path.dirname(__file__), mimetype="text/x-python")


@app.get("/fails")
def fails():
    raise RuntimeError("Bottle route failed on purpose")


@app.route("/mirror", method="ANY")
def mirror():
    """The body comes back, whatever the method."""
    return HTTPResponse(
        request.body.read(), headers={"Content-Type": "application/octet-stream", "X-Method": request.method}
    )
