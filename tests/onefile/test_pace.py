"""The pace, in simulated time: as fast as the limit allows, and never a 429, whichever way OneFile counts."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.onefile import Interrupted, Pacer
from syncd.onefile.pace import rate_of
from syncd.simulator import LimiterShape, make_limiter

from .conftest import Time, Turns

_SHAPES = [LimiterShape.FIXED, LimiterShape.SLIDING, LimiterShape.BUCKET]


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("starts_at_second", [0, 31.7, 59.9])
def test_nine_hundred_calls_draw_no_429_and_take_three_minutes(shape: LimiterShape, starts_at_second: float) -> None:
    clock = Time(datetime(2026, 1, 15, 12, tzinfo=UTC) + timedelta(seconds=starts_at_second))
    pacer = Pacer(Turns(), 300, clock=clock, sleep=clock.sleep)
    limiter = make_limiter(shape, 300)
    began = clock.now

    for _ in range(900):
        pacer.wait()
        assert limiter.allow(clock.now.timestamp()) is None

    assert clock.now - began <= timedelta(minutes=3) * 1.05
    assert pacer.calls == 900


@given(calls_per_minute=st.integers(2, 5000), pauses=st.lists(st.floats(0, 70), max_size=30))
def test_no_sixty_seconds_hold_more_calls_than_the_limit(calls_per_minute: int, pauses: list[float]) -> None:
    rate = rate_of(calls_per_minute)
    assert rate.limit + rate.burst <= max(calls_per_minute, 2)

    clock = Time()
    pacer = Pacer(Turns(), calls_per_minute, clock=clock, sleep=clock.sleep)
    left: list[datetime] = []
    for pause in [*pauses, *[0.0] * 30]:
        clock.now += timedelta(seconds=pause)
        pacer.wait()
        left.append(clock.now)
        within = [at for at in left if at > clock.now - timedelta(minutes=1)]
        assert len(within) <= calls_per_minute


def test_two_processes_with_one_line_share_the_limit() -> None:
    clock, turns = Time(), Turns()
    pacers = [Pacer(turns, 300, clock=clock, sleep=clock.sleep) for _ in range(2)]
    limiter = make_limiter(LimiterShape.BUCKET, 300)

    for number in range(600):
        pacers[number % 2].wait()
        assert limiter.allow(clock.now.timestamp()) is None


def test_a_restart_does_not_open_the_bucket_again() -> None:
    clock, turns = Time(), Turns()
    limiter = make_limiter(LimiterShape.BUCKET, 300)

    for _ in range(50):
        pacer = Pacer(turns, 300, clock=clock, sleep=clock.sleep)
        for _ in range(5):
            pacer.wait()
            assert limiter.allow(clock.now.timestamp()) is None


def test_a_clock_that_was_set_back_holds_nobody_up() -> None:
    clock = Time()
    pacer = Pacer(Turns(), 300, clock=clock, sleep=clock.sleep)
    pacer.wait()
    clock.now -= timedelta(hours=1)

    pacer.wait()

    assert sum(clock.slept) < 1


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        ("2026-01-15T06:59:59", 0),
        ("2026-01-15T07:00:00", 1800),
        ("2026-01-15T07:29:00", 60),
        ("2026-01-15T07:30:00", 0),
        # 07:10 in London, in summer
        ("2026-07-15T06:10:00", 1200),
        ("2026-01-15T23:50:00", 1200),
        ("2026-01-16T00:05:00", 300),
    ],
)
def test_no_call_leaves_in_a_quiet_window(now: str, seconds: float) -> None:
    clock = Time(datetime.fromisoformat(now).replace(tzinfo=UTC))
    quiet = ((time(7), time(7, 30)), (time(23, 50), time(0, 10)))
    pacer = Pacer(Turns(), 300, clock=clock, sleep=clock.sleep, quiet=quiet, zone="Europe/London")

    pacer.wait()

    assert sum(clock.slept) == seconds


def test_a_call_that_waits_when_syncd_is_to_stop_is_not_made() -> None:
    clock = Time()
    pacer = Pacer(Turns(), 60, clock=clock, sleep=clock.sleep)
    pacer.wait()
    clock.is_stopping = True

    with pytest.raises(Interrupted):
        pacer.wait()

    assert pacer.calls == 1
