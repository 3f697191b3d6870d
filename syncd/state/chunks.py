"""What the feeds gave when all was in step, so that the next poll need not look at it again."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from syncd.core.chunks import Chunk, Kept
from syncd.state.tables import chunk, sweep


@dataclass(frozen=True, slots=True)
class Swept:
    """What polls may go by until the feeds are next read as a whole."""

    circumstances: str
    """A digest of all that the rows were compared by; empty where there is nothing to go by."""
    at: datetime
    """When the feeds were last read as a whole."""
    generation: int
    """Another one once something has happened that no run knew of."""
    feeds: Mapping[str, Sequence[Chunk]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Noted:
    """A chunk to be remembered, and the MISIDs in it."""

    chunk: Chunk
    misids: Sequence[str]


def remembered(connection: Connection, organisation_id: int, now: datetime) -> Swept:
    """What there is to go by."""
    found = connection.execute(select(sweep).where(sweep.c.organisation_id == organisation_id)).one_or_none()
    if found is None:
        nothing = {"circumstances": "", "swept_at": now, "generation": 0}
        connection.execute(sweep.insert().values(organisation_id=organisation_id, **nothing))
        return Swept("", now, 0)
    columns = chunk.c
    feeds: dict[str, list[Chunk]] = {}
    for feed, *content in connection.execute(
        select(columns.feed, columns.rows, columns.first, columns.digest, columns.ours, columns.is_at_rest)
        .where(columns.organisation_id == organisation_id, found.circumstances != "")
        .order_by(columns.feed, columns.position)
    ):
        feeds.setdefault(feed, []).append(Chunk(*content))
    return Swept(found.circumstances, found.swept_at, found.generation, feeds)


def misids(connection: Connection, organisation_id: int, feed: str, positions: Collection[int]) -> set[str]:
    """The MISIDs in some of a feed's chunks."""
    found = connection.scalars(
        select(chunk.c.misids).where(_is_of(organisation_id, feed), chunk.c.position.in_(positions))
    )
    return {misid for content in found for misid in json.loads(content)}


def suspend(connection: Connection, organisation_id: int) -> None:
    """Go by nothing until this run, or the next that reads everything, is over: it is about to change accounts."""
    connection.execute(sweep.update().where(sweep.c.organisation_id == organisation_id).values(circumstances=""))


def lift(connection: Connection, organisation_id: int) -> None:
    """Have everything read the next time: what is known of a record or an account was changed beside the runs."""
    anew = {"circumstances": "", "generation": sweep.c.generation + 1}
    connection.execute(sweep.update().where(sweep.c.organisation_id == organisation_id).values(anew))


def keep(
    connection: Connection,
    organisation_id: int,
    swept: Swept,
    feeds: Mapping[str, Sequence[Kept | Noted]],
    *,
    is_anew: bool,
) -> None:
    """Remember what a run has left in step, unless something has happened meanwhile that it did not know of.

    ``swept`` is what is to be gone by, with the chunks that the run itself went by; ``is_anew`` when it went by none.
    Only chunks that are others than before are written.
    """
    kept = connection.execute(
        sweep.update()
        .where(sweep.c.organisation_id == organisation_id, sweep.c.generation == swept.generation)
        .values(circumstances=swept.circumstances, swept_at=swept.at)
    )
    if not kept.rowcount:
        return
    if is_anew:
        connection.execute(chunk.delete().where(chunk.c.organisation_id == organisation_id))
    for feed, told in feeds.items():
        before = () if is_anew else swept.feeds.get(feed, ())
        if any(isinstance(each, Kept) and each.position != place for place, each in enumerate(told)):
            told, before = _all_of(connection, organisation_id, feed, told), ()  # noqa: PLW2901 - the same, in full
            connection.execute(chunk.delete().where(_is_of(organisation_id, feed)))
        others = [
            _row(organisation_id, feed, place, each)
            for place, each in enumerate(told)
            if isinstance(each, Noted) and (place >= len(before) or before[place] != each.chunk)
        ]
        for row in others if before else ():
            connection.execute(chunk.delete().where(_is_of(organisation_id, feed), chunk.c.position == row["position"]))
        if others:
            connection.execute(chunk.insert(), others)
        if len(before) > len(told):
            connection.execute(chunk.delete().where(_is_of(organisation_id, feed), chunk.c.position >= len(told)))


def _all_of(
    connection: Connection, organisation_id: int, feed: str, told: Sequence[Kept | Noted]
) -> list[Kept | Noted]:
    """The same with the MISIDs of those too that have moved."""
    rows = connection.execute(select(chunk.c.position, chunk.c.misids).where(_is_of(organisation_id, feed)))
    content = {position: json.loads(misids) for position, misids in rows}
    return [Noted(each.chunk, content[each.position]) if isinstance(each, Kept) else each for each in told]


def _row(organisation_id: int, feed: str, position: int, noted: Noted) -> dict[str, Any]:
    return {
        "organisation_id": organisation_id,
        "feed": feed,
        "position": position,
        "rows": noted.chunk.rows,
        "first": noted.chunk.first,
        "digest": noted.chunk.digest,
        "ours": noted.chunk.ours,
        "is_at_rest": noted.chunk.is_at_rest,
        "misids": json.dumps(noted.misids, ensure_ascii=False, separators=(",", ":")),
    }


def _is_of(organisation_id: int, feed: str) -> ColumnElement[bool]:
    return (chunk.c.organisation_id == organisation_id) & (chunk.c.feed == feed)
