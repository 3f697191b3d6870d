"""Tallies: what has been purged is still counted, for a counter that becomes less looks like one that began anew."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, select

from syncd.state.tables import tally


def add(connection: Connection, organisation_id: int, counter: str, counts: Mapping[str, int]) -> None:
    """Add to a counter, by label."""
    for label, count in counts.items():
        is_it = (tally.c.organisation_id == organisation_id) & (tally.c.counter == counter) & (tally.c.label == label)
        added = connection.execute(tally.update().where(is_it).values(count=tally.c.count + count))
        if not added.rowcount:
            connection.execute(
                tally.insert().values(organisation_id=organisation_id, counter=counter, label=label, count=count)
            )


def counted(connection: Connection, organisation_id: int, counter: str) -> Counter[str]:
    """What a counter has been given so far, by label."""
    rows = connection.execute(
        select(tally.c.label, tally.c.count).where(
            tally.c.organisation_id == organisation_id, tally.c.counter == counter
        )
    )
    return Counter({row[0]: row[1] for row in rows})
