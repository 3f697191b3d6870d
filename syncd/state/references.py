"""What OneFile had for the codes of the MIS when it was last searched for them."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, bindparam, select

from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Reason
from syncd.core.references import LookedUp
from syncd.state.db.tables import reference, run
from syncd.state.session import StateSession

_LOOKED_UP: Final = select(
    reference.c.referent,
    reference.c.by,
    reference.c.code,
    reference.c.onefile_id,
    reference.c.reason,
    reference.c.found_at,
    reference.c.is_doubted,
).where(reference.c.organisation_id == bindparam("here"))


def looked_up(session: StateSession) -> dict[Code, LookedUp]:
    """What was found for each code, however long ago."""
    rows = session.connection.execute(_LOOKED_UP, {"here": session.organisation_id})
    return {
        Code(Referent(referent), by, code): LookedUp(
            Reason(reason) if onefile_id is None else onefile_id, found_at, is_doubted
        )
        for referent, by, code, onefile_id, reason, found_at, is_doubted in rows
    }


def save(session: StateSession, found: Mapping[Code, LookedUp]) -> None:
    """Store what was found for codes, in the place of what was found before."""
    forget(session, found)
    for code, each in found.items():
        answer = {"onefile_id": each.meaning} if isinstance(each.meaning, int) else {"reason": each.meaning}
        session.connection.execute(
            reference.insert().values(
                organisation_id=session.organisation_id,
                referent=code.referent,
                by=code.by,
                code=code.text,
                found_at=each.found_at,
                is_doubted=each.is_doubted,
                **answer,
            )
        )


def forget(session: StateSession, codes: Iterable[Code]) -> None:
    """Delete what was found for codes."""
    for code in codes:
        session.connection.execute(reference.delete().where(_matches_code(session.organisation_id, code)))


def is_referred_to(session: StateSession, role: Role, onefile_id: int) -> bool:
    """Whether records refer by a code to the account or place with this id, so that it was there before."""
    referents = [each for each in Referent if not set(each.roles).isdisjoint(role.sharing_ids)]
    found = select(reference.c.id).where(
        reference.c.organisation_id == session.organisation_id,
        reference.c.referent.in_(referents),
        reference.c.onefile_id == onefile_id,
    )
    return session.connection.scalar(found.limit(1)) is not None


def doubt(session: StateSession, number: int, ids: Iterable[tuple[Referent, int]]) -> None:
    """Have the codes of these ids looked up again by the next run that uses them: a change with the id was refused.

    ``number`` is the run that has sent the change. What this run has looked up itself is not looked up again.
    """
    began_at = select(run.c.started_at).where(run.c.id == number).scalar_subquery()
    for referent, onefile_id in ids:
        session.connection.execute(
            reference.update()
            .where(
                reference.c.organisation_id == session.organisation_id,
                reference.c.referent == referent,
                reference.c.onefile_id == onefile_id,
                reference.c.found_at < began_at,
            )
            .values(is_doubted=True)
        )


def _matches_code(organisation_id: int, code: Code) -> ColumnElement[bool]:
    return (
        (reference.c.organisation_id == organisation_id)
        & (reference.c.referent == code.referent)
        & (reference.c.by == code.by)
        & (reference.c.code == code.text)
    )
