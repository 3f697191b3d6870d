"""Clients that open many connections, or take their time with a request, over real sockets."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from syncd.web.body_limit import LONGEST_BODY_BYTES, BodyLimit
from syncd.web.connections import ConnectionLimits, most_connections
from syncd.web.server import served
from tests.support.addresses import free_port
from tests.support.polling import wait_until

_HALF_OPEN: Final = b"GET / HTTP/1.1\r\nHost: syncd\r\n"
_HALF_SENT: Final = b"POST /length HTTP/1.1\r\nHost: syncd\r\nContent-Length: 1000\r\n\r\n12345"
_WHOLE: Final = b"GET / HTTP/1.1\r\nHost: syncd\r\n\r\n"
_LARGE: Final = b"x" * 50_000_000


async def _hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.client.host if request.client else ''} {request.url.scheme}")


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _large(_request: Request) -> Response:
    return Response(_LARGE)


class _Site:
    """A server and its clients."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._stack = stack

    def client(self, sends: bytes, address: str = "127.0.0.1") -> socket.socket:
        """Somebody who sends this from one of this machine's addresses, and then nothing more."""
        client = self._stack.enter_context(
            socket.create_connection(("127.0.0.1", self._port), timeout=10, source_address=(address, 0))
        )
        client.sendall(sends)
        return client


@contextmanager
def _site(limits: ConnectionLimits) -> Iterator[_Site]:
    routes = [Route("/", _hello), Route("/length", _length, methods=["POST"]), Route("/large", _large)]
    app = Starlette(routes=routes, middleware=[Middleware(BodyLimit)])
    port = free_port()
    with served(app, ("127.0.0.1", port), tick_seconds=0.02, limits=limits), ExitStack() as stack:
        yield _Site(port, stack)


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return client.recv(1000) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_client_that_asks_at_once_is_answered_beside_half_open_requests_of_its_address() -> None:
    with _site(ConnectionLimits(connections=16)) as site:
        waiting = [site.client(_HALF_OPEN) for _ in range(10)]
        assert httpx.get(site.url).text == "hello 127.0.0.1 http"
        wait_until(lambda: [_is_closed(each) for each in waiting].count(False) <= 4, "the oldest to be closed")
        # The newest have the best chance to be somebody who only started.
        assert not _is_closed(waiting[-1])


@pytest.mark.parametrize("sends", [b"", b"G", _HALF_OPEN, _HALF_SENT, _WHOLE], ids=["", "G", "headers", "body", "idle"])
def test_half_open_requests_of_many_addresses_are_limited_together(sends: bytes) -> None:
    with _site(ConnectionLimits(connections=16)) as site:
        waiting = [site.client(sends, f"127.0.1.{number}") for number in range(1, 41)]
        assert httpx.get(site.url).status_code == 200

        def open_ones() -> int:
            return sum(not _is_closed(each) for each in waiting)

        wait_until(lambda: open_ones() <= 16, "the oldest to be closed")


def test_trusted_proxy_speaks_for_many_and_may_have_every_connection() -> None:
    limits = ConnectionLimits(connections=16, trusted_proxies=("127.0.0.1/32",))
    with _site(limits) as site:
        waiting = [site.client(_HALF_OPEN) for _ in range(15)]
        assert httpx.get(site.url).status_code == 200
        assert not any(_is_closed(each) for each in waiting)


@pytest.mark.parametrize(
    ("sends", "then", "limits"),
    [
        (_HALF_OPEN, b"X: y\r\n", ConnectionLimits(headers_seconds=0.3)),
        (b"", b"G", ConnectionLimits(headers_seconds=0.3)),
        (_WHOLE + _HALF_OPEN, b"X: y\r\n", ConnectionLimits(headers_seconds=0.3)),
        (_HALF_SENT, b"x", ConnectionLimits(body_seconds=0.3)),
        (_WHOLE + _HALF_SENT, b"x", ConnectionLimits(body_seconds=0.3)),
    ],
)
def test_client_that_takes_too_long_is_closed_even_if_it_trickles(
    sends: bytes, then: bytes, limits: ConnectionLimits
) -> None:
    with _site(limits) as site:
        client = site.client(sends)

        def is_cut() -> bool:
            try:
                client.sendall(then)
            except OSError:
                return True
            return False

        wait_until(is_cut, "the server to close it", patience=10, pause=0.05)


def test_client_that_reads_nothing_of_its_response_is_closed() -> None:
    with _site(ConnectionLimits(reading_seconds=0.3)) as site:
        client = site.client(b"GET /large HTTP/1.1\r\nHost: syncd\r\nConnection: close\r\n\r\n")
        time.sleep(2)
        received = 0
        while part := client.recv(1_000_000):
            received += len(part)
        assert received < len(_LARGE)


def test_slow_but_steady_reader_gets_the_whole_response() -> None:
    with _site(ConnectionLimits(reading_seconds=0.3)) as site:
        client = site.client(b"GET /large HTTP/1.1\r\nHost: syncd\r\nConnection: close\r\n\r\n")
        started, received = time.monotonic(), 0
        while part := client.recv(2_000_000):
            received += len(part)
            time.sleep(0.02)
        assert received > len(_LARGE)
        assert time.monotonic() - started > 0.3


def test_kept_connection_that_asks_now_and_then_stays_open() -> None:
    with _site(ConnectionLimits(headers_seconds=0.3)) as site, httpx.Client(base_url=site.url) as client:
        first = client.get("/").extensions["network_stream"].get_extra_info("client_addr")
        for _ in range(6):
            time.sleep(0.15)
            assert client.get("/").extensions["network_stream"].get_extra_info("client_addr") == first


@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_has_a_size_limit_whatever_its_length_says(is_chunked: bool) -> None:
    def parts(length: int) -> Iterator[bytes]:
        for at in range(0, length, 10_000):
            yield b"x" * min(10_000, length - at)

    with _site(ConnectionLimits()) as site:
        for length, status in (
            (LONGEST_BODY_BYTES, 200),
            (LONGEST_BODY_BYTES + 1, 413),
            (20 * LONGEST_BODY_BYTES, 413),
        ):
            content = parts(length) if is_chunked else b"x" * length
            answer = httpx.post(f"{site.url}/length", content=content, timeout=30)
            assert answer.status_code == status
        assert answer.json() == {"error": "The body is longer than 1,000,000 bytes."}


def test_malformed_and_abandoned_requests_leave_the_server_at_work() -> None:
    with _site(ConnectionLimits()) as site:
        for _ in range(50):
            site.client(b"\x16\x03\x01 nonsense\r\n\r\n")
            site.client(_HALF_SENT).close()
            site.client(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert httpx.get(site.url).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [((), "127.0.0.1 http"), (("127.0.0.0/8",), "198.51.100.7 https"), (("192.0.2.1/32",), "127.0.0.1 http")],
)
def test_only_a_trusted_proxy_says_who_the_client_is(
    monkeypatch: pytest.MonkeyPatch, trusted: tuple[str, ...], seen: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
    with _site(ConnectionLimits(trusted_proxies=trusted)) as site:
        assert httpx.get(site.url, headers=headers).text == f"hello {seen}"


def test_connections_are_a_quarter_of_the_descriptors_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for descriptors, connections in ((resource.RLIM_INFINITY, 128), (1024, 128), (256, 64), (8, 4)):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, descriptors=descriptors: (descriptors, 0))
        assert most_connections() == connections
