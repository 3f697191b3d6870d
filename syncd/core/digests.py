"""Which rows of a feed are as they were, told by one digest for a thousand of them.

A chunk is so many rows in a row. What a poll has left in step it remembers as chunks; the next one reads as many rows
at a time, and where the digest is the same it looks at none of them. Where it is not, it goes on row by row until it
meets one that a later chunk begins with, so that a row put in or taken out costs the chunk it is in and no other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec

Rows: TypeAlias = Sequence[Sequence[object]]
FetchRows: TypeAlias = Callable[[int], Rows]
"""Gives the next rows of a feed, fewer or more than are asked for as suits its database, and none at its end."""

SHORT_DIGEST_LENGTH: Final = 16
"""How long a short digest is."""
NO_DIGEST: Final = "-" * SHORT_DIGEST_LENGTH
BLOCK_ROWS: Final = 1000
"""How many rows a chunk has, as long as none is put in or taken out."""


@dataclass(frozen=True, slots=True)
class BlockDigest:
    """Rows as they were when a poll was over."""

    rows: int
    first_row_digest: str
    """The short digest of the first of them."""
    digest: str
    """That of all of them."""
    own_rows: int
    """How many are of the organisation that remembers them."""
    recheck_rows: tuple[int, ...] = ()
    """Which of them, from 0, may come to something new although they are as they were."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a feed."""

    number: int
    """Of the first of them in the feed, from 1."""
    rows: Rows
    position: int
    """That of the chunk which has just these rows, or which they most likely stand in for; from 0."""
    is_unchanged: bool = False
    """Whether they are just that chunk's."""


class Digester:
    """Makes digests of rows: keyed, so that nothing can be read from one. ``secret`` has at most 64 bytes.

    ``columns`` are those of the rows: under other names they are other rows.
    """

    def __init__(self, secret: bytes, columns: Sequence[str] = ()) -> None:
        self._secret = secret
        encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other)
        self._encode_into = encoder.encode_into
        self._content = bytearray(encoder.encode(tuple(columns)))
        self._begin = len(self._content)

    def digest(self, value: object) -> str:
        """The digest of rows, or of whatever else is made of plain values; empty where none can be made.

        An empty one is like no other, so that such rows are looked at every time.
        """
        try:
            self._encode_into(value, self._content, self._begin)
        except (ValueError, OverflowError, msgspec.MsgspecError):
            return ""
        return blake2b(self._content, key=self._secret, digest_size=16).hexdigest()

    def short_digest(self, row: Sequence[object]) -> str:
        """The digest of one row, as short as will do among the few that it is held against; `NO_DIGEST` for none."""
        return self.digest(row)[:SHORT_DIGEST_LENGTH] or NO_DIGEST


def _encode_other(value: object) -> object:
    return [type(value).__name__, str(value)]


def match_blocks(remembered: Sequence[BlockDigest], take: FetchRows, digester: Digester) -> Iterator[Block]:
    """Read a feed beside what is remembered of it: every row is in one span, in the order of the feed."""
    return _BlockMatcher(remembered, take, digester).run()


class _BlockMatcher:
    def __init__(self, remembered: Sequence[BlockDigest], take: FetchRows, digester: Digester) -> None:
        self._remembered = remembered
        self._feed = take
        self._digester = digester
        self._ahead: list[Sequence[object]] = []
        """Rows that were read and are still to be told of."""
        self._position = 0
        self._number = 1

    def run(self) -> Iterator[Block]:
        while self._position < len(self._remembered):
            position, chunk = self._position, self._remembered[self._position]
            rows = self._take(chunk.rows)
            if not chunk.digest or len(rows) != chunk.rows or self._digester.digest(rows) != chunk.digest:
                self._ahead[:0] = rows
                yield from self._unmatched()
                continue
            self._position += 1
            yield self._block(rows, position, is_kept=True)
            # Before the next are fetched, which then come into memory that is still at hand.
            del rows
        while rows := self._take(BLOCK_ROWS):
            yield self._block(rows, self._position)

    def _unmatched(self) -> Iterator[Block]:
        """Rows up to the next that a remembered chunk begins with."""
        begins = {
            chunk.first_row_digest: position
            for position, chunk in reversed(list(enumerate(self._remembered)))
            if position > self._position and chunk.first_row_digest != NO_DIGEST
        }
        strays: list[Sequence[object]] = []
        lost = self._position
        while rows := self._take(BLOCK_ROWS):
            for index, row in enumerate(rows):
                position = begins.get(self._digester.short_digest(row))
                if position is not None:
                    strays.extend(rows[:index])
                    self._ahead[:0] = rows[index:]
                    self._position = position
                    if strays:
                        yield self._block(strays, lost)
                    return
            strays.extend(rows)
            # What is left over is not cut off from the rest, lest the chunks become ever smaller.
            if len(strays) >= 2 * BLOCK_ROWS:
                yield self._block(strays[:BLOCK_ROWS], lost)
                del strays[:BLOCK_ROWS]
                # Most often rows are changed where they are.
                lost = min(lost + 1, len(self._remembered) - 1)
        self._position = len(self._remembered)
        if strays:
            yield self._block(strays, lost)

    def _block(self, rows: Rows, position: int, *, is_kept: bool = False) -> Block:
        span = Block(self._number, rows, position, is_kept)
        self._number += len(rows)
        return span

    def _take(self, number: int) -> Rows:
        """The next rows, fewer than that only at the end of the feed."""
        if not self._ahead:
            rows = self._feed(number)
            if len(rows) == number or not rows:
                return rows
            self._ahead.extend(rows)
        while len(self._ahead) < number and (more := self._feed(number - len(self._ahead))):
            self._ahead.extend(more)
        taken = self._ahead[:number]
        del self._ahead[:number]
        return taken
