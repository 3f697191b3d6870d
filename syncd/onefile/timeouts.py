"""A deadline for a whole call: httpx limits each read and write, but not their total time.

A server that sends a byte now and then could keep a call, and its run, open for ever. A call that outlives
`settle_seconds` could still create an account that a search has just not found.
"""

import threading
import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from syncd.route import Route


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport with a limit of ``seconds`` for a call, from connecting to the last byte of its response.

    Raises httpx's time-out error for the phase that the call was in. The thread that sent the request must also read
    the response, as `httpx.Client.request` does.
    """

    def __init__(self, seconds: float, route: Route, *, limits: httpx.Limits) -> None:
        proxy = route.proxy.for_httpx if route.proxy else None
        super().__init__(verify=route.tls, limits=limits, proxy=proxy)
        self._seconds = seconds
        self._deadline = _Deadline()
        # httpcore accepts a network backend for this, but httpx has no option to pass one.
        self._pool._network_backend = _Backend(self._pool._network_backend, self._deadline)  # noqa: SLF001

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and start its deadline."""
        self._deadline.at = time.monotonic() + self._seconds
        return super().handle_request(request)


class _Deadline(threading.local):
    """When the current call of this thread must end."""

    at = float("inf")

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise late("The call took too long.")
        return seconds if timeout is None else min(seconds, timeout)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options), self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
