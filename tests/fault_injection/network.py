"""A network that goes wrong: it stands in front of a simulator and spoils what a test tells it to."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

from syncd.simulator import Simulator

_CREATE: Final = b"POST /api/v2.1/User HTTP/1.1"
_LONGER_THAN_ANY_TEST: Final = 60

Work: TypeAlias = Callable[[], bytes]
"""Reads the request, has OneFile do it, and gives the answer."""
Trouble: TypeAlias = "Callable[[Line, Work], None]"


class Line:
    """One connection, and how to spoil it."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self._connection = connection
        self._over = over

    def first_line(self) -> bytes:
        """What is asked for, which stays to be read."""
        return self._connection.recv(65536, socket.MSG_PEEK).partition(b"\r\n")[0]

    def read_request(self) -> bytes:
        """All of a request."""
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._received()
        head, _, body = read.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while len(body) < int(lengths[0] if lengths else 0):
            body += self._received()
        return head + b"\r\n\r\n" + body

    def say(self, *context: bytes) -> None:
        for part in context:
            self._connection.sendall(part)

    def drip(self, text: bytes, seconds: float) -> None:
        """Say it a byte at a time, and then the last byte again and again."""
        for index in range(_LONGER_THAN_ANY_TEST * 1000):
            self.say(text[min(index, len(text) - 1)].to_bytes())
            if self._over.wait(seconds):
                return

    def stall(self) -> None:
        self._over.wait(_LONGER_THAN_ANY_TEST)

    def reset(self) -> None:
        """Close it so that the other side is told that something broke."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def heard_by(self, context: SSLContext) -> bytes:
        """What the other side says once it has agreed on TLS; it may well not."""
        with context.wrap_socket(self._connection, server_side=True) as secured:
            return secured.recv(65536)

    def _received(self) -> bytes:
        received = self._connection.recv(65536)
        if not received:
            raise ConnectionError
        return received


class Server:
    """Serves each connection in a thread of its own, from ``with`` to the end of it."""

    def __init__(self, serve: Callable[[Line], None]) -> None:
        self._serve = serve
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: Final[int] = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def hang_up(self) -> None:
        """Nobody is at the port any more."""
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._attend, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _attend(self, connection: socket.socket) -> None:
        connection.settimeout(_LONGER_THAN_ANY_TEST)
        with connection, suppress(OSError):
            self._serve(Line(connection, self._over))


class Network(Server):
    """Passes calls on to a simulator; each create meets the next trouble on order, if there is one."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(self._pass_on)
        self._address = urlsplit(simulator.origin)
        self.base_url: Final = simulator.base_url.replace(f":{self._address.port}", f":{self.port}")
        self.troubles: list[Trouble] = []
        self.creates = 0
        """How many creates came this far."""

    def _pass_on(self, line: Line) -> None:
        def work() -> bytes:
            return self._ask(line.read_request())

        is_create = line.first_line() == _CREATE
        self.creates += is_create
        if is_create and self.troubles:
            self.troubles.pop(0)(line, work)
        else:
            line.say(work())

    def _ask(self, request: bytes) -> bytes:
        request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        answer = b""
        with socket.create_connection((self._address.hostname, self._address.port)) as upstream:
            upstream.sendall(request)
            while received := upstream.recv(65536):
                answer += received
        return answer


@contextmanager
def elsewhere() -> Iterator[tuple[int, list[bytes]]]:
    """Another host: the port it is at, and every request that it gets."""
    requests: list[bytes] = []

    def serve(line: Line) -> None:
        requests.append(line.read_request())
        line.say(answer(b"4711"))

    with Server(serve) as server:
        yield server.port, requests


def answer(body: bytes, head: bytes = b"200 OK", *headers: bytes, length: int | None = None) -> bytes:
    """An answer as it goes over the line; ``length`` is how long it says it is, if it is to lie."""
    lines = (b"HTTP/1.1 " + head, *headers, b"Content-Length: %d" % (len(body) if length is None else length))
    return b"\r\n".join((*lines, b"Connection: close", b"", body))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done takes no longer than this."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} seconds"
