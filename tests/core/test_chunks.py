"""A feed that is read beside what is remembered of it: no row is missed, and few are looked at."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core import digests
from syncd.core.digests import BlockDigest, Digester, Rows, match_blocks

DIGESTER = Digester(b"secret")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "BLOCK_ROWS", 4)


class Feed:
    """Rows, given a few at a time."""

    def __init__(self, rows: Sequence[tuple[object, ...]], most: int = 1000) -> None:
        self._rows = list(rows)
        self._most = most

    def take(self, number: int) -> Rows:
        count = min(number, self._most)
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken


def remembered(rows: Sequence[tuple[object, ...]], before: Sequence[BlockDigest] = ()) -> list[BlockDigest]:
    """The chunks of a feed that was read, by what was remembered of it."""
    return [
        before[span.position] if span.is_unchanged else _chunk(span.rows)
        for span in match_blocks(before, Feed(rows).take, DIGESTER)
    ]


def _chunk(rows: Rows) -> BlockDigest:
    return BlockDigest(len(rows), DIGESTER.short_digest(rows[0]), DIGESTER.digest(rows), len(rows))


def numbered(count: int) -> list[tuple[object, ...]]:
    return [(f"L{number}", "x") for number in range(count)]


def news(before: list[BlockDigest], rows: Sequence[tuple[object, ...]]) -> list[object]:
    return [
        row for span in match_blocks(before, Feed(rows).take, DIGESTER) if not span.is_unchanged for row in span.rows
    ]


ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40)


@given(ROWS, ROWS, st.integers(1, 9))
def test_every_row_is_in_one_span_and_those_of_a_chunk_are_as_they_were(
    old: list[tuple[object, ...]], new: list[tuple[object, ...]], most: int
) -> None:
    before = remembered(old)
    starts = [sum(chunk.rows for chunk in before[:position]) for position in range(len(before))]
    told: list[object] = []
    for span in match_blocks(before, Feed(new, most).take, DIGESTER):
        assert span.number == len(told) + 1
        told += span.rows
        if span.is_unchanged:
            start = starts[span.position]
            assert list(span.rows) == old[start : start + before[span.position].rows]
    assert told == new


@given(ROWS)
def test_nothing_is_news_of_a_feed_that_is_as_it_was(rows: list[tuple[object, ...]]) -> None:
    before = remembered(rows)
    told = list(match_blocks(before, Feed(rows).take, DIGESTER))
    assert all(span.is_unchanged for span in told)
    assert [span.position for span in told] == list(range(len(before)))


@given(st.integers(0, 59), st.sampled_from(["changed", "gone", "put in", "three put in"]))
def test_a_change_anywhere_costs_the_chunk_it_is_in_and_no_other(place: int, change: str) -> None:
    rows = numbered(60)
    edited = {
        "changed": [*rows[:place], ("L", "y"), *rows[place + 1 :]],
        "gone": [*rows[:place], *rows[place + 1 :]],
        "put in": [*rows[:place], ("L", "y"), *rows[place:]],
        "three put in": [*rows[:place], ("L", "y"), ("L", "z"), ("M", "z"), *rows[place:]],
    }[change]
    # One that another chunk begins with is of two chunks: where the search begins and where it ends.
    assert len(news(remembered(rows), edited)) <= 4 + 4 + 3


def test_rows_put_in_one_by_one_make_chunks_that_stay_of_a_size() -> None:
    rows = numbered(20)
    before = remembered(rows)
    for number in range(50):
        rows.insert(9, (f"N{number}", "x"))
        before = remembered(rows, before)
        assert max(chunk.rows for chunk in before) < 3 * 4
        assert sum(chunk.rows for chunk in before) == len(rows)
    assert len(before) >= 70 / (3 * 4)


@pytest.mark.parametrize("value", [None, 1, 1.5, "x", b"x", True, date(2026, 9, 1), Decimal("1.50"), {"a"}, range(3)])
def test_whatever_a_driver_gives_has_a_digest(value: object) -> None:
    assert DIGESTER.digest([(value,)])
    assert DIGESTER.digest([(value,)]) != DIGESTER.digest([("another",)])


@pytest.mark.parametrize("value", [2**80, "\ud800"])
def test_what_has_none_is_looked_at_every_time(value: object) -> None:
    rows = [("L1", value)]
    assert news(remembered(rows), rows) == rows


def test_another_secret_makes_another_digest_and_so_does_another_column() -> None:
    made = {digester.digest([("L1",)]) for digester in (DIGESTER, Digester(b"other"), Digester(b"secret", ["MISID"]))}
    assert len(made) == 3
