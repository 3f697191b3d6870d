"""The pace, in simulated time: as fast as the limit allows, and never a 429, whichever way OneFile counts."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Interrupted, OneFileUnreachable
from syncd.onefile import RateLimiter, Yielded
from syncd.onefile.rate_limit import rate_of, seconds_of_quiet
from syncd.simulator import LimiterShape, make_limiter
from tests.support.clocks import Clock
from tests.support.onefile import MemoryRateLimit

_SHAPES = [LimiterShape.FIXED, LimiterShape.SLIDING, LimiterShape.BUCKET]


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("starts_at_second", [0, 31.7, 59.9])
def test_nine_hundred_calls_draw_no_429_and_take_three_minutes(shape: LimiterShape, starts_at_second: float) -> None:
    clock = Clock(datetime(2026, 1, 15, 12, tzinfo=UTC) + timedelta(seconds=starts_at_second))
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    limiter = make_limiter(shape, 300)
    began = clock.now

    for _ in range(900):
        rate_limiter.wait()
        assert limiter.allow(clock.now.timestamp()) is None

    assert clock.now - began <= timedelta(minutes=3) * 1.05
    assert rate_limiter.calls == 900


@given(calls_per_minute=st.integers(2, 5000), pauses=st.lists(st.floats(0, 70), max_size=30))
def test_no_sixty_seconds_hold_more_calls_than_the_limit(calls_per_minute: int, pauses: list[float]) -> None:
    rate = rate_of(calls_per_minute)
    assert rate.limit + rate.burst <= max(calls_per_minute, 2)

    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), calls_per_minute, clock=clock, sleep=clock.sleep)
    left: list[datetime] = []
    for pause in [*pauses, *[0.0] * 30]:
        clock.now += timedelta(seconds=pause)
        rate_limiter.wait()
        left.append(clock.now)
        within = [at for at in left if at > clock.now - timedelta(minutes=1)]
        assert len(within) <= calls_per_minute


def test_two_processes_with_one_line_share_the_limit() -> None:
    clock, turns = Clock(), MemoryRateLimit()
    pacers = [RateLimiter(turns, 300, clock=clock, sleep=clock.sleep) for _ in range(2)]
    limiter = make_limiter(LimiterShape.BUCKET, 300)

    for number in range(600):
        pacers[number % 2].wait()
        assert limiter.allow(clock.now.timestamp()) is None


def test_a_restart_does_not_open_the_bucket_again() -> None:
    clock, turns = Clock(), MemoryRateLimit()
    limiter = make_limiter(LimiterShape.BUCKET, 300)

    for _ in range(50):
        rate_limiter = RateLimiter(turns, 300, clock=clock, sleep=clock.sleep)
        for _ in range(5):
            rate_limiter.wait()
            assert limiter.allow(clock.now.timestamp()) is None


def test_clock_set_back_delays_no_call() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    rate_limiter.wait()
    clock.now -= timedelta(hours=1)

    rate_limiter.wait()

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
    clock = Clock(datetime.fromisoformat(now).replace(tzinfo=UTC))
    quiet = ((time(7), time(7, 30)), (time(23, 50), time(0, 10)))
    rate_limiter = RateLimiter(
        MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep, quiet=quiet, zone="Europe/London"
    )

    rate_limiter.wait()

    assert sum(clock.slept) == seconds


def test_a_call_whose_turn_would_come_in_a_quiet_window_leaves_after_it() -> None:
    clock = Clock(datetime(2026, 1, 15, 6, 59, 59, 900_000, tzinfo=UTC))
    rate_limiter = RateLimiter(MemoryRateLimit(), 60, clock=clock, sleep=clock.sleep, quiet=((time(7), time(7, 30)),))
    left = []
    for _ in range(3):
        rate_limiter.wait()
        left.append(clock.now.time())
    assert not [at for at in left if time(7) <= at < time(7, 30)]
    assert left[-1] >= time(7, 30)


def test_quiet_window_ends_by_the_clock_and_not_by_elapsed_sleep() -> None:
    clock = Clock(datetime(2026, 1, 15, 7, tzinfo=UTC))

    def sleep(seconds: float) -> bool:
        # Somebody sets the clock on, or the machine sleeps, while a call waits.
        clock.now += timedelta(minutes=29)
        return clock.sleep(seconds)

    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=sleep, quiet=((time(7), time(7, 30)),))
    rate_limiter.wait()
    assert sum(clock.slept) <= 60


@pytest.mark.parametrize("minutes_into_the_hour", [0, 59])
def test_quiet_window_in_the_repeated_autumn_hour_is_quiet_twice(minutes_into_the_hour: int) -> None:
    quiet = ((time(1), time(2)),)
    for hour in (0, 1):
        clock = Clock(datetime(2026, 10, 25, hour, minutes_into_the_hour, tzinfo=UTC))
        RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep, quiet=quiet, zone="Europe/London").wait()
        assert clock.now == datetime(2026, 10, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "began"),
    [
        ((time(0, 30), time(1, 30)), datetime(2026, 3, 29, 0, 45, tzinfo=UTC)),
        ((time(23, 30), time(1)), datetime(2026, 3, 28, 23, 45, tzinfo=UTC)),
        ((time(0, 30), time(1, 59)), datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
        ((time(0, 30), time(2)), datetime(2026, 3, 29, 0, 45, tzinfo=UTC)),
    ],
)
def test_quiet_window_ending_in_the_skipped_spring_hour_ends_at_the_jump(
    window: tuple[time, time], began: datetime
) -> None:
    zone = ZoneInfo("Europe/London")
    jumps_at = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert seconds_of_quiet(began, [window], zone) == (jumps_at - began).total_seconds()
    assert seconds_of_quiet(jumps_at - timedelta(microseconds=1), [window], zone) == pytest.approx(0, abs=1e-5)
    assert seconds_of_quiet(jumps_at, [window], zone) == 0


def test_a_window_within_the_hour_that_spring_leaves_out_is_left_out_too() -> None:
    for minutes in range(180):
        at = datetime(2026, 3, 29, tzinfo=UTC) + timedelta(minutes=minutes)
        assert seconds_of_quiet(at, [(time(1, 10), time(1, 50))], ZoneInfo("Europe/London")) == 0


def test_429_blocks_calls_once_for_its_time_after_concurrent_responses() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    assert [rate_limiter.block_until(30) for _ in range(8)] == [30, *[0] * 7]
    rate_limiter.wait()
    assert sum(clock.slept) == 30


def test_run_ends_instead_of_a_long_wait_and_sends_no_call_too_early() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    rate_limiter.block_until(900)
    for _ in range(3):
        with pytest.raises(OneFileUnreachable, match="no call leaves for another"):
            rate_limiter.wait()
    assert (sum(clock.slept), rate_limiter.calls) == (0, 0)

    clock.now += timedelta(seconds=850)
    rate_limiter.wait()
    assert sum(clock.slept) == 50


def test_no_429_closes_onefile_for_more_than_an_hour() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    assert rate_limiter.block_until(10_000_000) == 3600
    clock.now += timedelta(hours=1)
    rate_limiter.wait()
    assert rate_limiter.calls == 1


def test_clock_set_back_after_a_429_delays_no_call() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    rate_limiter.block_until(30)
    clock.now -= timedelta(hours=1)
    rate_limiter.wait()
    assert sum(clock.slept) < 1


def test_a_call_that_waits_when_syncd_is_to_stop_is_not_made() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 60, clock=clock, sleep=clock.sleep)
    rate_limiter.wait()
    clock.is_stopping = True

    with pytest.raises(Interrupted):
        rate_limiter.wait()

    assert rate_limiter.calls == 1


def test_call_that_has_to_yield_is_not_made() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 300, clock=clock, sleep=clock.sleep)
    with rate_limiter.yielding_to(lambda: rate_limiter.calls == 2):
        rate_limiter.wait()
        rate_limiter.wait()
        with pytest.raises(Yielded):
            rate_limiter.wait()
    rate_limiter.wait()
    assert rate_limiter.calls == 3
