"""Serving the application from a thread of the daemon."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from syncd.errors import ConfigurationError

#: How long an answer in progress may still take when syncd stops.
_PATIENCE_AT_THE_END_SECONDS: Final = 10.0
#: How often the date of the answers is renewed.
_TICK_SECONDS: Final = 1.0


class _Server(uvicorn.Server):
    """uvicorn, stopped by an event.

    By default it polls ten times a second, which is two fifths of the work of an idle daemon.
    """

    def __init__(self, config: uvicorn.Config, tick_seconds: float) -> None:
        super().__init__(config)
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
        # uvicorn renews the date at every tenth tick, counted from 0.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), self._tick_seconds)


@contextmanager
def served(app: ASGIApp, address: tuple[str, int], tick_seconds: float = _TICK_SECONDS) -> Iterator[None]:
    """Serve an application at a host and port for as long as the block lasts.

    It renews the date of its answers every ``tick_seconds``. Raises `ConfigurationError` if it cannot listen on the
    address.
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
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none"
    )
    server = _Server(config, tick_seconds)
    thread = threading.Thread(target=server.run, args=([listener],), name="admin", daemon=True)
    with listener:
        thread.start()
        try:
            yield
        finally:
            server.stop()
            # A request may be waiting for an MIS that hangs.
            thread.join(_PATIENCE_AT_THE_END_SECONDS)
