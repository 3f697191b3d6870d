"""What the feeds gave when all was in step, so that the next poll need not look at it again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, select

from syncd.core.digests import SHORT_DIGEST_LENGTH, BlockDigest
from syncd.core.watermark import WatermarkValue, read, told
from syncd.state.db.tables import feed_block, feed_snapshot, watermark


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """What polls may go by until the feeds are next read as a whole."""

    comparison_version: str
    """A digest of all that the rows were compared by; empty where there is nothing to go by."""
    read_at: datetime
    """When the feeds were last read as a whole."""
    surveyed_at: datetime
    """When it was asked what there is to go by."""
    generation: int
    """Another one once something has happened that no run knew of."""
    feeds: Mapping[str, Sequence[BlockDigest]] = field(default_factory=dict)
    watermarks: Mapping[str, "Watermark"] = field(default_factory=dict)
    """Of the feeds with a watermark."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """From where to ask a feed for what has changed, and for whom whatever has."""

    column: str
    value: WatermarkValue
    first_seen_at: datetime
    """When it was first seen to be as high as that."""
    misid_column: str
    recheck_misids: Sequence[str | int] = ()
    other_organisation_rows: int = 0
    """How many of its rows were other organisations'."""


@dataclass(frozen=True, slots=True)
class BlockRows:
    """The rows of a chunk."""

    misids: Sequence[str | None]
    """Whose they are; ``None`` for another organisation's."""
    digests: Sequence[str]
    """The short digests of them."""


@dataclass(frozen=True, slots=True)
class BlockWrite:
    """A chunk to be remembered."""

    chunk: BlockDigest
    inside: "BlockRows | None"
    """``None`` where it is remembered already."""
    position: int
    """Where that is."""


_SWEEP: Final = select(feed_snapshot).where(feed_snapshot.c.organisation_id == bindparam("here"))
_CHUNKS: Final = (
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
    """Have `lift` heard of while the feeds are first read."""
    if connection.execute(_SWEEP, {"here": organisation_id}).one_or_none() is None:
        nothing = {"comparison_version": "", "read_at": now, "generation": 0}
        connection.execute(feed_snapshot.insert().values(organisation_id=organisation_id, **nothing))


def remembered(connection: Connection, organisation_id: int, now: datetime) -> FeedSnapshot:
    """What there is to go by."""
    here = {"here": organisation_id}
    found = connection.execute(_SWEEP, here).one_or_none()
    if found is None:
        return FeedSnapshot("", now, now, 0)
    feeds: dict[str, list[BlockDigest]] = {}
    for row in connection.execute(_CHUNKS, here) if found.comparison_version else ():
        known = BlockDigest(row.rows, row.first_row_digest, row.digest, row.own_rows, tuple(row.recheck_rows))
        feeds.setdefault(row.feed, []).append(known)
    marks = {
        row.feed: Watermark(
            row.column,
            read(row.value),
            row.first_seen_at,
            row.misid_column,
            row.recheck_misids,
            row.other_organisation_rows,
        )
        for row in connection.execute(_WATERMARKS, here)
    }
    return FeedSnapshot(found.comparison_version, found.read_at, now, found.generation, feeds, marks)


def rows_of_blocks(
    connection: Connection, organisation_id: int, feed: str, positions: Collection[int]
) -> dict[int, BlockRows]:
    """The rows of some of a feed's chunks, by position."""
    rows = connection.execute(
        select(feed_block.c.position, feed_block.c.misids, feed_block.c.row_digests).where(
            _matches_feed(organisation_id, feed), feed_block.c.position.in_(positions)
        )
    )
    return {
        position: BlockRows(
            misids, [told[start : start + SHORT_DIGEST_LENGTH] for start in range(0, len(told), SHORT_DIGEST_LENGTH)]
        )
        for position, misids, told in rows
    }


def pause(connection: Connection, organisation_id: int) -> None:
    """Go by nothing until this run, or the next that reads everything, is over: it is about to change accounts."""
    connection.execute(
        feed_snapshot.update().where(feed_snapshot.c.organisation_id == organisation_id).values(comparison_version="")
    )


def invalidate(connection: Connection, organisation_id: int) -> None:
    """Have everything read the next time: what is known of a record or an account was changed beside the runs."""
    anew = {"comparison_version": "", "generation": feed_snapshot.c.generation + 1}
    connection.execute(feed_snapshot.update().where(feed_snapshot.c.organisation_id == organisation_id).values(anew))


def save(
    connection: Connection,
    organisation_id: int,
    snapshot: FeedSnapshot,
    feeds: Mapping[str, Sequence[BlockWrite]],
    marks: Mapping[str, Watermark],
    *,
    is_anew: bool,
) -> None:
    """Remember what a run has left in step, unless something has happened meanwhile that it did not know of.

    ``swept`` is what is to be gone by, with the chunks that the run itself went by; ``is_anew`` when it went by none.
    Only chunks that are others than before are written.
    """
    kept = connection.execute(
        feed_snapshot.update()
        .where(feed_snapshot.c.organisation_id == organisation_id, feed_snapshot.c.generation == snapshot.generation)
        .values(comparison_version=snapshot.comparison_version, read_at=snapshot.read_at)
    )
    if not kept.rowcount:
        return
    connection.execute(watermark.delete().where(watermark.c.organisation_id == organisation_id))
    for feed, marked in marks.items():
        connection.execute(
            watermark.insert().values(
                organisation_id=organisation_id,
                feed=feed,
                column=marked.column,
                value=told(marked.value),
                first_seen_at=marked.first_seen_at,
                misid_column=marked.misid_column,
                recheck_misids=marked.recheck_misids,
                other_organisation_rows=marked.other_organisation_rows,
            )
        )
    if is_anew:
        connection.execute(feed_block.delete().where(feed_block.c.organisation_id == organisation_id))
    for feed, noted in feeds.items():
        _save_feed(connection, organisation_id, feed, () if is_anew else snapshot.feeds.get(feed, ()), noted)


def _save_feed(
    connection: Connection, organisation_id: int, feed: str, before: Sequence[BlockDigest], noted: Sequence[BlockWrite]
) -> None:
    here = _matches_feed(organisation_id, feed)
    if any(each.inside is None and each.position != place for place, each in enumerate(noted)):
        # Where one moves, so do those behind it, most often.
        known = rows_of_blocks(connection, organisation_id, feed, range(len(before)))
        noted = [replace(each, inside=each.inside or known[each.position]) for each in noted]
        connection.execute(feed_block.delete().where(here))
        before = ()
    new: list[dict[str, Any]] = []
    for place, each in enumerate(noted):
        at_place = here & (feed_block.c.position == place)
        if each.inside is not None:
            new.append(_to_row(organisation_id, feed, place, each.chunk, each.inside))
            if place < len(before):
                connection.execute(feed_block.delete().where(at_place))
        elif each.chunk != before[place]:
            connection.execute(feed_block.update().where(at_place).values(recheck_rows=each.chunk.recheck_rows))
    if new:
        connection.execute(feed_block.insert(), new)
    if len(noted) < len(before):
        connection.execute(feed_block.delete().where(here, feed_block.c.position >= len(noted)))


def _to_row(organisation_id: int, feed: str, position: int, told: BlockDigest, rows: BlockRows) -> dict[str, Any]:
    return {
        "organisation_id": organisation_id,
        "feed": feed,
        "position": position,
        "rows": told.rows,
        "first_row_digest": told.first_row_digest,
        "digest": told.digest,
        "own_rows": told.own_rows,
        "recheck_rows": told.recheck_rows,
        "misids": rows.misids,
        "row_digests": "".join(rows.digests),
    }


def _matches_feed(organisation_id: int, feed: str) -> ColumnElement[bool]:
    return (feed_block.c.organisation_id == organisation_id) & (feed_block.c.feed == feed)
