"""What operators have answered to questions about people: the same person, or a new one."""

from collections.abc import Iterable

from sqlalchemy import select

from syncd.core.fields import Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.records import Key, Reason
from syncd.state import link_proposals
from syncd.state.db.tables import identity_answer
from syncd.state.session import StateSession


def stored(session: StateSession) -> dict[Key, StoredAnswer]:
    """Every answer, by the key of the record that it is about."""
    columns = identity_answer.c
    rows = session.connection.execute(
        select(
            columns.role,
            columns.misid,
            columns.answer,
            columns.fingerprint,
            columns.other,
            columns.user_id,
            columns.reason,
        ).where(columns.organisation_id == session.organisation_id)
    )
    return {
        Key(session.organisation_id, Role(role), misid): StoredAnswer(
            Answer(answer), fingerprint, other, user_id, Reason(reason) if reason else None
        )
        for role, misid, answer, fingerprint, other, user_id, reason in rows
    }


def save(session: StateSession, key: Key, answer: StoredAnswer) -> None:
    """Store the answer about a record, in place of an earlier one.

    That it is a new person answers the proposals of first contact too.
    """
    forget(session, [key])
    if answer.answer is Answer.NEW:
        link_proposals.forget(session, key)
    session.connection.execute(
        identity_answer.insert().values(
            organisation_id=key.organisation_id,
            role=key.role,
            misid=key.misid,
            answer=answer.answer,
            reason=answer.reason or "",
            fingerprint=answer.fingerprint,
            other=answer.other,
            user_id=answer.user_id,
            decided_at=session.now,
        )
    )


def forget(session: StateSession, keys: Iterable[Key]) -> None:
    """Delete the answers about these records."""
    for key in keys:
        session.connection.execute(
            identity_answer.delete().where(
                identity_answer.c.organisation_id == key.organisation_id,
                identity_answer.c.role == key.role,
                identity_answer.c.misid == key.misid,
            )
        )
