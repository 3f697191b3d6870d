"""What the feeds gave when all was in step, so that the next poll need not look at it again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, select

from syncd.core.digests import SHORT_DIGEST_LENGTH, BlockDigest
from syncd.core.watermark import WatermarkValue, read, told
from syncd.state.db.tables import chunk, sweep, watermark


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


_SWEEP: Final = select(sweep).where(sweep.c.organisation_id == bindparam("here"))
_CHUNKS: Final = (
    select(chunk.c.feed, chunk.c.rows, chunk.c.first, chunk.c.digest, chunk.c.ours, chunk.c.restless)
    .where(chunk.c.organisation_id == bindparam("here"))
    .order_by(chunk.c.feed, chunk.c.position)
)
_WATERMARKS: Final = select(watermark).where(watermark.c.organisation_id == bindparam("here"))


def begin(connection: Connection, organisation_id: int, now: datetime) -> None:
    """Have `lift` heard of while the feeds are first read."""
    if connection.execute(_SWEEP, {"here": organisation_id}).one_or_none() is None:
        nothing = {"circumstances": "", "swept_at": now, "generation": 0}
        connection.execute(sweep.insert().values(organisation_id=organisation_id, **nothing))


def remembered(connection: Connection, organisation_id: int, now: datetime) -> FeedSnapshot:
    """What there is to go by."""
    here = {"here": organisation_id}
    found = connection.execute(_SWEEP, here).one_or_none()
    if found is None:
        return FeedSnapshot("", now, now, 0)
    feeds: dict[str, list[BlockDigest]] = {}
    for row in connection.execute(_CHUNKS, here) if found.circumstances else ():
        known = BlockDigest(row.rows, row.first, row.digest, row.ours, tuple(row.restless))
        feeds.setdefault(row.feed, []).append(known)
    marks = {
        row.feed: Watermark(row.column, read(row.mark), row.risen_at, row.key, row.keys, row.elsewhere)
        for row in connection.execute(_WATERMARKS, here)
    }
    return FeedSnapshot(found.circumstances, found.swept_at, now, found.generation, feeds, marks)


def rows_of_blocks(
    connection: Connection, organisation_id: int, feed: str, positions: Collection[int]
) -> dict[int, BlockRows]:
    """The rows of some of a feed's chunks, by position."""
    rows = connection.execute(
        select(chunk.c.position, chunk.c.misids, chunk.c.row_digests).where(
            _matches_feed(organisation_id, feed), chunk.c.position.in_(positions)
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
    connection.execute(sweep.update().where(sweep.c.organisation_id == organisation_id).values(circumstances=""))


def invalidate(connection: Connection, organisation_id: int) -> None:
    """Have everything read the next time: what is known of a record or an account was changed beside the runs."""
    anew = {"circumstances": "", "generation": sweep.c.generation + 1}
    connection.execute(sweep.update().where(sweep.c.organisation_id == organisation_id).values(anew))


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
        sweep.update()
        .where(sweep.c.organisation_id == organisation_id, sweep.c.generation == snapshot.generation)
        .values(circumstances=snapshot.comparison_version, swept_at=snapshot.read_at)
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
                mark=told(marked.value),
                risen_at=marked.first_seen_at,
                key=marked.misid_column,
                keys=marked.recheck_misids,
                elsewhere=marked.other_organisation_rows,
            )
        )
    if is_anew:
        connection.execute(chunk.delete().where(chunk.c.organisation_id == organisation_id))
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
        connection.execute(chunk.delete().where(here))
        before = ()
    new: list[dict[str, Any]] = []
    for place, each in enumerate(noted):
        at_place = here & (chunk.c.position == place)
        if each.inside is not None:
            new.append(_to_row(organisation_id, feed, place, each.chunk, each.inside))
            if place < len(before):
                connection.execute(chunk.delete().where(at_place))
        elif each.chunk != before[place]:
            connection.execute(chunk.update().where(at_place).values(restless=each.chunk.recheck_rows))
    if new:
        connection.execute(chunk.insert(), new)
    if len(noted) < len(before):
        connection.execute(chunk.delete().where(here, chunk.c.position >= len(noted)))


def _to_row(organisation_id: int, feed: str, position: int, told: BlockDigest, rows: BlockRows) -> dict[str, Any]:
    return {
        "organisation_id": organisation_id,
        "feed": feed,
        "position": position,
        "rows": told.rows,
        "first": told.first_row_digest,
        "digest": told.digest,
        "ours": told.own_rows,
        "restless": told.recheck_rows,
        "misids": rows.misids,
        "row_digests": "".join(rows.digests),
    }


def _matches_feed(organisation_id: int, feed: str) -> ColumnElement[bool]:
    return (chunk.c.organisation_id == organisation_id) & (chunk.c.feed == feed)
