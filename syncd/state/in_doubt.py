"""Doubt: what the store knows of an account is not to be trusted once a change of it has got no answer.

Without it a change that was done unseen, and then taken back in the MIS, would look as if nothing had changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Row, select

from syncd.core.accounts import Status
from syncd.core.fields import GRANT, Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import account, change
from syncd.state.session import StateSession


def mark_in_doubt(session: StateSession, key: Key, action: Action, fields: Collection[str]) -> None:
    """Note that this may or may not have been done to an account, so that a later run makes sure of it.

    Its fields are sent again, whatever the MIS says by then. Whoever may be archived is brought back if they return,
    and archived again if they do not.
    """
    is_it = (
        (account.c.organisation_id == key.organisation_id)
        & (account.c.role == key.role)
        & (account.c.misid == key.misid)
    )
    row = session.connection.execute(select(account).where(is_it)).one_or_none()
    if row is None:
        return
    content: Mapping[str, object]
    match action:
        case Action.UPDATE | Action.LINK:
            content = _unsure_of(fields, row, session.cipher)
        case Action.ASSIGN if GRANT in fields:
            content = _unsure_of([GRANT], row, session.cipher)
        case Action.ARCHIVE | Action.UNARCHIVE:
            content = {"status": Status.UNSURE, "left_at": row.left_at or session.now}
        case _:
            return
    session.connection.execute(account.update().where(account.c.id == row.id).values(content))


def _unsure_of(fields: Iterable[str], row: Row[Any], cipher: ValueCipher) -> dict[str, object]:
    return {"values": cipher.encrypt(cipher.decrypt(row.values) | dict.fromkeys(fields)), "needs_recheck": True}


def mark_pending_in_doubt(session: StateSession) -> None:
    """The same for every change whose process was killed while it waited for the answer."""
    rows = session.connection.execute(
        select(change).where(change.c.organisation_id == session.organisation_id, change.c.outcome == Outcome.PENDING)
    )
    for row in rows.all():
        key = Key(row.organisation_id, Role(row.role), row.misid)
        mark_in_doubt(session, key, Action(row.action), row.fields)
