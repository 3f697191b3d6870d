"""An outside watcher: a web service on this machine that waits for heartbeats."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Watcher:
    """An outside watcher: what it has been asked for, and what it answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[str] = []
        self.status = 200
        self.is_silent = threading.Event()


@contextmanager
def open_watcher(secret: str) -> Iterator[Watcher]:
    """A watcher whose address is only for those who know this."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.calls.append(self.path)
            while here.is_silent.is_set():
                time.sleep(0.02)
            self.send_response(here.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    here = Watcher(f"http://127.0.0.1:{server.server_port}/{secret}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield here
    finally:
        here.is_silent.clear()
        server.shutdown()
        thread.join()
        server.server_close()
