"""Rate limits for sign-in attempts."""

from collections.abc import Callable, Hashable
from datetime import datetime
from math import ceil

from pyrate_limiter import GCRA, Rate

from syncd.web.addresses import network_of

_MINUTE = 60_000
#: For one address: ten at once, and then one every six seconds.
_OF_EACH = Rate(10, _MINUTE, 10)
#: For all addresses together, to bound the cost of guessing: forty at once, and then one a second.
_OF_ALL = Rate(60, _MINUTE, 40)


class Attempts:
    """The attempts so far, by address; requests with a bearer token are not limited."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._free_at: dict[Hashable, float] = {}
        """When the next attempt is free, in microseconds since 1970, by address; ``None`` is all together."""

    def seconds_to_wait(self, address: str) -> int:
        """Count an attempt; returns 0 if it is allowed, else the seconds until the next one is."""
        now = int(self._clock().timestamp() * 1000)
        self._free_at = {line: at for line, at in self._free_at.items() if at > now * 1000}
        return self._advance(network_of(address), _OF_EACH, now) or self._advance(None, _OF_ALL, now)

    def _advance(self, line: Hashable, rate: Rate, now: int) -> int:
        (free_at,), decision = GCRA().step([rate], (self._free_at.get(line, 0),), now, 1)
        if decision.allowed:
            self._free_at[line] = free_at
        return ceil((decision.retry_after_ms or 0) / 1000)
