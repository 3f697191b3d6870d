"""When things are due: intervals, cron lines, both changes of London's clock, clocks set back, and jitter."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.schedule import When

LONDON = ZoneInfo("Europe/London")
NO_JITTER = timedelta()


def _cron(line: str) -> When:
    return When(line, timezone="Europe/London")


def _every(**interval: float) -> When:
    return When("every so often", timedelta(**interval))


def _times(when: When, start: datetime, end: datetime) -> list[datetime]:
    found = [when.first_after(start)]
    while found[-1] < end:
        found.append(when.after(found[-1]))
    return found[:-1]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SPRING, AUTUMN = (_utc("2026-03-29"), _utc("2026-03-30")), (_utc("2026-10-25"), _utc("2026-10-26"))


@pytest.mark.parametrize(
    ("line", "day", "due"),
    [
        # At 01:00 UTC the clock goes from 01:00 to 02:00, and there is no 01:30 …
        ("30 1 * * *", SPRING, ["01:00"]),
        ("0 1,2 * * *", SPRING, ["01:00"]),
        ("30 0-3 * * *", SPRING, ["00:30", "01:00", "01:30", "02:30", "23:30"]),
        # … and from 02:00 back to 01:00, and there are two.
        ("30 1 * * *", AUTUMN, ["00:30"]),
        ("0 1,2 * * *", AUTUMN, ["02:00"]),
        ("30 0-3 * * *", AUTUMN, ["00:30", "02:30", "03:30"]),
        ("0 3 * * *", SPRING, ["02:00"]),
        ("0 3 * * *", AUTUMN, ["03:00"]),
    ],
)
def test_cron_time_is_due_once_on_days_when_the_clock_changes(
    line: str, day: tuple[datetime, datetime], due: list[str]
) -> None:
    assert [f"{each:%H:%M}" for each in _times(_cron(line), *day)] == due


@settings(max_examples=25)
@given(hour=st.integers(0, 23), minute=st.integers(0, 59), later=st.integers(0, 3600))
def test_a_daily_time_comes_once_on_every_day_of_the_year(hour: int, minute: int, later: int) -> None:
    when = When(f"{minute} {hour} * * *", timezone="Europe/London", later=timedelta(seconds=later))
    start = datetime(2026, 1, 1, tzinfo=LONDON)
    times = _times(when, start - timedelta(seconds=1) + when.later, start + timedelta(days=365) + when.later)
    days = Counter((each - when.later).astimezone(LONDON).date() for each in times)
    assert set(days.values()) == {1}
    assert len(days) == 365


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
@pytest.mark.parametrize("when", [_cron("*/15 * * * *"), _cron("7,22,37,52 * * * *"), _every(minutes=15)])
def test_what_is_due_all_day_long_goes_on_in_even_steps_through_the_change(
    when: When, day: tuple[datetime, datetime]
) -> None:
    times = _times(when, *day)
    assert {after - before for before, after in pairwise(times)} == {timedelta(minutes=15)}
    assert len(times) in {95, 96}


@given(
    line=st.sampled_from(["30 1 * * *", "*/15 * * * *", "0 1,2 * * *", "59 0-5 * * *", "10 1 * * 0"]),
    minutes=st.integers(-180, 180),
    day=st.sampled_from([SPRING[0], AUTUMN[0]]),
)
def test_next_cron_time_from_any_moment_is_later_and_one_of_the_series(line: str, minutes: int, day: datetime) -> None:
    when = _cron(line)
    moment = day + timedelta(hours=1, minutes=minutes)
    following = when.after(moment)
    assert following > moment
    assert following in _times(when, day - timedelta(days=8), day + timedelta(days=9))


@pytest.mark.parametrize("when", [_every(minutes=15), _cron("*/15 * * * *")])
def test_a_clock_set_back_an_hour_does_not_keep_a_poll_waiting(when: When) -> None:
    due, now = _utc("2026-01-15T12:15"), _utc("2026-01-15T11:05")
    again = when.set_back(due, now, timedelta(hours=1))
    assert again == _utc("2026-01-15T11:15")


def test_clock_set_back_after_the_daily_verify_does_not_repeat_it() -> None:
    # It ran at 03:00; at 03:05 the clock was put to 02:05.
    due, now = _utc("2026-01-16T03:00"), _utc("2026-01-15T02:05")
    assert _cron("0 3 * * *").set_back(due, now, timedelta(hours=1)) == due


def test_clock_set_back_by_years_makes_the_daily_verify_due_that_day() -> None:
    due, now = _utc("2031-01-16T03:00"), _utc("2026-01-15T02:05")
    assert _cron("0 3 * * *").set_back(due, now, due - now) == _utc("2026-01-15T03:00")


@given(
    st.sampled_from([_every(seconds=1), _every(hours=6), _cron("*/5 * * * *"), _cron("0 3 * * *")]),
    st.timedeltas(timedelta(seconds=1), timedelta(days=3000)),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - it wants them so
)
def test_clock_set_back_never_delays_beyond_twice_the_usual_interval(when: When, by: timedelta, was: datetime) -> None:
    due, now = when.after(was), was - by
    again = when.set_back(due, now, by)
    usual = when.after(again) - again
    # An hour more, because a day may have 25.
    assert again - now <= 2 * usual + timedelta(hours=1)
    assert again > now


def test_jitter_is_the_same_every_time_and_another_for_others() -> None:
    jitter = timedelta(minutes=1)
    daily = _cron("0 3 * * *")
    assert daily.apart(5740, jitter) == daily.apart(5740, jitter)
    shares = [daily.apart(number, jitter).later for number in range(5000, 5600)]
    assert all(timedelta() <= share < jitter for share in shares)
    # Six hundred colleges are spread over the sixty seconds: no second has many of them, none of ten has none.
    assert max(Counter(int(share.total_seconds()) for share in shares).values()) < 30
    assert len({int(share.total_seconds()) // 10 for share in shares}) == 6


def test_jitter_shifts_every_cron_time_by_the_same_amount() -> None:
    when = _cron("0 3 * * *").apart(5740, timedelta(minutes=1))
    first, second = when.first_after(_utc("2026-01-15")), when.after(when.first_after(_utc("2026-01-15")))
    assert first == _utc("2026-01-15T03:00") + when.later
    assert second == _utc("2026-01-16T03:00") + when.later
    assert when.after(first - timedelta(milliseconds=1)) == first


def test_jitter_shifts_only_the_first_interval_by_a_tenth_at_most() -> None:
    hourly, secondly = (_every(seconds=each).apart(5740, timedelta(minutes=1)) for each in (3600, 1))
    start = _utc("2026-01-15T12:00")
    assert hourly.first_after(start) == start + timedelta(hours=1) + hourly.later
    assert hourly.after(hourly.first_after(start)) - hourly.first_after(start) == timedelta(hours=1)
    assert timedelta() < secondly.later < timedelta(seconds=0.1)


def test_without_jitter_everything_is_on_the_dot() -> None:
    assert _cron("0 3 * * *").apart(5740, NO_JITTER).after(_utc("2026-01-15")) == _utc("2026-01-15T03:00")
