"""Three ways to count to 300 a minute, since nobody knows which is OneFile's (§3, U9).

None of them reads a clock: the time is an argument, in seconds, and need only never go back. A call that is
turned away is not counted; OneFile does not say, and counting it would lock out a client that retries.
"""

import math
from collections import deque
from typing import Protocol

from syncd.simulator.switches import LimiterShape

_WINDOW_SECONDS = 60.0
_BUCKET_SIZE = 10


class Limiter(Protocol):
    """Says of each call whether it is within the limit."""

    def allow(self, now: float) -> float | None:
        """Takes the time of a call; gives None when it may pass, else the seconds until one may."""
        ...


class FixedWindow:
    """So many calls in each minute of the clock; two bursts may meet at its edge."""

    def __init__(self, calls_per_minute: int) -> None:
        self._limit = calls_per_minute
        self._window = -1
        self._count = 0

    def allow(self, now: float) -> float | None:
        """See `Limiter.allow`."""
        window = math.floor(now / _WINDOW_SECONDS)
        if window != self._window:
            self._window, self._count = window, 0
        if self._count >= self._limit:
            return (window + 1) * _WINDOW_SECONDS - now
        self._count += 1
        return None


class SlidingWindow:
    """So many calls in any 60 seconds."""

    def __init__(self, calls_per_minute: int) -> None:
        self._limit = calls_per_minute
        self._passed: deque[float] = deque()

    def allow(self, now: float) -> float | None:
        """See `Limiter.allow`."""
        while self._passed and now - self._passed[0] >= _WINDOW_SECONDS:
            self._passed.popleft()
        if len(self._passed) >= self._limit:
            return self._passed[0] + _WINDOW_SECONDS - now
        self._passed.append(now)
        return None


class Bucket:
    """A bucket of ten calls, full at first, refilled evenly; bursts beyond it are turned away."""

    def __init__(self, calls_per_minute: int) -> None:
        self._refill_per_second = calls_per_minute / _WINDOW_SECONDS
        self._calls = float(_BUCKET_SIZE)
        self._refilled_at: float | None = None

    def allow(self, now: float) -> float | None:
        """See `Limiter.allow`."""
        since = now - (now if self._refilled_at is None else self._refilled_at)
        self._calls = min(_BUCKET_SIZE, self._calls + since * self._refill_per_second)
        self._refilled_at = now
        # A refill is a sum of fractions: what lacks less than a millionth of a call is a call.
        if self._calls < 1 - 1e-6:
            return (1 - self._calls) / self._refill_per_second
        self._calls -= 1
        return None


class Unlimited:
    """Lets every call pass."""

    def allow(self, now: float) -> float | None:  # noqa: ARG002 - the time makes no difference to it
        """See `Limiter.allow`."""
        return None


def make_limiter(shape: LimiterShape, calls_per_minute: int = 300) -> Limiter:
    """A fresh limiter.

    Args:
        shape: how calls are counted; the shape's value as text will do.
        calls_per_minute: the limit, at least 1.

    Raises:
        ValueError: for an unknown shape or a limit below 1.
    """
    if calls_per_minute < 1:
        raise ValueError(f"The limit must be at least 1 call per minute, not {calls_per_minute}.")
    match LimiterShape(shape):
        case LimiterShape.FIXED:
            return FixedWindow(calls_per_minute)
        case LimiterShape.SLIDING:
            return SlidingWindow(calls_per_minute)
        case LimiterShape.BUCKET:
            return Bucket(calls_per_minute)
        case LimiterShape.OFF:
            return Unlimited()
