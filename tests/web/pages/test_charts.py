"""Charts: whatever the numbers, every bar stands in its place and none is overlooked."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.web.charts import HEIGHT, chart

COLUMNS = st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 300_000)), min_size=1, max_size=40)


@given(COLUMNS)
def test_every_number_has_a_bar_within_the_drawing(columns: list[tuple[int, int]]) -> None:
    drawn = chart([[("applied", applied), ("refused", refused)] for applied, refused in columns])
    assert len(drawn.bars) == sum(number > 0 for column in columns for number in column)
    for bar in drawn.bars:
        assert 0 <= bar.x < bar.x + bar.width <= drawn.width
        assert -3 <= bar.y < bar.y + bar.height <= HEIGHT + 0.02
        assert bar.height >= 1.5


@given(COLUMNS)
def test_the_scale_ends_at_or_above_the_highest(columns: list[tuple[int, int]]) -> None:
    highest = max(map(sum, columns))
    drawn = chart([[("applied", applied), ("refused", refused)] for applied, refused in columns])
    assert max(highest, 1) <= drawn.top <= max(10, 2 * highest)


def test_a_chart_of_nothing_is_empty() -> None:
    assert (chart([[("calls", 0)]] * 30).bars, chart([]).top) == ((), 1)
