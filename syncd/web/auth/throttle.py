"""How often somebody may try to sign in."""

from collections.abc import Callable, Hashable
from datetime import datetime
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil

from pyrate_limiter import GCRA, Rate

_MINUTE = 60_000
#: From one address: ten at once, and then one every six seconds.
_OF_EACH = Rate(10, _MINUTE, 10)
#: From all together, which bounds what trying costs us: forty at once, and then one a second.
_OF_ALL = Rate(60, _MINUTE, 40)


class Attempts:
    """The attempts so far, by address; who may ask with a token is not concerned."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._free_at: dict[Hashable, float] = {}
        """When a line is free again, in microseconds since 1970: that of each address, and ``None`` for that of all."""

    def seconds_to_wait(self, address: str) -> int:
        """Note an attempt; gives how long to wait before the next if this one is too many, else 0."""
        now = int(self._clock().timestamp() * 1000)
        self._free_at = {line: at for line, at in self._free_at.items() if at > now * 1000}
        return self._advance(_network_of(address), _OF_EACH, now) or self._advance(None, _OF_ALL, now)

    def _advance(self, line: Hashable, rate: Rate, now: int) -> int:
        (free_at,), decision = GCRA().step([rate], (self._free_at.get(line, 0),), now, 1)
        if decision.allowed:
            self._free_at[line] = free_at
        return ceil((decision.retry_after_ms or 0) / 1000)


def _network_of(address: str) -> Hashable:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    # Whoever has one address of IPv6 has at least 2⁶⁴ of them.
    return ip if isinstance(ip, IPv4Address) else ip_network((ip.packed, 64), strict=False)
