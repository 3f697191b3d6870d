"""Schedules: intervals and cron lines, across clock changes, with a jitter that separates colleges.

Everything is computed from the times that are passed in; nothing reads a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Final, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: The jitter is at most an interval divided by this.
_LARGEST_PART: Final = 10


@dataclass(frozen=True, slots=True)
class When:
    """A schedule: five cron fields, or an interval if there is one; without either, never.

    A cron line follows the clock of ``timezone``, as Debian's cron does: a time of day is due once a day, as soon as it
    would have come if the day skips it, and at the first if the day has it twice; a line for all day keeps even steps.
    ``later`` is added to each due time.
    """

    line: str = ""
    interval: timedelta | None = None
    timezone: str = "UTC"
    later: timedelta = timedelta()

    def __bool__(self) -> bool:
        return bool(self.line)

    def first_after(self, moment: datetime) -> datetime:
        """Return the first due time, if the schedule starts at ``moment``."""
        return self.after(moment) + (timedelta() if self.interval is None else self.later)

    def after(self, moment: datetime) -> datetime:
        """Return the first due time after ``moment``, in UTC; for an interval, ``moment`` must be a due time."""
        moment = moment.astimezone(UTC)
        if self.interval is not None:
            return moment + self.interval
        local = (moment - self.later).astimezone(ZoneInfo(self.timezone))
        # Of the two hours from 1:00 to 2:00 CronSim knows only the first, whichever it is passed.
        times = (each.astimezone(UTC) + self.later for each in CronSim(self.line, local))
        return next(each for each in times if each > moment)

    def set_back(self, due: datetime, now: datetime, by: timedelta) -> datetime:
        """Return the due time after a clock was set back to ``now``, if it was ``due`` before.

        An interval keeps its length. A cron line is not due twice if the clock was set back by less than the time
        between two due times, and is not delayed by more than that.
        """
        if self.interval is not None:
            return due - by
        following = self.after(now)
        return following if by >= self.after(following) - following else due

    def apart(self, organisation_id: int, jitter: timedelta) -> Self:
        """Return the same schedule, later by this organisation's share of the jitter.

        The share is fixed, not random: so intervals are even, the log and the pages show the right next run, and a
        daemon that takes over keeps the same times. The shares of many organisations are spread as evenly as random
        ones.
        """
        digest = blake2b(str(organisation_id).encode(), person=b"syncd jitter", digest_size=8).digest()
        share = int.from_bytes(digest) / 2**64
        most = jitter if self.interval is None else min(jitter, self.interval / _LARGEST_PART)
        return replace(self, later=timedelta(seconds=round(most.total_seconds() * share, 3)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to poll and when to verify."""

    poll: When
    verify: When = When()
    timezone: str = "Europe/London"
    quiet: Sequence[tuple[time, time]] = ()
    """The windows of the day without calls. The rate limiter enforces them; this is only for information."""
