#!/usr/bin/env python3
"""Stands in for smarthttpd: answers 200 to everything, and always the same."""

import http.server
import sys


if "--version" in sys.argv:
    print("smarthttpd 0.0.0")
    sys.exit()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"Hello, World!")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"serving on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
