"""The feeds as the last successful poll read them, so that the next one can recognise unchanged rows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, select

from syncd.core.digests import SHORT_DIGEST_LENGTH
from syncd.core.feed_snapshot import BlockDigest, BlockRows, BlockWrite, FeedSnapshot, Watermark
from syncd.core.watermark import WatermarkValue
from syncd.state.db.tables import feed_block, feed_snapshot, watermark

_WATERMARK_DECODERS: Final[Mapping[str, Callable[[str], WatermarkValue]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "Decimal": Decimal,
    "str": str,
    "bytes": bytes.fromhex,
}

_SNAPSHOT: Final = select(feed_snapshot).where(feed_snapshot.c.organisation_id == bindparam("here"))
_BLOCKS: Final = (
    select(
        feed_block.c.feed,
        feed_block.c.rows,
        feed_block.c.first_row_digest,
        feed_block.c.digest,
        feed_block.c.own_rows,
        feed_block.c.recheck_rows,
    )
    .where(feed_block.c.organisation_id == bindparam("here"))
    .order_by(feed_block.c.feed, feed_block.c.position)
)
_WATERMARKS: Final = select(watermark).where(watermark.c.organisation_id == bindparam("here"))


def begin(connection: Connection, organisation_id: int, now: datetime) -> None:
    """Make sure that there is a row which `invalidate` can change while the feeds are first read."""
    if connection.execute(_SNAPSHOT, {"here": organisation_id}).one_or_none() is None:
        nothing = {"comparison_version": "", "read_at": now, "generation": 0}
        connection.execute(feed_snapshot.insert().values(organisation_id=organisation_id, **nothing))


def remembered(connection: Connection, organisation_id: int, now: datetime) -> FeedSnapshot:
    """Return what is remembered of the feeds."""
    here = {"here": organisation_id}
    found = connection.execute(_SNAPSHOT, here).one_or_none()
    if found is None:
        return FeedSnapshot("", now, now, 0)
    blocks: dict[str, list[BlockDigest]] = {}
    for row in connection.execute(_BLOCKS, here) if found.comparison_version else ():
        block = BlockDigest(row.rows, row.first_row_digest, row.digest, row.own_rows, tuple(row.recheck_rows))
        blocks.setdefault(row.feed, []).append(block)
    watermarks = {
        row.feed: Watermark(
            row.column,
            decode_watermark(row.value),
            row.first_seen_at,
            row.misid_column,
            row.recheck_misids,
            row.other_organisation_rows,
        )
        for row in connection.execute(_WATERMARKS, here)
    }
    return FeedSnapshot(found.comparison_version, found.read_at, now, found.generation, blocks, watermarks)


def rows_of_blocks(
    connection: Connection, organisation_id: int, feed: str, positions: Collection[int]
) -> dict[int, BlockRows]:
    """Return the rows of some of a feed's blocks, by the block's position."""
    rows = connection.execute(
        select(feed_block.c.position, feed_block.c.misids, feed_block.c.row_digests).where(
            _matches_feed(organisation_id, feed), feed_block.c.position.in_(positions)
        )
    )
    return {
        position: BlockRows(
            misids,
            [digests[start : start + SHORT_DIGEST_LENGTH] for start in range(0, len(digests), SHORT_DIGEST_LENGTH)],
        )
        for position, misids, digests in rows
    }


def pause(connection: Connection, organisation_id: int) -> None:
    """Have polls read in full until a run has finished: this run is about to change accounts."""
    connection.execute(
        feed_snapshot.update().where(feed_snapshot.c.organisation_id == organisation_id).values(comparison_version="")
    )


def invalidate(connection: Connection, organisation_id: int) -> None:
    """Have the next poll read in full, and drop what a run in progress would save: something else changed the store."""
    changed = {"comparison_version": "", "generation": feed_snapshot.c.generation + 1}
    connection.execute(feed_snapshot.update().where(feed_snapshot.c.organisation_id == organisation_id).values(changed))


def save(
    connection: Connection,
    organisation_id: int,
    snapshot: FeedSnapshot,
    blocks: Mapping[str, Sequence[BlockWrite]],
    watermarks: Mapping[str, Watermark],
) -> None:
    """Store what a run has read, unless `invalidate` was called since ``snapshot`` was loaded.

    ``snapshot`` is what the run went by; it has no blocks after a full read. Only changed blocks are written.
    """
    updated = connection.execute(
        feed_snapshot.update()
        .where(feed_snapshot.c.organisation_id == organisation_id, feed_snapshot.c.generation == snapshot.generation)
        .values(comparison_version=snapshot.comparison_version, read_at=snapshot.read_at)
    )
    if not updated.rowcount:
        return
    connection.execute(watermark.delete().where(watermark.c.organisation_id == organisation_id))
    for feed, each in watermarks.items():
        connection.execute(
            watermark.insert().values(
                organisation_id=organisation_id,
                feed=feed,
                column=each.column,
                value=encode_watermark(each.value),
                first_seen_at=each.first_seen_at,
                misid_column=each.misid_column,
                recheck_misids=each.recheck_misids,
                other_organisation_rows=each.other_organisation_rows,
            )
        )
    if not snapshot.blocks:
        connection.execute(feed_block.delete().where(feed_block.c.organisation_id == organisation_id))
    for feed, read in blocks.items():
        _save_blocks(connection, organisation_id, feed, snapshot.blocks.get(feed, ()), read)


def _save_blocks(
    connection: Connection, organisation_id: int, feed: str, stored: Sequence[BlockDigest], read: Sequence[BlockWrite]
) -> None:
    here = _matches_feed(organisation_id, feed)
    if any(each.rows is None and each.position != position for position, each in enumerate(read)):
        # If one block moves, most often all those behind it move too.
        rows = rows_of_blocks(connection, organisation_id, feed, range(len(stored)))
        read = [replace(each, rows=each.rows or rows[each.position]) for each in read]
        connection.execute(feed_block.delete().where(here))
        stored = ()
    new: list[dict[str, Any]] = []
    for position, each in enumerate(read):
        at_position = here & (feed_block.c.position == position)
        if each.rows is not None:
            new.append(_to_row(organisation_id, feed, position, each.block, each.rows))
            if position < len(stored):
                connection.execute(feed_block.delete().where(at_position))
        elif each.block != stored[position]:
            connection.execute(feed_block.update().where(at_position).values(recheck_rows=each.block.recheck_rows))
    if new:
        connection.execute(feed_block.insert(), new)
    if len(read) < len(stored):
        connection.execute(feed_block.delete().where(here, feed_block.c.position >= len(read)))


def encode_watermark(value: WatermarkValue) -> list[str]:
    """Return the type and the text of a value, as they are stored."""
    match value:
        case datetime():
            return ["datetime", value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case bytes():
            return ["bytes", value.hex()]
        case _:
            return [type(value).__name__, str(value)]


def decode_watermark(stored: Sequence[str]) -> WatermarkValue:
    """Return the value that was stored."""
    kind, text = stored
    return _WATERMARK_DECODERS[kind](text)


def _to_row(organisation_id: int, feed: str, position: int, block: BlockDigest, rows: BlockRows) -> dict[str, Any]:
    return {
        "organisation_id": organisation_id,
        "feed": feed,
        "position": position,
        "rows": block.rows,
        "first_row_digest": block.first_row_digest,
        "digest": block.digest,
        "own_rows": block.own_rows,
        "recheck_rows": block.recheck_rows,
        "misids": rows.misids,
        "row_digests": "".join(rows.digests),
    }


def _matches_feed(organisation_id: int, feed: str) -> ColumnElement[bool]:
    return (feed_block.c.organisation_id == organisation_id) & (feed_block.c.feed == feed)
