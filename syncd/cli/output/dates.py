"""The options --since and --until, and the period that they select."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from syncd.settings import Settings

_UNITS: Final = {"d": "days", "h": "hours"}

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="DAY",
        help="From this day on: a date such as 2026-11-25, or 7d or 36h ago.",
        show_default=False,
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DAY", help="To the end of this day. (default: now)", show_default=False),
]


#: Times before and after all changes.
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A period, without its end."""

    since: datetime
    until: datetime

    @classmethod
    def read(cls, since: str | None, until: str | None, zone: ZoneInfo, now: datetime) -> "Span":
        """Read the two options, in days of this time zone; the period is open where an option is empty.

        Raises `typer.BadParameter`.
        """
        span = cls(
            _moment(since, "--since", zone, now) if since else _EVER[0],
            _moment(until, "--until", zone, now, is_end=True) if until else _EVER[1],
        )
        if span.since >= span.until:
            raise typer.BadParameter("is before --since", param_hint="--until")
        return span

    def before(self, end: datetime) -> "Span":
        """Return the part of the period before this time; empty if there is none."""
        return Span(min(self.since, end), min(self.until, end))


def _moment(given: str, option: str, zone: ZoneInfo, now: datetime, *, is_end: bool = False) -> datetime:
    try:
        if match := re.fullmatch(r"([0-9]{1,5})([dh])", given):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        day = date.fromisoformat(given) + timedelta(days=is_end)
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "must be a date such as 2026-11-25, or a duration such as 7d or 36h", param_hint=option
        ) from None


def zone_of(settings: Settings) -> ZoneInfo:
    """The time zone of days in the configuration."""
    return ZoneInfo(settings.schedule.timezone)
