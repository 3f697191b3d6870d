"""Matching a feed with its remembered blocks: no row is lost, and few are unmatched."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.digests import Digester
from syncd.core.feed_snapshot import BlockDigest
from syncd.core.records import Row
from syncd.sync.incremental.blocks import Block, BlockMatcher

DIGESTER = Digester(b"secret")


def matched(before: Sequence[BlockDigest], feed: "Feed") -> list[Block]:
    return list(BlockMatcher(before, feed.fetch, DIGESTER, block_rows=4))


class Feed:
    """Rows that are returned a few at a time."""

    def __init__(self, rows: Sequence[tuple[object, ...]], most: int = 1000) -> None:
        self._rows = list(rows)
        self._most = most

    def fetch(self, number: int) -> Sequence[Row]:
        count = min(number, self._most)
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken


def remembered(rows: Sequence[tuple[object, ...]], before: Sequence[BlockDigest] = ()) -> list[BlockDigest]:
    """Return the blocks of a feed, after it was matched with those of an earlier reading."""
    return [
        before[block.position] if block.is_match else _digest_of(block.rows) for block in matched(before, Feed(rows))
    ]


def _digest_of(rows: Sequence[Row]) -> BlockDigest:
    return BlockDigest(len(rows), DIGESTER.short_digest(rows[0]), DIGESTER.digest(rows), len(rows))


def numbered(count: int) -> list[tuple[object, ...]]:
    return [(f"L{number}", "x") for number in range(count)]


def unmatched(before: list[BlockDigest], rows: Sequence[tuple[object, ...]]) -> list[object]:
    return [row for block in matched(before, Feed(rows)) if not block.is_match for row in block.rows]


ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40)


@given(ROWS, ROWS, st.integers(1, 9))
def test_every_row_is_in_one_block_and_matched_blocks_have_the_same_rows(
    old: list[tuple[object, ...]], new: list[tuple[object, ...]], most: int
) -> None:
    before = remembered(old)
    starts = [sum(each.rows for each in before[:position]) for position in range(len(before))]
    read: list[object] = []
    for block in matched(before, Feed(new, most)):
        assert block.number == len(read) + 1
        read += block.rows
        if block.is_match:
            start = starts[block.position]
            assert list(block.rows) == old[start : start + before[block.position].rows]
    assert read == new


@given(ROWS)
def test_every_block_of_an_unchanged_feed_matches(rows: list[tuple[object, ...]]) -> None:
    before = remembered(rows)
    blocks = matched(before, Feed(rows))
    assert all(block.is_match for block in blocks)
    assert [block.position for block in blocks] == list(range(len(before)))


@given(st.integers(0, 59), st.sampled_from(["changed", "deleted", "inserted", "three inserted"]))
def test_a_change_anywhere_leaves_the_other_blocks_matched(place: int, change: str) -> None:
    rows = numbered(60)
    edited = {
        "changed": [*rows[:place], ("L", "y"), *rows[place + 1 :]],
        "deleted": [*rows[:place], *rows[place + 1 :]],
        "inserted": [*rows[:place], ("L", "y"), *rows[place:]],
        "three inserted": [*rows[:place], ("L", "y"), ("L", "z"), ("M", "z"), *rows[place:]],
    }[change]
    # If the row is the first of its block, the rows of two blocks are unmatched: the search cannot end at it.
    assert len(unmatched(remembered(rows), edited)) <= 4 + 4 + 3


def test_rows_inserted_one_by_one_make_blocks_of_a_stable_size() -> None:
    rows = numbered(20)
    before = remembered(rows)
    for number in range(50):
        rows.insert(9, (f"N{number}", "x"))
        before = remembered(rows, before)
        assert max(each.rows for each in before) < 3 * 4
        assert sum(each.rows for each in before) == len(rows)
    assert len(before) >= 70 / (3 * 4)


@pytest.mark.parametrize("value", [2**80, "\ud800"])
def test_a_row_without_a_digest_never_matches(value: object) -> None:
    rows = [("L1", value)]
    assert unmatched(remembered(rows), rows) == rows
