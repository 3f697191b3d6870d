"""Somebody who is told things: a web service on this machine that takes what Apprise's ``json://`` sends."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """What has arrived, and whether anything may."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.messages: list[dict[str, Any]] = []
        self.knocks = 0
        """How often somebody tried."""
        self.is_closed = False

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


@contextmanager
def open_inbox(secret: str = "zz-inbox") -> Iterator[Inbox]:
    """An inbox whose address is only for those who know this."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            inbox.knocks += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not inbox.is_closed:
                inbox.messages.append(json.loads(body))
            self.send_response(500 if inbox.is_closed else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    inbox = Inbox(f"json://somebody:{secret}@127.0.0.1:{server.server_port}/{secret}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
