"""What was done day by day, as a chart shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, or_, select

from syncd.state.db.tables import run


@dataclass(slots=True)
class Day:
    """One calendar day."""

    on: date
    applied: int = 0
    """The changes that OneFile has taken."""
    refused: int = 0
    calls: int = 0


def days(connection: Connection, organisation_id: int, now: datetime, zone: ZoneInfo, count: int) -> list[Day]:
    """The last so many days in a time zone, today the last of them; a run counts for the day it began on."""
    today = now.astimezone(zone).date()
    found = {day.on: day for day in _empty(today, count)}
    columns = run.c
    did_something = or_(columns.calls > 0, columns.applied > 0, columns.refused > 0)
    rows = connection.execute(
        select(columns.started_at, columns.applied, columns.refused, columns.calls).where(
            columns.organisation_id == organisation_id,
            columns.started_at >= datetime.combine(min(found), time(), zone),
            did_something,
        )
    )
    for started_at, applied, refused, calls in rows:
        day = found.get(started_at.astimezone(zone).date())
        if day is not None:
            day.applied += applied
            day.refused += refused
            day.calls += calls
    return list(found.values())


def _empty(today: date, count: int) -> Iterable[Day]:
    return (Day(today - timedelta(days=ago)) for ago in reversed(range(count)))
