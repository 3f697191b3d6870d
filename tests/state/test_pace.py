"""How many calls have left in the last minute, whoever made them."""

from datetime import UTC, datetime, timedelta

import pytest

from syncd.state.db.store import Store
from syncd.state.rate_limit import StoredRateLimit

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _call(turns: StoredRateLimit, at: datetime) -> None:
    turns.advance(lambda _next_slot_us: (int(at.timestamp() * 1e6), 0.0))


def test_calls_of_every_process_with_the_token_count_and_no_others(store: Store) -> None:
    one, another, stranger = (StoredRateLimit(store, token) for token in ("token", "token", "another token"))
    assert one.calls_of_last_minute(NOON) == 0
    for second in range(10):
        _call(one, NOON + timedelta(seconds=second))
        _call(another, NOON + timedelta(seconds=second, milliseconds=500))
        _call(stranger, NOON + timedelta(seconds=second))
    assert one.calls_of_last_minute(NOON + timedelta(seconds=20)) == 20


def test_calls_fade_away_within_the_next_minute(store: Store) -> None:
    turns = StoredRateLimit(store, "token")
    for second in range(60):
        _call(turns, NOON + timedelta(seconds=second))
    told = [turns.calls_of_last_minute(NOON + timedelta(seconds=seconds)) for seconds in (60, 75, 90, 119, 120, 600)]
    assert told == [60, 45, 30, 1, 0, 0]


def test_a_line_that_is_ahead_into_the_next_minute_hides_none_of_this_ones(store: Store) -> None:
    turns = StoredRateLimit(store, "token")
    for second in range(60):
        _call(turns, NOON + timedelta(seconds=second))
    # A burst: they leave at once, and the line is free a second later.
    for tenth in range(5):
        _call(turns, NOON + timedelta(seconds=60, milliseconds=100 * tenth))
    assert turns.calls_of_last_minute(NOON + timedelta(seconds=59.5)) == 65
    assert turns.calls_of_last_minute(NOON + timedelta(seconds=60.5)) == pytest.approx(65, abs=1)


def test_a_call_that_has_to_wait_is_not_counted_yet(store: Store) -> None:
    turns = StoredRateLimit(store, "token")
    turns.advance(lambda next_slot_us: (next_slot_us, 1.0))
    assert turns.calls_of_last_minute(NOON) == 0


def test_clock_set_back_restarts_the_call_count(store: Store) -> None:
    turns = StoredRateLimit(store, "token")
    _call(turns, NOON)
    _call(turns, NOON - timedelta(hours=1))
    assert turns.calls_of_last_minute(NOON - timedelta(hours=1)) == 1
