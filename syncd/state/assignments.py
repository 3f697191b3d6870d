"""Which users were assigned to which learner, and which assignments OneFile has refused."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, select

from syncd.core.assignments import Pair, StoredAssignment
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.state.db.tables import assignment
from syncd.state.session import StateSession


def stored(session: StateSession) -> dict[Pair, StoredAssignment]:
    """Every assignment that has been sent, with its outcome."""
    columns = assignment.c
    rows = session.connection.execute(
        select(
            columns.learner_misid,
            columns.role,
            columns.user_misid,
            columns.learner_id,
            columns.user_id,
            columns.refusal,
        ).where(columns.organisation_id == session.organisation_id)
    )
    return {
        Pair(
            Key(session.organisation_id, Role.LEARNER, learner), Key(session.organisation_id, Role(role), user)
        ): StoredAssignment(learner_id, user_id, session.cipher.decrypt_text(refusal))
        for learner, role, user, learner_id, user_id, refusal in rows
    }


def save(session: StateSession, pair: Pair, sent: StoredAssignment) -> None:
    """Store the outcome of an assignment."""
    session.connection.execute(assignment.delete().where(_matches_pair(pair)))
    session.connection.execute(
        assignment.insert().values(
            organisation_id=pair.learner.organisation_id,
            learner_misid=pair.learner.misid,
            role=pair.user.role,
            user_misid=pair.user.misid,
            learner_id=sent.learner_id,
            user_id=sent.user_id,
            refusal=session.cipher.encrypt_text(sent.refusal),
            sent_at=session.now,
        )
    )


def is_made(session: StateSession, pair: Pair) -> bool:
    """Whether OneFile has accepted it."""
    made = select(assignment.c.id).where(_matches_pair(pair), assignment.c.refusal == "")
    return session.connection.scalar(made) is not None


def retry(session: StateSession, learner_misids: Collection[str]) -> None:
    """Let refused assignments be sent again, those of these learners or all of them."""
    named = [assignment.c.learner_misid.in_(learner_misids)] if learner_misids else []
    session.connection.execute(
        assignment.delete().where(
            assignment.c.organisation_id == session.organisation_id, assignment.c.refusal != "", *named
        )
    )


def _matches_pair(pair: Pair) -> ColumnElement[bool]:
    return (
        (assignment.c.organisation_id == pair.learner.organisation_id)
        & (assignment.c.learner_misid == pair.learner.misid)
        & (assignment.c.role == pair.user.role)
        & (assignment.c.user_misid == pair.user.misid)
    )
