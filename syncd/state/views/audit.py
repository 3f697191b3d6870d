"""The audit trail of a period: every change, read page by page, because it may be long and its reader slow."""

from collections.abc import Collection, Iterator
from datetime import datetime
from heapq import merge
from typing import Final

from sqlalchemy import or_, select

from syncd.state.changes import ENTRY_COLUMNS, ChangeEntry, of_accounts, to_entry
from syncd.state.db.store import Store
from syncd.state.db.tables import change

PAGE_ROWS: Final = 1000


def between(
    store: Store, organisation_ids: Collection[int], since: datetime, until: datetime, misid: str | None = None
) -> Iterator[ChangeEntry]:
    """The changes from ``since`` to before ``until``, the oldest first, of every record or of one MISID's accounts.

    No transaction lasts longer than the reading of a page. Raises `StateUnusable`.
    """
    trails = (_of_organisation(store, each, since, until, misid) for each in organisation_ids)
    return merge(*trails, key=lambda entry: (entry.at, entry.id))


def _of_organisation(
    store: Store, organisation_id: int, since: datetime, until: datetime, misid: str | None
) -> Iterator[ChangeEntry]:
    of_one = []
    if misid is not None:
        with store.reading() as connection:
            of_one = [of_accounts(connection, organisation_id, misid)]
    at, number = since, 0
    while True:
        with store.reading() as connection:
            page = connection.execute(
                select(*ENTRY_COLUMNS)
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
        yield from (to_entry(row, store.cipher) for row in page)
        if len(page) < PAGE_ROWS:
            return
        at, number = page[-1].at, page[-1].id
