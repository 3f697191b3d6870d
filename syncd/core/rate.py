"""How long calls take at the pace at which they leave."""

from math import ceil
from typing import Final

CALLS_PER_MINUTE: Final = 300
"""What OneFile allows one customer token (§3)."""

#: Even spacing a little below the limit draws no 429 however OneFile counts (U9).
_SHARE_OF_LIMIT: Final = 0.98
_MINUTE: Final = 60


def sustained_rate(calls_per_minute: int) -> int:
    """How many calls leave a minute, when there is always one waiting, under this limit."""
    return max(1, int(calls_per_minute * _SHARE_OF_LIMIT))


def seconds_for(calls: int, calls_per_minute: int) -> int:
    """How long so many calls take under this limit, rounded up; quiet windows not counted."""
    return ceil(calls * _MINUTE / sustained_rate(calls_per_minute))


def humanise_duration(seconds: int) -> str:
    """So long, in the words of somebody who waits for it."""
    if seconds < 2 * _MINUTE:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} minutes"
