"""Three rate limiters of 300 calls a minute, because OneFile's algorithm is not documented (§3, U9).

They read no clock: the time is an argument, in seconds, and must not go back. A refused call is not counted;
OneFile's rule is not known, and counting it would lock out a client that retries.
"""

import math
from collections import deque
from typing import Protocol

from syncd.simulator.switches import LimiterShape

_WINDOW_SECONDS = 60.0
_BUCKET_SIZE = 10


class Limiter(Protocol):
    """Decides whether each call is within the limit."""

    def allow(self, now: float) -> float | None:
        """Returns None if a call at this time may pass, else the seconds until one may."""
        ...


class FixedWindow:
    """Limits the calls in each clock minute; two bursts may meet at its edge."""

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
    """Limits the calls in any 60 seconds."""

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
    """A bucket of ten calls, full at first, refilled evenly; larger bursts are refused."""

    def __init__(self, calls_per_minute: int) -> None:
        self._refill_per_second = calls_per_minute / _WINDOW_SECONDS
        self._calls = float(_BUCKET_SIZE)
        self._refilled_at: float | None = None

    def allow(self, now: float) -> float | None:
        """See `Limiter.allow`."""
        since = now - (now if self._refilled_at is None else self._refilled_at)
        self._calls = min(_BUCKET_SIZE, self._calls + since * self._refill_per_second)
        self._refilled_at = now
        # A refill is a sum of floats: a millionth of a call less than 1 counts as 1.
        if self._calls < 1 - 1e-6:
            return (1 - self._calls) / self._refill_per_second
        self._calls -= 1
        return None


class Unlimited:
    """Allows every call."""

    def allow(self, now: float) -> float | None:  # noqa: ARG002 - there is no limit
        """See `Limiter.allow`."""
        return None


def make_limiter(shape: LimiterShape, calls_per_minute: int = 300) -> Limiter:
    """Returns a new limiter.

    Args:
        shape: how calls are counted; also accepted as the shape's text value.
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
