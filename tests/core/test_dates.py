"""Calendar days and moments: §15 of the fact sheet."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import Kind
from syncd.core.values import read_value
from tests.core.complaints import complaint_about, is_usable

FIRST, LAST = date(1900, 1, 1), date(2100, 12, 31)
#: Where .NET, Access and SQL Server begin to count.
NO_DAYS = (date(1, 1, 1), date(1899, 12, 30), FIRST)

days = st.dates(FIRST + timedelta(days=1), LAST)
some_zone = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zones: st.SearchStrategy[timezone | None] = st.none() | some_zone
#: A day from either end, because a zone may carry a moment over it.
moments = st.builds(datetime.combine, st.dates(date(1900, 1, 2), date(2100, 12, 30)), st.times(), zones)


@given(day=days, clock=st.times(), zone=zones)
def test_day_is_kept_with_any_time_and_zone_from_the_mis(day: date, clock: time, zone: timezone | None) -> None:
    moment = datetime.combine(day, clock, zone)

    for raw in (day, moment, moment.isoformat(), moment.isoformat(" "), day.isoformat(), f"  {day} "):
        assert read_value(Kind.DATE, raw) == f"{day.isoformat()}T00:00:00.000Z"


@given(moments)
def test_a_moment_with_a_zone_stays_the_same_instant(moment: datetime) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    for raw in (aware, aware.isoformat()):
        sent = datetime.fromisoformat(str(read_value(Kind.MOMENT, raw)))
        assert timedelta(0) <= aware - sent < timedelta(milliseconds=1)


@given(moments)
def test_a_moment_without_a_zone_is_taken_as_it_stands(moment: datetime) -> None:
    naive = moment.replace(tzinfo=None)

    assert str(read_value(Kind.MOMENT, naive)) == f"{naive.isoformat(timespec='milliseconds')}Z"


@given(moments)
def test_the_zone_of_the_machine_is_of_no_account(moment: datetime) -> None:
    at_home = read_value(Kind.MOMENT, moment)

    with time_machine.travel(datetime(2026, 1, 15, tzinfo=ZoneInfo("America/New_York")), tick=False):
        assert read_value(Kind.MOMENT, moment) == at_home


@given(moments)
def test_a_moment_reads_the_same_again(moment: datetime) -> None:
    sent = read_value(Kind.MOMENT, moment)

    assert read_value(Kind.MOMENT, sent) == sent


def test_summer_midnight_is_that_day_as_date_and_previous_day_as_moment() -> None:
    midnight = datetime(2024, 7, 1, tzinfo=timezone(timedelta(hours=1)))

    assert read_value(Kind.DATE, midnight) == "2024-07-01T00:00:00.000Z"
    assert read_value(Kind.MOMENT, midnight) == "2024-06-30T23:00:00.000Z"


@pytest.mark.parametrize(
    ("raw", "day"),
    [
        ("2022-02-23T12:49:33.150Z", "2022-02-23"),
        ("2022-02-23 00:00:00", "2022-02-23"),
        (b"2022-02-23", "2022-02-23"),
        ("20220223", "2022-02-23"),
        (20220223, "2022-02-23"),
    ],
)
def test_a_day_is_read_from_the_forms_a_mis_may_keep_it_in(raw: object, day: str) -> None:
    assert read_value(Kind.DATE, raw) == f"{day}T00:00:00.000Z"


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.MOMENT])
@pytest.mark.parametrize("raw", ["23/02/2022", "2022-02-30", "2022-00-00", "soon", "2022", 2022, "2022-02"])
def test_a_day_in_no_iso_form_is_unusable_rather_than_guessed(kind: Kind, raw: object) -> None:
    assert complaint_about(raw, kind) == "is not an ISO 8601 date"


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.MOMENT])
@given(
    day=st.dates(max_value=FIRST - timedelta(days=1)).filter(lambda day: day not in NO_DAYS)
    | st.dates(min_value=LAST + timedelta(days=1))
)
def test_day_outside_the_years_1900_to_2100_is_unusable(kind: Kind, day: date) -> None:
    for raw in (day, day.isoformat()):
        assert complaint_about(raw, kind) == "is outside the years 1900 to 2100"


@pytest.mark.parametrize("raw", [True, 1.5, ["2022-02-23"], timedelta(days=1)])
def test_what_is_no_day_at_all_is_unusable(raw: object) -> None:
    assert not is_usable(raw, Kind.DATE)


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.MOMENT])
@pytest.mark.parametrize("day", NO_DAYS)
def test_the_day_that_a_database_puts_where_there_is_none_is_no_day(kind: Kind, day: date) -> None:
    midnight = datetime.combine(day, time())
    for raw in (day, midnight, day.isoformat(), midnight.isoformat(), f"{midnight} "):
        assert read_value(kind, raw) is None


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.MOMENT])
@pytest.mark.parametrize("zero", ["0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"])
def test_the_zero_date_of_mysql_is_no_day(kind: Kind, zero: str) -> None:
    assert read_value(kind, zero) is None


@pytest.mark.parametrize("raw", ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "2022-00-00", "2022-02-00"])
def test_a_day_that_only_a_database_knows_is_unusable(raw: str) -> None:
    assert complaint_about(raw, Kind.DATE) == "is not an ISO 8601 date"
