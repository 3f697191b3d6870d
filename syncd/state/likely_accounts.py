"""The accounts in OneFile that may be those of new records, as the last run has found them.

By name among the accounts that syncd does not know, or by evidence among those it knows.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.scope import EVERYONE, Scope
from syncd.state.db.tables import likely_account
from syncd.state.session import StateSession

#: The longest time for which the daemon does not notice that such an account was given the record's MISID in OneFile.
_LASTS: Final = timedelta(hours=1)


class LikelyAccounts(NamedTuple):
    """The accounts, or places, that may be those of one record."""

    ids: tuple[int, ...]
    fingerprint: str
    """Of the record; another one must be compared anew."""
    found_at: datetime

    def is_recent(self, now: datetime) -> bool:
        """Whether OneFile need not be searched again."""
        return self.found_at > now - _LASTS


def stored(session: StateSession) -> dict[Key, LikelyAccounts]:
    """What the last run has found, by key."""
    columns = likely_account.c
    rows = session.connection.execute(
        select(columns.role, columns.misid, columns.onefile_id, columns.fingerprint, columns.found_at)
        .where(columns.organisation_id == session.organisation_id)
        .order_by(columns.onefile_id)
    )
    found: dict[Key, LikelyAccounts] = {}
    for role, misid, onefile_id, fingerprint, found_at in rows:
        key = Key(session.organisation_id, Role(role), misid)
        before = found[key].ids if key in found else ()
        found[key] = LikelyAccounts((*before, onefile_id), fingerprint, found_at)
    return found


def replace(session: StateSession, found: Mapping[Key, LikelyAccounts], scope: Scope = EVERYONE) -> None:
    """Replace what is stored by what a run has found; ``scope`` is what the run was limited to."""
    rows = {
        (key.role.value, key.misid, onefile_id, each.fingerprint, each.found_at)
        for key, each in found.items()
        for onefile_id in each.ids
    }
    columns = likely_account.c
    named = (columns.role, columns.misid, columns.onefile_id, columns.fingerprint, columns.found_at)
    here = columns.organisation_id == session.organisation_id
    stored = {tuple(row) for row in session.connection.execute(select(*named).where(here)) if row.misid in scope}
    for row in stored - rows:
        is_it = (column == value for column, value in zip(named[:3], row[:3], strict=True))
        session.connection.execute(likely_account.delete().where(here, *is_it))
    if new := rows - stored:
        names = [column.name for column in named]
        content = [dict(zip(names, row, strict=True)) | {"organisation_id": session.organisation_id} for row in new]
        session.connection.execute(likely_account.insert(), content)
