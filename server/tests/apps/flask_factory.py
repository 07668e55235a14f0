"""A Flask application set up as Flask's documentation recommends for production: a factory, a blueprint, ProxyFix for the
proxy in front. The environment variable FILES is the folder that uploads are kept in.
"""

import os

from flask import Blueprint, Flask, Response, abort, jsonify, request, send_from_directory, session, stream_with_context
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.utils import secure_filename

files = Blueprint("files", __name__)


def folder():
    return os.environ["FILES"]


@files.before_request
def require_login():
    if "user" not in session:
        abort(401)


@files.post("/")
def upload():
    names = []
    for file in request.files.getlist("file"):
        names.append(secure_filename(file.filename))
        file.save(os.path.join(folder(), names[-1]))
    return jsonify(names), 201


@files.get("/<name>")
def download(name):
    """Conditional requests and ranges are answered by werkzeug, the file goes through wsgi.file_wrapper."""
    return send_from_directory(folder(), name, as_attachment="attachment" in request.args)


@files.get("/<name>/lines")
def lines(name):
    """A generator that needs its request as long as it runs."""

    def numbered():
        with open(os.path.join(folder(), name)) as file:
            for number, line in enumerate(file, int(request.args.get("first", 1))):
                yield f"{session['user']} {number} {line}"

    return Response(stream_with_context(numbered()), mimetype="text/plain")


def create_app(max_upload=None):
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY="only for tests", MAX_CONTENT_LENGTH=max_upload)
    app.register_blueprint(files, url_prefix="/files")

    @app.post("/login")
    def login():
        session["user"] = request.form["user"]
        return "", 204

    @app.get("/address")
    def address():
        return jsonify(url=request.url, remote=request.remote_addr, root=request.root_path, secure=request.is_secure)

    @app.teardown_request
    def note(error):
        """Runs when the response is closed, for a stream after its last piece."""
        with open(os.path.join(folder(), "teardowns"), "a") as file:
            file.write(f"{request.path} {error}\n")

    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
    return app
