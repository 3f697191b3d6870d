"""Time that passes when a test says so."""

from datetime import UTC, datetime, timedelta
from typing import Final

#: Noon on a winter's day, when London's time is UTC.
NOON: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Clock:
    """Stands still until a test moves it or something sleeps by it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.slept: list[float] = []
        """How long each sleep was, in seconds."""
        self.is_stopping = False
        """What a sleep returns: whether the sleeper is to stop."""

    def __call__(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        """The seconds since 1970, for the simulator."""
        return self.now.timestamp()

    def go_on(self, **by: float) -> None:
        """Let time pass, by the names that `timedelta` takes."""
        self.now += timedelta(**by)

    def sleep(self, seconds: float) -> bool:
        """Let so many seconds pass."""
        self.slept.append(seconds)
        self.go_on(seconds=seconds)
        return self.is_stopping
