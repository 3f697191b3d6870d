"""What codes of the MIS stand for in OneFile, as it was looked up: kept for a day, and for an hour if for nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, case, select

from syncd.core.fields import Referent
from syncd.core.records import Code
from syncd.state.db.tables import reference

#: So long a class may be found under a code that has meanwhile moved to another one.
_LASTS: Final = timedelta(days=1)
#: So long a class that has only just been made in OneFile may go unnoticed by the daemon.
_NOTHING_LASTS: Final = timedelta(hours=1)

_LOOKED_UP: Final = select(reference.c.referent, reference.c.by, reference.c.code, reference.c.onefile_id).where(
    reference.c.organisation_id == bindparam("here"), reference.c.onefile_id.is_not(None)
)


def known(connection: Connection, organisation_id: int, now: datetime) -> dict[Code, int | None]:
    """The ids that were found lately, by code; ``None`` for a code that OneFile had nothing by."""
    columns = reference.c
    rows = connection.execute(
        select(columns.referent, columns.by, columns.code, columns.onefile_id).where(
            columns.organisation_id == organisation_id,
            columns.found_at > case((columns.onefile_id.is_(None), now - _NOTHING_LASTS), else_=now - _LASTS),
        )
    )
    return {Code(Referent(referent), by, code): onefile_id for referent, by, code, onefile_id in rows}


def looked_up(connection: Connection, organisation_id: int) -> dict[Code, int]:
    """The ids that were found, however long ago: what records were last compared by."""
    rows = connection.execute(_LOOKED_UP, {"here": organisation_id})
    return {Code(Referent(referent), by, code): onefile_id for referent, by, code, onefile_id in rows}


def save(connection: Connection, organisation_id: int, found: Mapping[Code, int | None], now: datetime) -> None:
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
