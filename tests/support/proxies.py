"""A small HTTP proxy, and a server that adds TLS in front of another one, both on loopback."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TIMEOUT_SECONDS: Final = 20


@dataclass
class Listening:
    """A server, and what it was asked."""

    port: int
    heads: list[str] = field(default_factory=list)
    """The first lines and headers that a proxy was sent."""


@contextmanager
def tls_in_front_of(port: int, certificate: Path) -> Iterator[Listening]:
    """A server with this certificate and key that passes everything on to a port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket, _listening: Listening) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            _join(secured, port)

    with _serving(serve) as listening:
        yield listening


@contextmanager
def proxy_to(port: int, answer: str = "200 Connection established", *, hangs_up: bool = False) -> Iterator[Listening]:
    """A proxy that answers each CONNECT so, and passes a connection on to a port, whichever host was asked for."""

    def serve(connection: socket.socket, listening: Listening) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(65536)
            if not received:
                return
            head += received
        listening.heads.append(head.decode())
        if hangs_up:
            return
        connection.sendall(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        if answer.startswith("200"):
            _join(connection, port)

    with _serving(serve) as listening:
        yield listening


@contextmanager
def _serving(serve: Callable[[socket.socket, Listening], None]) -> Iterator[Listening]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = Listening(listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def attend(connection: socket.socket) -> None:
            connection.settimeout(_TIMEOUT_SECONDS)
            with connection, suppress(OSError):
                serve(connection, listening)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=attend, args=(connection,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listening
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def _join(connection: socket.socket, port: int) -> None:
    """Pass on both ways until one side ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as upstream:
        back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
        back.start()
        _copy(connection, upstream)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
