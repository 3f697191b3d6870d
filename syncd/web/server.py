"""Serving the application from a thread of the daemon."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from syncd.errors import ConfigurationError

#: An answer that is being made when syncd is told to end may be finished, but not for ever.
_PATIENCE_AT_THE_END_SECONDS: Final = 10.0


@contextmanager
def served(app: ASGIApp, address: tuple[str, int]) -> Iterator[None]:
    """Serve an application at a host and port for as long as the block lasts.

    Raises `ConfigurationError` when the address cannot be listened on.
    """
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        unnamed = socket.create_server((host, port), family=family)
    except OSError as problem:
        raise ConfigurationError(
            f"admin.listen: {host}:{port} cannot be listened on: {problem.strerror}. "
            'Is another daemon running? Choose another port, or "" for none.'
        ) from None
    # Named a TCP socket it gets TCP_NODELAY from asyncio; without, every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, unnamed.detach())
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="admin", daemon=True)
    with listener:
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            # Somebody may be waiting for an MIS that hangs.
            thread.join(_PATIENCE_AT_THE_END_SECONDS)
