"""The pace: when the next call may leave, over all threads, runs and restarts of one customer token."""

import random
from collections.abc import Callable
from datetime import datetime, time, timedelta
from threading import Lock
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from pyrate_limiter import GCRA, Rate

#: Even spacing a little below the limit draws no 429 however OneFile counts (U9) …
_SHARE_OF_LIMIT: Final = 0.98
#: … as long as a burst is smaller than the smallest bucket, and than what the limit leaves over.
_LARGEST_BURST: Final = 5

_MINUTE: Final = timedelta(minutes=1)
#: A turn further away than this is a clock that was set back, not a queue.
_FARTHEST_TURN: Final = timedelta(minutes=2)

Step = Callable[[int], tuple[int, float]]
"""Takes when the line is free, in microseconds since 1970; gives when it is free next, and the seconds to wait."""

Sleep = Callable[[float], bool]
"""Waits so many seconds; true when it was woken because syncd is to stop."""


class Interrupted(Exception):
    """syncd was told to stop while a call waited for its turn; the call was not made."""


class Turns(Protocol):
    """Where all who call with one customer token keep when the line is free."""

    def advance(self, step: Step) -> float:
        """Apply ``step`` to the stored moment as one transaction, and give the seconds it says to wait."""
        ...


def rate_of(calls_per_minute: int) -> Rate:
    """The pace for a limit: in any 60 seconds no more calls than the limit, the burst included."""
    sustained = max(1, int(calls_per_minute * _SHARE_OF_LIMIT))
    burst = max(1, min(_LARGEST_BURST, calls_per_minute - sustained))
    return Rate(sustained, int(_MINUTE.total_seconds() * 1000), burst)


class Pacer:
    """Lets each call wait for its turn.

    ``calls_per_minute`` is OneFile's limit; ``quiet`` are windows of the day, in ``zone``, in which no call leaves.
    ``clock`` gives the time in UTC. ``sleep`` waits, and is to come back early with true when syncd is to stop.
    """

    def __init__(
        self,
        turns: Turns,
        calls_per_minute: int,
        *,
        clock: Callable[[], datetime],
        sleep: Sleep,
        quiet: tuple[tuple[time, time], ...] = (),
        zone: str = "UTC",
    ) -> None:
        self._turns = turns
        self._rates = [rate_of(calls_per_minute)]
        self._algorithm = GCRA()
        self._clock = clock
        self._sleep = sleep
        self._quiet = quiet
        self._zone = ZoneInfo(zone)
        # One at a time waits at the line, so that turns are taken in order.
        self._line = Lock()
        self.calls = 0
        """How many have had their turn here: each is a request, log-ins and repetitions included."""

    @property
    def calls_per_second(self) -> float:
        """How many calls leave a second when there is always one waiting."""
        rate = self._rates[0]
        return rate.limit / rate.interval * 1000

    def wait(self) -> None:
        """Come back when the caller's call may leave. Raises `Interrupted`."""
        with self._line:
            self.rest(self._seconds_of_quiet())
            while seconds := self._turns.advance(self._step):
                self.rest(seconds)
            self.calls += 1

    def hold_off(self, seconds: float | None) -> float:
        """OneFile said 429: nobody calls for this long, or until its next minute begins if it did not say how long.

        Gives the seconds waited. Raises `Interrupted`.
        """
        if seconds is None:
            now = self._clock()
            # A little later than on the dot, and not everybody at once.
            seconds = 60 - now.second - now.microsecond / 1e6 + random.uniform(0.5, 2)  # noqa: S311 - no secret
        with self._line:
            self.rest(seconds)
        return seconds

    def rest(self, seconds: float) -> None:
        """Wait, unless syncd is to stop. Raises `Interrupted`."""
        if self._sleep(seconds):
            raise Interrupted

    def _step(self, free_at: int) -> tuple[int, float]:
        now = int(self._clock().timestamp() * 1000)
        if free_at > (now + _FARTHEST_TURN.total_seconds() * 1000) * 1000:
            free_at = 0
        (advanced,), decision = self._algorithm.step(self._rates, (free_at,), now, 1)
        return int(advanced), (decision.retry_after_ms or 0) / 1000

    def _seconds_of_quiet(self) -> float:
        now = self._clock().astimezone(self._zone)
        return max((_left_of(now, start, end) for start, end in self._quiet), default=0.0)


def _left_of(now: datetime, start: time, end: time) -> float:
    """The seconds that are left of a daily window, 0 outside it; one that ends before it begins spans midnight."""
    is_in = start <= now.time() < end if start <= end else now.time() >= start or now.time() < end
    if not is_in:
        return 0.0
    ends_at = now.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if ends_at <= now:
        ends_at += timedelta(days=1)
    return ends_at.timestamp() - now.timestamp()
