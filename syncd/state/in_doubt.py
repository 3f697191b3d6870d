"""Doubt: what the store knows of an account is not to be trusted once a change of it has got no answer.

Without it a change that was done unseen, and then taken back in the MIS, would look as if nothing had changed.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from syncd.core.accounts import Status
from syncd.core.fields import GRANT, Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import account, change


def mark_in_doubt(
    connection: Connection, cipher: ValueCipher, key: Key, action: Action, fields: Collection[str], now: datetime
) -> None:
    """Note that this may or may not have been done to an account, so that a later run makes sure of it.

    Its fields are sent again, whatever the MIS says by then. Whoever may be archived is brought back if they return,
    and archived again if they do not.
    """
    is_it = (
        (account.c.organisation_id == key.organisation_id)
        & (account.c.role == key.role)
        & (account.c.misid == key.misid)
    )
    row = connection.execute(select(account).where(is_it)).one_or_none()
    if row is None:
        return
    content: Mapping[str, object]
    match action:
        case Action.UPDATE | Action.LINK:
            content = _unsure_of(fields, row, cipher)
        case Action.ASSIGN if GRANT in fields:
            content = _unsure_of([GRANT], row, cipher)
        case Action.ARCHIVE | Action.UNARCHIVE:
            content = {"status": Status.UNSURE, "left_at": row.left_at or now}
        case _:
            return
    connection.execute(account.update().where(account.c.id == row.id).values(content))


def _unsure_of(fields: Iterable[str], row: Row[Any], cipher: ValueCipher) -> dict[str, object]:
    return {"values": cipher.encrypt(cipher.decrypt(row.values) | dict.fromkeys(fields)), "needs_recheck": True}


def mark_pending_in_doubt(connection: Connection, cipher: ValueCipher, organisation_id: int, now: datetime) -> None:
    """The same for every change whose process was killed while it waited for the answer."""
    rows = connection.execute(
        select(change).where(change.c.organisation_id == organisation_id, change.c.outcome == Outcome.PENDING)
    )
    for row in rows.all():
        key = Key(row.organisation_id, Role(row.role), row.misid)
        mark_in_doubt(connection, cipher, key, Action(row.action), row.fields, now)
