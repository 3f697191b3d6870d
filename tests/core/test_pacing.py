"""How long calls take."""

import pytest

from syncd.core.rate import humanise_duration, seconds_for


@pytest.mark.parametrize(
    ("calls", "words"),
    [(0, "0 s"), (1, "1 s"), (490, "100 s"), (600, "about 2 minutes"), (9_000, "about 31 minutes")],
)
def test_calls_take_as_long_as_the_limit_has_them_take(calls: int, words: str) -> None:
    assert humanise_duration(seconds_for(calls, 300)) == words


def test_the_first_run_of_sixty_thousand_takes_three_hours_and_a_half() -> None:
    assert humanise_duration(seconds_for(60_000, 300)) == "about 3 h 24 min"
