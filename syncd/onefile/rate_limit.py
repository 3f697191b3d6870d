"""The rate limit: when the next call may leave, across all threads, runs and restarts of one customer token."""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, time, timedelta
from threading import Lock
from time import sleep as pause_for
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from pyrate_limiter import GCRA, Rate

from syncd.core.rate import sustained_rate
from syncd.errors import Interrupted, OneFileUnreachable

#: A burst must be smaller than the smallest bucket, and than what the limit leaves over.
_LARGEST_BURST: Final = 5

_MINUTE: Final = timedelta(minutes=1)
#: A slot further away than this means that the clock was set back, not that there is a queue.
_FARTHEST_TURN: Final = timedelta(minutes=2)
#: The clock may be set, or the machine suspended, during a wait for a time of day, so the wait is re-checked.
_LOOK_AGAIN_SECONDS: Final = 60.0
#: If OneFile asks for a longer wait than this, the run ends and releases the lock.
_LONGEST_WAIT_SECONDS: Final = 120.0
#: The longest wait that is accepted; no per-minute limit needs a longer one.
_LONGEST_HOLD_OFF_SECONDS: Final = 3600.0

Step = Callable[[int], tuple[int, float]]
"""Takes the next free slot, in microseconds since 1970; returns the slot after it, and the seconds to wait."""

Sleep = Callable[[float], bool]
"""Waits this many seconds; returns true if it was woken because syncd must stop."""


class Yielded(Interrupted):
    """Other calls must go ahead of this one; it was not made."""


class RateLimitStore(Protocol):
    """Stores the next free slot, shared by all callers with one customer token."""

    def advance(self, step: Step) -> float:
        """Apply ``step`` to the stored slot in one transaction, and return the seconds to wait."""
        ...


def rate_of(calls_per_minute: int) -> Rate:
    """Return the rate for a limit: in any 60 seconds at most ``calls_per_minute`` calls, including the burst."""
    limit = sustained_rate(calls_per_minute)
    burst = max(1, min(_LARGEST_BURST, calls_per_minute - limit))
    return Rate(limit, int(_MINUTE.total_seconds() * 1000), burst)


class RateLimiter:
    """Makes each call wait for its turn.

    ``calls_per_minute`` is OneFile's limit; ``quiet`` are the daily quiet windows, in ``zone``, when no call leaves.
    ``clock`` returns the time in UTC. ``sleep`` waits, and must return early with true if syncd must stop;
    ``pause`` waits without interruption. ``line`` is a lock: one thread at a time waits for the next slot, so that
    slots are taken in order.
    """

    def __init__(
        self,
        turns: RateLimitStore,
        calls_per_minute: int,
        *,
        clock: Callable[[], datetime],
        sleep: Sleep,
        pause: Callable[[float], object] = pause_for,
        quiet: tuple[tuple[time, time], ...] = (),
        zone: str = "UTC",
        line: AbstractContextManager[object] | None = None,
    ) -> None:
        self._turns = turns
        self._rates = [rate_of(calls_per_minute)]
        self._algorithm = GCRA()
        self._clock = clock
        self._sleep = sleep
        self._pause = pause
        self._ends_at: datetime | None = None
        self._quiet = quiet
        self._zone = ZoneInfo(zone)
        self._line = line or Lock()
        self._closing = Lock()
        self._throttled_at = self._closed_until = datetime.min.replace(tzinfo=UTC)
        self._is_called_aside: Callable[[], bool] = lambda: False
        self.calls = 0
        """The number of requests that have had their turn, including log-ins and retries."""

    @property
    def calls_per_second(self) -> float:
        """The sustained number of calls a second."""
        rate = self._rates[0]
        return rate.limit / rate.interval * 1000

    def wait(self) -> None:
        """Return when the caller's call may leave.

        Raises `OneFileUnreachable` if OneFile asks for a longer wait than a run accepts, and `Interrupted`.
        """
        with self._line:
            self.sleep(0)
            if self._is_called_aside():
                raise Yielded
            while seconds := self._seconds_closed() or self.seconds_of_quiet() or self._turns.advance(self._step):
                self.sleep(min(seconds, _LOOK_AGAIN_SECONDS))
            self.calls += 1

    @contextmanager
    def yielding_to(self, should_yield: Callable[[], bool]) -> Iterator[None]:
        """Within the context, a call raises `Yielded` instead of leaving if ``should_yield`` returns true."""
        before, self._is_called_aside = self._is_called_aside, should_yield
        try:
            yield
        finally:
            self._is_called_aside = before

    def block_until(self, seconds: float | None) -> float:
        """Block all calls after a 429: for this long, or until the next minute begins if OneFile did not say how long.

        Returns the seconds, at most an hour; 0 if another call's 429 has already blocked them.
        """
        now = self._clock()
        if seconds is None:
            # Slightly later than the full minute, with jitter so that callers do not all resume at once.
            seconds = 60 - now.second - now.microsecond / 1e6 + random.uniform(0.5, 2)  # noqa: S311 - no secret
        seconds = min(seconds, _LONGEST_HOLD_OFF_SECONDS)
        with self._closing:
            is_news = now >= self._closed_until or now < self._throttled_at
            if is_news or now + timedelta(seconds=seconds) > self._closed_until:
                self._throttled_at, self._closed_until = now, now + timedelta(seconds=seconds)
        return seconds if is_news else 0.0

    def seconds_of_quiet(self) -> float:
        """Return the seconds until the current quiet window ends; 0 outside quiet windows."""
        return seconds_of_quiet(self._clock(), self._quiet, self._zone)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `Interrupted` if syncd must stop."""
        if self._ends_at is None:
            if self._sleep(seconds):
                raise Interrupted
            return
        if self._clock() + timedelta(seconds=seconds) > self._ends_at:
            raise Interrupted
        self._pause(seconds)

    @contextmanager
    def shutdown_grace(self, seconds: float) -> Iterator[None]:
        """Within the context, syncd may call and wait for this many more seconds, to shut down cleanly."""
        self._ends_at = self._clock() + timedelta(seconds=seconds)
        try:
            yield
        finally:
            self._ends_at = None

    def _step(self, next_slot_us: int) -> tuple[int, float]:
        now = int(self._clock().timestamp() * 1000)
        if next_slot_us > (now + _FARTHEST_TURN.total_seconds() * 1000) * 1000:
            next_slot_us = 0
        (advanced,), decision = self._algorithm.step(self._rates, (next_slot_us,), now, 1)
        return int(advanced), (decision.retry_after_ms or 0) / 1000

    def _seconds_closed(self) -> float:
        """Return the seconds left for which OneFile's 429 blocks calls."""
        now = self._clock()
        with self._closing:
            # A time before the 429 means that the clock was set back.
            is_closed = self._throttled_at <= now < self._closed_until
            seconds = (self._closed_until - now).total_seconds() if is_closed else 0.0
        if seconds > _LONGEST_WAIT_SECONDS:
            raise OneFileUnreachable(
                f"OneFile asks to be called no more for now (429): no call leaves for another {seconds:.0f} seconds."
            )
        return seconds


def seconds_of_quiet(now: datetime, quiet: Sequence[tuple[time, time]], zone: ZoneInfo) -> float:
    """Return the seconds left of the quiet windows that include ``now``; 0 outside them."""
    return max((_left_of(now.astimezone(zone), start, end) for start, end in quiet), default=0.0)


def _left_of(now: datetime, start: time, end: time) -> float:
    """Return the seconds left of a daily window, 0 outside it. A window that ends before it begins spans midnight."""
    is_in = start <= now.time() < end if start <= end else now.time() >= start or now.time() < end
    if not is_in:
        return 0.0
    ends_at = now.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if ends_at <= now:
        ends_at += timedelta(days=1)
    return _first_at_or_after(ends_at) - now.timestamp()


def _first_at_or_after(moment: datetime) -> float:
    """Return when the clock first shows this or a later time, in seconds since 1970: in spring it skips an hour."""
    later, earlier = moment.replace(fold=0), moment.replace(fold=1)
    if earlier.timestamp() >= later.timestamp():
        return moment.timestamp()
    seconds = range(int(earlier.timestamp()), int(later.timestamp()) + 1)
    jump = bisect_left(seconds, True, key=lambda at: datetime.fromtimestamp(at, moment.tzinfo) >= moment)
    return float(seconds[jump])
