"""Serving the application from a thread of the daemon."""

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from syncd.errors import ConfigurationError
from syncd.web.connections import ConnectionLimits, LimitedConnection

#: How long an answer in progress may still take when syncd stops.
_PATIENCE_AT_THE_END_SECONDS: Final = 10.0
#: How often the date of the answers is renewed, and a client that takes too long is looked for.
_TICK_SECONDS: Final = 1.0
#: How many connections the system keeps until they are accepted.
_BACKLOG: Final = 128
#: How long the system keeps a connection of which nothing has come.
_DEFER_SECONDS: Final = 5


class _Server(uvicorn.Server):
    """uvicorn, stopped by an event.

    By default it polls ten times a second, which is two fifths of the work of an idle daemon.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, tick_seconds: float) -> None:
        super().__init__(config)
        self._listener = listener
        self._tick_seconds = tick_seconds
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stop the server. Thread-safe."""
        self.should_exit = True
        # The server may have ended by itself, and its loop with it.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Wait until the server is stopped."""
        self._loop = asyncio.get_running_loop()
        # To asyncio the backlog is also the number of connections to accept at once.
        self._listener.listen(_BACKLOG)
        # uvicorn renews the date at every tenth tick, counted from 0.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), self._tick_seconds)
            connections = cast("set[LimitedConnection]", self.server_state.connections)
            for connection in tuple(connections):
                connection.close_if_overdue()


@contextmanager
def served(
    app: ASGIApp,
    address: tuple[str, int],
    tick_seconds: float = _TICK_SECONDS,
    limits: ConnectionLimits | None = None,
) -> Iterator[None]:
    """Serve an application at a host and port for as long as the block lasts.

    It renews the date of its answers, and closes connections whose time is up, every ``tick_seconds``. Raises
    `ConfigurationError` if it cannot listen on the address.
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
    # asyncio sets TCP_NODELAY only on a socket created as IPPROTO_TCP; without it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, unnamed.detach())
    if sys.platform == "linux":
        # A connection is accepted when its request has come, so that no other one can take its place before.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_SECONDS)
    limits = limits or ConnectionLimits()
    connection: Any = partial(LimitedConnection, limits)
    config = uvicorn.Config(
        app,
        http=connection,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        backlog=limits.accepted_at_once,
        # The environment could name proxies too, for other programs.
        proxy_headers=bool(limits.trusted_proxies),
        forwarded_allow_ips=list(limits.trusted_proxies),
    )
    server = _Server(config, listener, tick_seconds)
    thread = threading.Thread(target=server.run, args=([listener],), name="admin", daemon=True)
    with listener:
        thread.start()
        try:
            yield
        finally:
            server.stop()
            # A request may be waiting for an MIS that hangs.
            thread.join(_PATIENCE_AT_THE_END_SECONDS)
