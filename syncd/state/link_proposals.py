"""The accounts that first contact has proposed: their records are held until an operator has answered."""

from collections.abc import Collection, Iterable

from sqlalchemy import select

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.state.db.tables import link_proposal
from syncd.state.session import StateSession


def pending(session: StateSession) -> dict[Key, tuple[int, ...]]:
    """The ids of the accounts or places that are proposed and not answered, by the key of the record."""
    columns = link_proposal.c
    rows = session.connection.execute(
        select(columns.role, columns.misid, columns.user_id)
        .where(columns.organisation_id == session.organisation_id)
        .order_by(columns.user_id)
    )
    found: dict[Key, tuple[int, ...]] = {}
    for role, misid, user_id in rows:
        key = Key(session.organisation_id, Role(role), misid)
        found[key] = (*found.get(key, ()), user_id)
    return found


def replace(session: StateSession, proposals: Iterable[tuple[Key, int]]) -> None:
    """Store the proposals of a new comparison in place of those of earlier ones."""
    session.connection.execute(link_proposal.delete().where(link_proposal.c.organisation_id == session.organisation_id))
    rows = [
        {
            "organisation_id": key.organisation_id,
            "role": key.role,
            "misid": key.misid,
            "user_id": user_id,
            "proposed_at": session.now,
        }
        for key, user_id in proposals
    ]
    if rows:
        session.connection.execute(link_proposal.insert(), rows)


def forget(session: StateSession, key: Key, user_ids: Collection[int] | None = None) -> None:
    """Delete the proposals of a record because they are answered: those of these accounts, or all of them."""
    columns = link_proposal.c
    of_record = [
        columns.organisation_id == key.organisation_id,
        columns.role == key.role,
        columns.misid == key.misid,
    ]
    if user_ids is not None:
        of_record.append(columns.user_id.in_(user_ids))
    session.connection.execute(link_proposal.delete().where(*of_record))
