"""What was done day by day: in the days of a time zone, both changes of the clocks included."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from syncd.core.run import RunState, Trigger
from syncd.state import runs
from syncd.state.db.store import Store
from syncd.state.views import daily_totals

LONDON = ZoneInfo("Europe/London")
HERE, ELSEWHERE = 5740, 5741


def _ran(store: Store, at: datetime, applied: int, organisation_id: int = HERE, calls: int = 0) -> None:
    with store.begin() as connection:
        number = runs.start(connection, organisation_id, Trigger.SCHEDULE, at)
        runs.finish(
            connection, number, RunState.FINISHED, at, totals={"applied": applied, "calls": calls, "refused": 1}
        )


def _days(store: Store, now: datetime, count: int) -> list[tuple[date, int]]:
    with store.begin() as connection:
        return [(day.on, day.applied) for day in daily_totals.days(connection, HERE, now, LONDON, count)]


def test_a_run_counts_for_the_day_it_began_on_where_the_schedule_is(store: Store) -> None:
    _ran(store, datetime(2026, 7, 1, 22, 59, tzinfo=UTC), 1)
    _ran(store, datetime(2026, 7, 1, 23, 0, tzinfo=UTC), 10)
    assert _days(store, datetime(2026, 7, 2, 8, tzinfo=UTC), 2) == [(date(2026, 7, 1), 1), (date(2026, 7, 2), 10)]


def test_days_of_23_and_25_hours_are_days(store: Store) -> None:
    for change in (date(2026, 3, 29), date(2026, 10, 25)):
        now = datetime(change.year, change.month, change.day + 1, 12, tzinfo=UTC)
        days = _days(store, now, 3)
        assert [on for on, _ in days] == [change.replace(day=change.day + ago) for ago in (-1, 0, 1)]


def test_days_without_a_run_are_there_and_older_ones_are_not(store: Store) -> None:
    _ran(store, datetime(2026, 1, 1, 12, tzinfo=UTC), 5)
    assert _days(store, datetime(2026, 1, 3, 12, tzinfo=UTC), 2) == [(date(2026, 1, 2), 0), (date(2026, 1, 3), 0)]


def test_everything_of_a_day_is_added_up_for_one_organisation(store: Store) -> None:
    now = datetime(2026, 1, 15, 12, tzinfo=UTC)
    _ran(store, now, 2, calls=7)
    _ran(store, now, 3, calls=1)
    _ran(store, now, 100, ELSEWHERE)
    with store.begin() as connection:
        (today,) = daily_totals.days(connection, HERE, now, LONDON, 1)
    assert (today.applied, today.refused, today.calls) == (5, 2, 8)
