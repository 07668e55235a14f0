"""Answers as the query asks, `?status=204%20No%20Content&header=A:b&body=oops`, or else with what it was asked."""

import json
from urllib.parse import parse_qsl


def app(environ, start_response):
    asked = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
    every = lambda name: [value for key, value in asked if key == name]
    if environ["PATH_INFO"] == "/answer":
        headers = [tuple(header.split(":", 1)) for header in every("header")]
        start_response(every("status")[0], [("Content-Type", "text/plain"), *headers])
        return [body.encode() for body in every("body")]
    request = {
        "method": environ["REQUEST_METHOD"],
        "target": environ["RAW_URI"],
        "body": environ["wsgi.input"].read().decode("utf-8", "replace"),
        "fields": {key: value for key, value in environ.items() if key.startswith("HTTP_")},
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(request).encode()]
