"""A Flask application as people write them: sessions, forms, uploads, streams, files, errors."""

import hashlib
import os
import tempfile

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, session, url_for

app = Flask(__name__)
app.secret_key = "only for tests"


@app.route("/")
def index():
    return "Hello from Flask"


@app.route("/hello/<name>")
def hello(name):
    return f"{name} {request.args.get('greeting', '')}"


@app.route("/form", methods=["POST"])
def form():
    return jsonify(name=request.form["name"], tags=request.form.getlist("tag"))


@app.route("/json", methods=["POST", "PUT"])
def echo_json():
    return jsonify(received=request.get_json(), method=request.method)


@app.route("/login", methods=["POST"])
def login():
    session["user"] = request.form["user"]
    return redirect(url_for("profile"))


@app.route("/profile")
def profile():
    if "user" not in session:
        abort(403)
    return f"user {session['user']}"


@app.route("/upload", methods=["POST"])
def upload():
    file = request.files["file"]
    content = file.read()
    return jsonify(
        filename=file.filename,
        size=len(content),
        digest=hashlib.sha256(content).hexdigest(),
        comment=request.form["comment"],
    )


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]


@app.route("/mirror", methods=METHODS, provide_automatic_options=False)
def mirror():
    """The body comes back, whatever the method."""
    return Response(request.get_data(), mimetype="application/octet-stream", headers={"X-Method": request.method})


@app.route("/digest", methods=["POST"])
def digest():
    return jsonify(size=len(request.data), digest=hashlib.sha256(request.data).hexdigest())


@app.route("/stream")
def stream():
    gate = request.args["gate"]

    def pieces():
        yield "first\n"
        os.close(os.open(gate, os.O_RDONLY))
        yield "second\n"

    return Response(pieces(), mimetype="text/plain")


@app.route("/source")
def source():
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.route("/generated")
def generated():
    file = tempfile.TemporaryFile()
    file.write(b"0123456789" * 10000)
    file.seek(0)
    return send_file(file, mimetype="application/octet-stream", download_name="generated.bin")


@app.route("/fails")
def fails():
    raise RuntimeError("Flask view failed on purpose")


@app.route("/environ")
def environ():
    return jsonify({key: value for key, value in request.environ.items() if isinstance(value, (str, bool))})


@app.route("/address")
def address():
    return jsonify(url=request.url, remote=request.remote_addr, host=request.host, scheme=request.scheme)
