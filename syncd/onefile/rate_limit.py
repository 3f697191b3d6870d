"""The pace: when the next call may leave, over all threads, runs and restarts of one customer token."""

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
from syncd.errors import OneFileUnreachable

#: A burst is to be smaller than the smallest bucket, and than what the limit leaves over.
_LARGEST_BURST: Final = 5

_MINUTE: Final = timedelta(minutes=1)
#: A turn further away than this is a clock that was set back, not a queue.
_FARTHEST_TURN: Final = timedelta(minutes=2)
#: A clock may be set, and a machine sleep, while one waits for a time of day; so one looks again.
_LOOK_AGAIN_SECONDS: Final = 60.0
#: For longer than this a run does not sit and wait because OneFile asks for it: it ends, and leaves the lock to others.
_LONGEST_WAIT_SECONDS: Final = 120.0
#: No limit of calls a minute is lifted later than this. Whoever says so means something else.
_LONGEST_HOLD_OFF_SECONDS: Final = 3600.0

Step = Callable[[int], tuple[int, float]]
"""Takes when the line is free, in microseconds since 1970; gives when it is free next, and the seconds to wait."""

Sleep = Callable[[float], bool]
"""Waits so many seconds; true when it was woken because syncd is to stop."""


class Interrupted(Exception):
    """syncd was told to stop while a call waited for its turn; the call was not made."""

    attempts: int | None = None
    """Which attempt at the call it was, the first being 1; ``None`` for what was no attempt yet."""


class Yielded(Interrupted):
    """Somebody else's calls are to go ahead of this one; it was not made."""


class RateLimitStore(Protocol):
    """Where all who call with one customer token keep when the line is free."""

    def advance(self, step: Step) -> float:
        """Apply ``step`` to the stored moment as one transaction, and give the seconds it says to wait."""
        ...


def rate_of(calls_per_minute: int) -> Rate:
    """The pace for a limit: in any 60 seconds no more calls than the limit, the burst included."""
    limit = sustained_rate(calls_per_minute)
    burst = max(1, min(_LARGEST_BURST, calls_per_minute - limit))
    return Rate(limit, int(_MINUTE.total_seconds() * 1000), burst)


class RateLimiter:
    """Lets each call wait for its turn.

    ``calls_per_minute`` is OneFile's limit; ``quiet`` are windows of the day, in ``zone``, in which no call leaves.
    ``clock`` gives the time in UTC. ``sleep`` waits, and is to come back early with true when syncd is to stop;
    ``pause`` waits whatever is to be. ``line`` is a lock: one thread at a time waits for the next slot, so that they
    are taken in order.
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
        """How many have had their turn here: each is a request, log-ins and repetitions included."""

    @property
    def calls_per_second(self) -> float:
        """How many calls leave a second when there is always one waiting."""
        rate = self._rates[0]
        return rate.limit / rate.interval * 1000

    def wait(self) -> None:
        """Come back when the caller's call may leave.

        Raises `OneFileUnreachable` when OneFile has asked to be left alone for longer than a run waits, `Interrupted`.
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
        """Meanwhile every call whose turn comes asks first whether others are to go ahead, and is then not made."""
        before, self._is_called_aside = self._is_called_aside, should_yield
        try:
            yield
        finally:
            self._is_called_aside = before

    def block_until(self, seconds: float | None) -> float:
        """OneFile said 429: nobody calls for this long, or until its next minute begins if it did not say how long.

        Gives the seconds, an hour at most; 0 when another call was told so before, and all wait already.
        """
        now = self._clock()
        if seconds is None:
            # A little later than on the dot, and not everybody at once.
            seconds = 60 - now.second - now.microsecond / 1e6 + random.uniform(0.5, 2)  # noqa: S311 - no secret
        seconds = min(seconds, _LONGEST_HOLD_OFF_SECONDS)
        with self._closing:
            is_news = now >= self._closed_until or now < self._throttled_at
            if is_news or now + timedelta(seconds=seconds) > self._closed_until:
                self._throttled_at, self._closed_until = now, now + timedelta(seconds=seconds)
        return seconds if is_news else 0.0

    def seconds_of_quiet(self) -> float:
        """How long no call leaves, because it is a time of day at which none is to; 0 at any other."""
        return seconds_of_quiet(self._clock(), self._quiet, self._zone)

    def sleep(self, seconds: float) -> None:
        """Wait, unless syncd is to stop. Raises `Interrupted`."""
        if self._ends_at is None:
            if self._sleep(seconds):
                raise Interrupted
            return
        if self._clock() + timedelta(seconds=seconds) > self._ends_at:
            raise Interrupted
        self._pause(seconds)

    @contextmanager
    def shutdown_grace(self, seconds: float) -> Iterator[None]:
        """Meanwhile syncd, which is to stop, may call and wait for so many seconds more, to leave things in order."""
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
        """What is left of the time for which OneFile wants no calls."""
        now = self._clock()
        with self._closing:
            # Before it was said: a clock that was set back.
            is_closed = self._throttled_at <= now < self._closed_until
            seconds = (self._closed_until - now).total_seconds() if is_closed else 0.0
        if seconds > _LONGEST_WAIT_SECONDS:
            raise OneFileUnreachable(
                f"OneFile asks to be called no more for now (429): no call leaves for another {seconds:.0f} seconds."
            )
        return seconds


def seconds_of_quiet(now: datetime, quiet: Sequence[tuple[time, time]], zone: ZoneInfo) -> float:
    """What is left of the windows of the day that it is in; 0 outside them."""
    return max((_left_of(now.astimezone(zone), start, end) for start, end in quiet), default=0.0)


def _left_of(now: datetime, start: time, end: time) -> float:
    """The seconds that are left of a daily window, 0 outside it; one that ends before it begins spans midnight."""
    is_in = start <= now.time() < end if start <= end else now.time() >= start or now.time() < end
    if not is_in:
        return 0.0
    ends_at = now.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if ends_at <= now:
        ends_at += timedelta(days=1)
    return _first_at_or_after(ends_at) - now.timestamp()


def _first_at_or_after(moment: datetime) -> float:
    """When the clock first shows this or a later time, in seconds since 1970: in spring it leaves an hour out."""
    later, earlier = moment.replace(fold=0), moment.replace(fold=1)
    if earlier.timestamp() >= later.timestamp():
        return moment.timestamp()
    seconds = range(int(earlier.timestamp()), int(later.timestamp()) + 1)
    jump = bisect_left(seconds, True, key=lambda at: datetime.fromtimestamp(at, moment.tzinfo) >= moment)
    return float(seconds[jump])
