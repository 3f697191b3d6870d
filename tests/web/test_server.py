"""The server itself."""

import gc
import socket
import threading
from email.utils import parsedate_to_datetime

import httpx
from starlette.applications import Starlette

from syncd.web.server import served
from tests.support.addresses import free_port


def test_accepted_connection_has_tcp_nodelay_set() -> None:
    address = ("127.0.0.1", free_port())
    with served(Starlette(), address), httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        client.get("/")
        ours = [each for each in gc.get_objects() if isinstance(each, socket.socket) and _is_accepted(each, address)]
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in ours] == [1]


def test_server_stops_at_once_without_waiting_for_its_tick() -> None:
    with served(Starlette(), ("127.0.0.1", free_port()), tick_seconds=3600):
        (thread,) = (each for each in threading.enumerate() if each.name == "admin")
    assert not thread.is_alive()


def test_server_stopped_before_it_has_started_ends() -> None:
    for _ in range(20):
        with served(Starlette(), ("127.0.0.1", free_port())):
            (thread,) = (each for each in threading.enumerate() if each.name == "admin")
        assert not thread.is_alive()


def test_answers_are_dated() -> None:
    address = ("127.0.0.1", free_port())
    with (
        served(Starlette(), address, tick_seconds=0.01),
        httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client,
    ):
        first = parsedate_to_datetime(client.get("/").headers["Date"])
        while parsedate_to_datetime(client.get("/").headers["Date"]) == first:
            pass


def _is_accepted(each: socket.socket, address: tuple[str, int]) -> bool:
    try:
        return each.getsockname() == address and bool(each.getpeername())
    except OSError:
        return False
