"""The changes and calls of each day, as a chart shows them."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, or_, select

from syncd.state.db.tables import run


@dataclass(frozen=True, slots=True)
class DailyTotals:
    """The totals of one calendar day."""

    on: date
    applied: int = 0
    """The changes that OneFile has accepted."""
    refused: int = 0
    calls: int = 0


def days(connection: Connection, organisation_id: int, now: datetime, zone: ZoneInfo, count: int) -> list[DailyTotals]:
    """The last ``count`` days in a time zone, today last; a run counts for the day it started on."""
    today = now.astimezone(zone).date()
    first = today - timedelta(days=count - 1)
    columns = run.c
    did_something = or_(columns.calls > 0, columns.applied > 0, columns.refused > 0)
    rows = connection.execute(
        select(columns.started_at, columns.applied, columns.refused, columns.calls).where(
            columns.organisation_id == organisation_id,
            columns.started_at >= datetime.combine(first, time(), zone),
            did_something,
        )
    )
    totals: dict[date, Counter[str]] = defaultdict(Counter)
    for started_at, applied, refused, calls in rows:
        totals[started_at.astimezone(zone).date()] += Counter(applied=applied, refused=refused, calls=calls)
    dates = (first + timedelta(days=number) for number in range(count))
    return [DailyTotals(each, **totals[each]) for each in dates]
