"""The classrooms, placements and people that OneFile's ids have been looked up for, kept for a day."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from syncd.core.fields import Referent
from syncd.core.records import Code
from syncd.state.tables import reference

#: So long a class may be found under a code that has meanwhile moved to another one.
_LASTS: Final = timedelta(days=1)


def known(connection: Connection, organisation_id: int, now: datetime) -> dict[Code, int]:
    """The ids that were found within the last day, by code."""
    columns = reference.c
    rows = connection.execute(
        select(columns.referent, columns.by, columns.code, columns.onefile_id).where(
            columns.organisation_id == organisation_id, columns.found_at > now - _LASTS
        )
    )
    return {Code(Referent(referent), by, code): onefile_id for referent, by, code, onefile_id in rows}


def keep(connection: Connection, organisation_id: int, found: Mapping[Code, int], now: datetime) -> None:
    """Note what codes stand for."""
    for code, onefile_id in found.items():
        connection.execute(
            reference.delete().where(
                reference.c.organisation_id == organisation_id,
                reference.c.referent == code.referent,
                reference.c.by == code.by,
                reference.c.code == code.text,
            )
        )
        connection.execute(
            reference.insert().values(
                organisation_id=organisation_id,
                referent=code.referent,
                by=code.by,
                code=code.text,
                onefile_id=onefile_id,
                found_at=now,
            )
        )


def forget(connection: Connection, organisation_id: int) -> None:
    """Have every code looked up afresh."""
    connection.execute(reference.delete().where(reference.c.organisation_id == organisation_id))
