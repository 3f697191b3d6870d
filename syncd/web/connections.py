"""Limits on connections: clients that open many, or never finish a request, must not use up the daemon's descriptors.

uvicorn limits only complete requests, and waits for the rest of an incomplete one for ever.
"""

import asyncio
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd.web.addresses import network_of

#: Enough for some twenty people and their monitors, because an idle connection is closed after five seconds.
_MOST_CONNECTIONS: Final = 128
#: What an attack may take of the file descriptors; the others are for runs: the MIS, OneFile and the state store.
_SHARE_OF_DESCRIPTORS: Final = 0.25
_SHARE_OF_ONE_ADDRESS: Final = 0.25
_FEWEST: Final = 4

#: What the client has not finished: its headers, or its body. HTTP/1.1 waits for the next request in the first as well.
_INCOMPLETE: Final = frozenset({h11.IDLE, h11.SEND_BODY})
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def most_connections() -> int:
    """The connections that this process can afford: a quarter of its file descriptors, and 128 at most."""
    if sys.platform == "win32":
        return _MOST_CONNECTIONS
    import resource  # noqa: PLC0415 - Windows has none

    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_FEWEST, min(_MOST_CONNECTIONS, int(descriptors * _SHARE_OF_DESCRIPTORS)))


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, and how long a client may take; ``trusted_proxies`` speak for many clients."""

    connections: int = field(default_factory=most_connections)
    trusted_proxies: tuple[str, ...] = ()
    headers_seconds: float = 10
    body_seconds: float = 30
    reading_seconds: float = 30
    """How long a client may read nothing of its response."""

    @property
    def connections_of_one_address(self) -> int:
        """How many connections one address may have, unless it is a trusted proxy."""
        return max(_FEWEST, int(self.connections * _SHARE_OF_ONE_ADDRESS))

    @property
    def accepted_at_once(self) -> int:
        """How many connections asyncio may accept at once.

        It reads from a connection only in the third round after the one that accepted it. Until then those that come
        after it must not take its place.
        """
        return max(1, self.connections_of_one_address // 4)

    def is_trusted_proxy(self, address: str) -> bool:
        """Whether this address is that of a trusted proxy."""
        return any(ip_address(address) in ip_network(proxy) for proxy in self.trusted_proxies)


class LimitedConnection(H11Protocol):
    """uvicorn's connection of one client, within the limits.

    A connection above a limit takes the place of the one that has waited the longest for the rest of its request or for
    its next one. So a client that sends its request at once is answered whatever others do.
    """

    def __init__(self, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._progress: tuple[object, ...] = ()
        self._progressed_at = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection if there is room, or if another one can be closed for it."""
        super().connection_made(transport)
        self._progress = self._progress_so_far()
        address = self.client[0] if self.client else ""
        network = network_of(address)
        everybody = [each for each in cast("set[LimitedConnection]", self.connections) if not each._is_over()]  # noqa: SLF001
        neighbours = [each for each in everybody if each.client and network_of(each.client[0]) == network]
        if len(neighbours) > self._limits.connections_of_one_address and not self._limits.is_trusted_proxy(address):
            self._make_room(neighbours)
        elif len(everybody) > self._limits.connections:
            self._make_room(everybody)

    def close_if_overdue(self) -> None:
        """Close the connection if its client takes too long. Must be called every second or so."""
        now, progress = self.loop.time(), self._progress_so_far()
        if progress != self._progress:
            self._progress, self._progressed_at = progress, now
        elif now - self._progressed_at >= self._patience():
            self._drop()

    def _progress_so_far(self) -> tuple[object, ...]:
        """What changes with each request, with each of its parts, and with what the client reads of its response."""
        return self.cycle, self.conn.their_state, self.transport.get_write_buffer_size()

    def _patience(self) -> float:
        if self.transport.get_write_buffer_size():
            return self._limits.reading_seconds
        if self.conn.their_state is h11.IDLE:
            return self._limits.headers_seconds
        return self._limits.body_seconds if self.conn.their_state is h11.SEND_BODY else float("inf")

    def _make_room(self, connections: list["LimitedConnection"]) -> None:
        waiting = [each for each in connections if each is not self and each._is_waiting()]  # noqa: SLF001
        if waiting:
            min(waiting, key=lambda each: each._progressed_at)._drop()  # noqa: SLF001
        else:
            self.transport.write(_BUSY)
            self.transport.close()
            self.connections.discard(self)

    def _is_over(self) -> bool:
        return self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def _is_waiting(self) -> bool:
        return self.conn.their_state in _INCOMPLETE and not self.transport.get_write_buffer_size()

    def _drop(self) -> None:
        # uvicorn removes it only later, and another connection could meanwhile take its place again.
        self.connections.discard(self)
        self.transport.abort()
