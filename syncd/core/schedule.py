"""When to do what: intervals and cron lines, through the changes of the clock, and a little apart from other colleges.

Everything here is worked out from the moments that are given; nothing looks at a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Final, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: Of a short interval no more than this part is given to being apart from others.
_LARGEST_PART: Final = 10


@dataclass(frozen=True, slots=True)
class When:
    """When to do something: five cron fields, or an interval if one is given; neither is never.

    A cron line goes by the clock of ``timezone``, as Debian's cron does: what is to be done at a time of day is done
    once a day, on the day that has no such time as soon as it would have come, and on the day that has two at the
    first; what is to be done all day long goes on in even steps. ``later`` is how much later than that it is done.
    """

    line: str = ""
    interval: timedelta | None = None
    timezone: str = "UTC"
    later: timedelta = timedelta()

    def __bool__(self) -> bool:
        return bool(self.line)

    def first_after(self, moment: datetime) -> datetime:
        """The first time at which it is due, when one begins at a moment."""
        return self.after(moment) + (timedelta() if self.interval is None else self.later)

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment; of an interval, after a moment at which it was due. In UTC."""
        moment = moment.astimezone(UTC)
        if self.interval is not None:
            return moment + self.interval
        local = (moment - self.later).astimezone(ZoneInfo(self.timezone))
        # Of the two hours from one to two it knows only the first, whichever it is told.
        times = (each.astimezone(UTC) + self.later for each in CronSim(self.line, local))
        return next(each for each in times if each > moment)

    def set_back(self, due: datetime, now: datetime, by: timedelta) -> datetime:
        """When it is due, once a clock that said it would be at ``due`` was set back to ``now``.

        An interval is as long as before. Of what goes by the time of day nothing is done twice for being set back by
        less than lies between two times of it, and nothing waits for longer than that.
        """
        if self.interval is not None:
            return due - by
        following = self.after(now)
        return following if by >= self.after(following) - following else due

    def apart(self, organisation_id: int, jitter: timedelta) -> Self:
        """The same, later by this organisation's own share of the jitter.

        The share is always the same, and not drawn anew each time: so the times between two are even, what the log
        and the pages say of the next run is true, and a daemon that takes over keeps to them. Many organisations'
        shares are spread as evenly as chance would spread them.
        """
        digest = blake2b(str(organisation_id).encode(), person=b"syncd jitter", digest_size=8).digest()
        share = int.from_bytes(digest) / 2**64
        most = jitter if self.interval is None else min(jitter, self.interval / _LARGEST_PART)
        return replace(self, later=timedelta(seconds=round(most.total_seconds() * share, 3)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to poll and when to verify, and what to say of both."""

    poll: When
    verify: When = When()
    timezone: str = "Europe/London"
    quiet: Sequence[tuple[time, time]] = ()
    """The windows of the day in which no call leaves; the pacer holds them, this tells of them."""
