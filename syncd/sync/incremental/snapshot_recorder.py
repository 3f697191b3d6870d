"""Record what a run reads of the feeds, so that the next poll can recognise the rows that have not changed."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from syncd.core.assignments import AssignmentRecord
from syncd.core.buffers import KeySet
from syncd.core.digests import Digester
from syncd.core.feed_snapshot import BlockDigest, BlockRows, BlockWrite, FeedSnapshot, Watermark
from syncd.core.fields import Role
from syncd.core.records import Held, Key, OtherOrganisation, Record
from syncd.core.watermark import WatermarkReading, WatermarkValue
from syncd.sync.context import SyncContext
from syncd.sync.feeds import FeedReader, all_rows
from syncd.sync.incremental.blocks import Block, BlockMatcher

#: A feed with a watermark is queried for at most this many MISIDs by name; for more it is read in full.
_MAX_RECHECKED: Final = 500

_Row = TypeVar("_Row", Record, AssignmentRecord)


@dataclass(slots=True)
class BlockTrace:
    """What is recorded of one block while its rows are parsed."""

    block: BlockDigest
    position: int
    """The position of the remembered block that it matches or most likely replaces."""
    row_digests: Sequence[str] = ()
    """The short digest of each row; none for a matched block."""
    keys: dict[int, Key] = field(default_factory=dict)
    """The keys of this organisation's rows, by place; of a matched block only those of the parsed rows."""

    def parse(
        self, reader: FeedReader[_Row], block: Block, places: Sequence[int] | None = None
    ) -> Iterator[_Row | Held | OtherOrganisation]:
        """Parse the rows of the block, or only those in some places."""
        places = range(len(block.rows)) if places is None else places
        for place, row in zip(places, reader.parse_rows(block.rows, block.number, places), strict=True):
            if not isinstance(row, OtherOrganisation):
                self.keys[place] = row.key
            yield row

    def to_write(self, recheck: Container[Key]) -> BlockWrite:
        """Return what is to be stored; ``recheck`` are the keys whose rows the next poll must parse."""
        # A row without a MISID is known by its number, which another row may have in the next poll.
        again = tuple(sorted(place for place, key in self.keys.items() if not key.misid or key in recheck))
        if not self.row_digests:
            return BlockWrite(replace(self.block, recheck_rows=again), None, self.position)
        misids = [self.keys[place].misid if place in self.keys else None for place in range(self.block.rows)]
        block = replace(self.block, own_rows=len(self.keys), recheck_rows=again)
        return BlockWrite(block, BlockRows(misids, self.row_digests), self.position)


#: Encoded, a trace takes a tenth of the memory.
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(BlockTrace)


class SnapshotRecorder:
    """Reads feeds in blocks, matches them with ``snapshot``, and records them for the next snapshot."""

    def __init__(self, context: SyncContext, snapshot: FeedSnapshot) -> None:
        self.snapshot = snapshot
        self._context = context
        self._traces: dict[str, list[bytes]] = {}
        """The blocks of each feed, encoded."""
        self._watermarks: dict[str, WatermarkReading] = {}

    def match(self, reader: FeedReader[_Row]) -> Iterator[tuple[Block, BlockTrace]]:
        """Read a feed in blocks, each with the trace that its rows are to be parsed with.

        If the feed was read before, this reading replaces the other.
        """
        traces = self._traces[reader.feed.name] = []
        remembered = self.snapshot.blocks.get(reader.feed.name, ())
        digester = Digester(self._context.store.cipher.fingerprint_secret, reader.column_names)
        for block in BlockMatcher(remembered, reader.fetch, digester, self._context.block_rows):
            trace = _begin_trace(block, remembered, digester)
            yield block, trace
            # Freed before the next rows are fetched, so that they reuse the memory.
            del block
            traces.append(_ENCODER.encode(trace))

    def record(self, reader: FeedReader[_Row]) -> Iterator[_Row | Held | OtherOrganisation]:
        """Parse every row of a feed. Raises as `SyncContext.check_interrupted` does."""
        if reader.watermark is not None:
            self._watermarks[reader.feed.name] = reader.watermark
            yield from all_rows(reader)
            if problem := reader.watermark.problem:
                self._context.log.warning("watermark_ignored", feed=reader.feed.name, reason=problem)
            return
        for block, trace in self.match(reader):
            self._context.check_interrupted()
            yield from trace.parse(reader, block)

    def blocks(self, recheck: Container[Key]) -> Mapping[str, list[BlockWrite]]:
        """Return the blocks to be stored; ``recheck`` are the keys whose rows the next poll must parse."""
        return {
            feed: [_DECODER.decode(trace).to_write(recheck) for trace in traces]
            for feed, traces in self._traces.items()
        }

    def watermarks(self, recheck: KeySet, other_organisation_rows: Mapping[str, int]) -> dict[str, Watermark]:
        """Return the watermarks to be stored: without one, the next poll reads in full.

        None is stored if too many rows are to be rechecked, and none that would hide changes.
        """
        if len(recheck) > _MAX_RECHECKED:
            return {}
        misids = sorted(key.misid for key in recheck if key.role is Role.LEARNER and key.misid)
        return {
            feed: Watermark(
                reading.column,
                reading.highest,
                self._first_seen_at(feed, reading.highest),
                reading.misid_column,
                reading.misids_to_query(misids),
                other_organisation_rows.get(feed, 0),
            )
            for feed, reading in self._watermarks.items()
            if reading.highest is not None and not reading.problem
        }

    def _first_seen_at(self, feed: str, value: WatermarkValue) -> datetime:
        before = self.snapshot.watermarks.get(feed)
        return before.first_seen_at if before is not None and before.value == value else self.snapshot.loaded_at


def _begin_trace(block: Block, remembered: Sequence[BlockDigest], digester: Digester) -> BlockTrace:
    if block.is_match:
        return BlockTrace(remembered[block.position], block.position)
    digests = [digester.short_digest(row) for row in block.rows]
    digest = BlockDigest(len(block.rows), digests[0], digester.digest(block.rows), own_rows=0)
    return BlockTrace(digest, block.position, digests)
