#!/usr/bin/env python3
"""Answers as right.py, but lets only so many connections in; those that it has, it goes on to serve."""

import http.server
import threading

import right

MOST = 30


class Closing(http.server.ThreadingHTTPServer):
    accepted = 0

    def get_request(self):
        self.accepted += 1
        if self.accepted == MOST:
            threading.Thread(target=self.shutdown).start()
        return super().get_request()


right.serve(Closing).socket.close()
threading.Event().wait()
