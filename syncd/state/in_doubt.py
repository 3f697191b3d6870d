"""In doubt: the stored state of an account is not trusted once a change of it has got no answer.

Otherwise a change that was made without an answer, and then undone in the MIS, would look as if nothing had changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Row, select

from syncd.core.accounts import Status
from syncd.core.fields import GRANT, Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.state import complete_readings
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import account, change
from syncd.state.session import StateSession


def mark_in_doubt(session: StateSession, key: Key, action: Action, fields: Collection[str]) -> None:
    """Store that this change of an account may or may not have been made, so that a later run settles it.

    Its fields are sent again even if the MIS has changed back by then. An account that may be archived is unarchived
    if its record returns, and archived again if not.
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
            left = {} if row.left_at else {"left_at": session.now, "left_on_day": complete_readings.days(session)}
            content = {"status": Status.UNSURE, **left}
        case _:
            return
    session.connection.execute(account.update().where(account.c.id == row.id).values(content))


def _unsure_of(fields: Iterable[str], row: Row[Any], cipher: ValueCipher) -> dict[str, object]:
    return {"values": cipher.encrypt(cipher.decrypt(row.values) | dict.fromkeys(fields)), "needs_recheck": True}


def mark_pending_in_doubt(session: StateSession) -> None:
    """Mark every change in doubt whose process was killed while it waited for the answer."""
    rows = session.connection.execute(
        select(change).where(change.c.organisation_id == session.organisation_id, change.c.outcome == Outcome.PENDING)
    )
    for row in rows.all():
        key = Key(row.organisation_id, Role(row.role), row.misid)
        mark_in_doubt(session, key, Action(row.action), row.fields)
