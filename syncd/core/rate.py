"""How long calls take at the rate at which they are sent."""

from math import ceil
from typing import Final

CALLS_PER_MINUTE: Final = 300
"""What OneFile allows one customer token (§3)."""

#: Calls spaced evenly a little below the limit get no 429, however OneFile counts (U9).
_SHARE_OF_LIMIT: Final = 0.98
_MINUTE: Final = 60


def sustained_rate(calls_per_minute: int) -> int:
    """Return how many calls are sent a minute under this limit, if there is always one waiting."""
    return max(1, int(calls_per_minute * _SHARE_OF_LIMIT))


def seconds_for(calls: int, calls_per_minute: int) -> int:
    """Return how long the calls take under this limit, rounded up, without quiet windows."""
    return ceil(calls * _MINUTE / sustained_rate(calls_per_minute))


def humanise_duration(seconds: int) -> str:
    """Return a duration in words, as precise as an operator needs."""
    if seconds < 2 * _MINUTE:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} minutes"
