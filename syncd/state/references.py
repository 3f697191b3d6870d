"""The OneFile ids that codes of the MIS resolve to: kept for a day, or for an hour if nothing was found."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, case, select

from syncd.core.fields import Referent
from syncd.core.records import Code
from syncd.state.db.tables import reference
from syncd.state.session import StateSession

#: The longest time for which a code that was moved to another class still resolves to the old one.
_LASTS: Final = timedelta(days=1)
#: The longest time for which the daemon does not notice a class just created in OneFile.
_NOTHING_LASTS: Final = timedelta(hours=1)

_LOOKED_UP: Final = select(reference.c.referent, reference.c.by, reference.c.code, reference.c.onefile_id).where(
    reference.c.organisation_id == bindparam("here"), reference.c.onefile_id.is_not(None)
)


def known(session: StateSession) -> dict[Code, int | None]:
    """The ids that were found recently, by code; ``None`` for a code that OneFile does not have."""
    now = session.now
    columns = reference.c
    rows = session.connection.execute(
        select(columns.referent, columns.by, columns.code, columns.onefile_id).where(
            columns.organisation_id == session.organisation_id,
            columns.found_at > case((columns.onefile_id.is_(None), now - _NOTHING_LASTS), else_=now - _LASTS),
        )
    )
    return {Code(Referent(referent), by, code): onefile_id for referent, by, code, onefile_id in rows}


def looked_up(session: StateSession) -> dict[Code, int]:
    """The ids that were found, of any age: records were last compared with these."""
    rows = session.connection.execute(_LOOKED_UP, {"here": session.organisation_id})
    return {Code(Referent(referent), by, code): onefile_id for referent, by, code, onefile_id in rows}


def save(session: StateSession, found: Mapping[Code, int | None]) -> None:
    """Store the ids of codes."""
    now = session.now
    for code, onefile_id in found.items():
        session.connection.execute(
            reference.delete().where(
                reference.c.organisation_id == session.organisation_id,
                reference.c.referent == code.referent,
                reference.c.by == code.by,
                reference.c.code == code.text,
            )
        )
        session.connection.execute(
            reference.insert().values(
                organisation_id=session.organisation_id,
                referent=code.referent,
                by=code.by,
                code=code.text,
                onefile_id=onefile_id,
                found_at=now,
            )
        )
