"""The audit trail of a time: every change, a page after the other, so that it may be long and its reader slow."""

from collections.abc import Collection, Iterator
from datetime import datetime
from heapq import merge
from typing import Any, Final

from sqlalchemy import Row, or_, select

from syncd.state.db.store import Store
from syncd.state.db.tables import change

PAGE_ROWS: Final = 1000


def between(
    store: Store, organisation_ids: Collection[int], since: datetime, until: datetime, misid: str | None = None
) -> Iterator[Row[Any]]:
    """The changes from ``since`` to before ``until``, the oldest first, of everybody or of one MISID.

    No transaction lasts longer than a page. Raises `StateUnusable`.
    """
    trails = (_of_organisation(store, each, since, until, misid) for each in organisation_ids)
    return merge(*trails, key=lambda row: (row.at, row.id))


def _of_organisation(
    store: Store, organisation_id: int, since: datetime, until: datetime, misid: str | None
) -> Iterator[Row[Any]]:
    of_one = [] if misid is None else [change.c.misid == misid]
    at, number = since, 0
    while True:
        with store.reading() as connection:
            page = connection.execute(
                select(change)
                .where(
                    change.c.organisation_id == organisation_id,
                    change.c.at >= at,
                    change.c.at < until,
                    or_(change.c.at > at, change.c.id > number),
                    *of_one,
                )
                .order_by(change.c.at, change.c.id)
                .limit(PAGE_ROWS)
            ).all()
        yield from page
        if len(page) < PAGE_ROWS:
            return
        at, number = page[-1].at, page[-1].id
