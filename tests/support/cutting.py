"""A proxy that cuts a connection in the middle of what a server sends, for any protocol over TCP or a UNIX socket."""

import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self


class CuttingProxy:
    """Pass connections on to a server until the context ends.

    A connection ends after ``after_bytes`` of the server's bytes; ``None`` passes on everything. ``passed`` is how
    many bytes came from the server over the last connection. ``waits`` falls silent instead of ending it.
    """

    def __init__(self, server: tuple[str, int] | Path, after_bytes: int | None = None, *, waits: bool = False) -> None:
        self.after_bytes = after_bytes
        self.waits = waits
        self.passed = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []

    @property
    def port(self) -> int:
        """The port it listens on, on loopback."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._listener)
        for each in list(self._open):
            self._end(each)
        for thread in list(self._threads):
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if isinstance(self._server, Path):
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(str(self._server))
                else:
                    server = socket.create_connection(self._server)
                self._open += [client, server]
                self.passed = 0
                self._start(self._to_server, client, server)
                self._start(self._to_client, server, client)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while content := client.recv(65536):
                server.sendall(content)
        self._end(server)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while content := server.recv(65536):
                left = len(content) if self.after_bytes is None else self.after_bytes - self.passed
                client.sendall(content[: max(left, 0)])
                self.passed += len(content)
                if left < len(content):
                    if self.waits:
                        return
                    break
        self._end(client)
        self._end(server)

    def _start(self, action: object, *arguments: socket.socket) -> None:
        assert callable(action)
        thread = Thread(target=action, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _end(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
