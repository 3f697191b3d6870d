"""The server itself."""

import gc
import socket

import httpx
from starlette.applications import Starlette

from syncd.web.server import served


def test_an_answer_leaves_at_once_and_does_not_wait_for_its_headers_to_be_acknowledged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with served(Starlette(), address), httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        client.get("/")
        ours = [each for each in gc.get_objects() if isinstance(each, socket.socket) and _is_accepted(each, address)]
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in ours] == [1]


def _is_accepted(each: socket.socket, address: tuple[str, int]) -> bool:
    try:
        return each.getsockname() == address and bool(each.getpeername())
    except OSError:
        return False
