"""Find the rows of a feed that have not changed, as rsync finds the blocks of a file that have not changed.

A block is a number of consecutive rows with one digest. The next poll reads as many rows and compares the digest: if
it is the same, the block matches and none of its rows has to be parsed. If not, the rows are unmatched up to the next
row that a remembered block begins with, so that a row that is inserted or deleted changes one block only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from syncd.core.digests import NO_DIGEST, Digester
from syncd.core.feed_snapshot import BlockDigest
from syncd.core.records import FetchRows, Row


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a feed, as read."""

    number: int
    """The number of the first row in the feed, from 1."""
    rows: Sequence[Row]
    position: int
    """The position, from 0, of the remembered block that these rows match or most likely replace."""
    is_match: bool = False
    """Whether they are the rows of that block."""


@dataclass(slots=True)
class BlockMatcher:
    """Reads a feed and matches it with the blocks that are remembered of it.

    Iteration returns blocks that have every row, in the order of the feed. New blocks have ``block_rows`` rows.
    """

    remembered: Sequence[BlockDigest]
    fetch: FetchRows
    digester: Digester
    block_rows: int
    _fetched: list[Row] = field(default_factory=list)
    """Rows that were fetched but are in no block yet."""
    _position: int = 0
    _number: int = 1

    def __iter__(self) -> Iterator[Block]:
        while self._position < len(self.remembered):
            position, block = self._position, self.remembered[self._position]
            rows = self._take(block.rows)
            if not block.digest or len(rows) != block.rows or self.digester.digest(rows) != block.digest:
                self._fetched[:0] = rows
                yield from self._unmatched()
                continue
            self._position += 1
            yield self._block(rows, position, is_match=True)
            # Freed before the next rows are fetched, so that they reuse the memory.
            del rows
        while rows := self._take(self.block_rows):
            yield self._block(rows, self._position)

    def _unmatched(self) -> Iterator[Block]:
        """Return the rows up to the next row that a remembered block begins with."""
        begins = {
            block.first_row_digest: position
            for position, block in reversed(list(enumerate(self.remembered)))
            if position > self._position and block.first_row_digest != NO_DIGEST
        }
        unmatched: list[Row] = []
        replaced = self._position
        while rows := self._take(self.block_rows):
            for index, row in enumerate(rows):
                position = begins.get(self.digester.short_digest(row))
                if position is not None:
                    unmatched.extend(rows[:index])
                    self._fetched[:0] = rows[index:]
                    self._position = position
                    if unmatched:
                        yield self._block(unmatched, replaced)
                    return
            unmatched.extend(rows)
            # The last rows are not cut off as a block of their own: the blocks would become ever smaller.
            if len(unmatched) >= 2 * self.block_rows:
                yield self._block(unmatched[: self.block_rows], replaced)
                del unmatched[: self.block_rows]
                # Most changes leave a row where it was, so the next rows most likely replace the next block.
                replaced = min(replaced + 1, len(self.remembered) - 1)
        self._position = len(self.remembered)
        if unmatched:
            yield self._block(unmatched, replaced)

    def _block(self, rows: Sequence[Row], position: int, *, is_match: bool = False) -> Block:
        block = Block(self._number, rows, position, is_match)
        self._number += len(rows)
        return block

    def _take(self, number: int) -> Sequence[Row]:
        """Return the next rows; fewer than ``number`` only at the end of the feed."""
        if not self._fetched:
            rows = self.fetch(number)
            if len(rows) == number or not rows:
                return rows
            self._fetched.extend(rows)
        while len(self._fetched) < number and (more := self.fetch(number - len(self._fetched))):
            self._fetched.extend(more)
        taken = self._fetched[:number]
        del self._fetched[:number]
        return taken
