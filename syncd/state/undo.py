"""What an undo needs of the run that it takes back, what it leaves alone, and the undo that is not over yet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, exists, func, or_, select

from syncd.core.decisions import Decision
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.core.text import join
from syncd.core.undo import NotUndone, Obstacle, SentChange
from syncd.errors import NothingToSettle
from syncd.state import approvals, plan_steps
from syncd.state.db.tables import approval, change, not_undone, plan_step, run
from syncd.state.session import StateSession

#: The changes that OneFile has made, or may have made.
_MAYBE_MADE: Final = (Outcome.APPLIED, Outcome.ACCEPTED, Outcome.IN_DOUBT, Outcome.PENDING)
#: The states of a run that was cut short.
_CUT_SHORT: Final = (RunState.RUNNING, RunState.INTERRUPTED, RunState.FAILED)


_LARGEST_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class UnfinishedUndo:
    """An undo of which permitted steps are not sent yet."""

    undone_run: int
    keys: frozenset[Key]
    """The accounts of those steps."""
    digests: frozenset[str]


def check(
    session: StateSession, organisations: Collection[int], number: int, misids: Collection[str] = frozenset()
) -> int:
    """Return the organisation of a run that can be undone; ``organisations`` are those of the configuration.

    ``misids`` are the records that the undo is limited to, if it is. Raises `NothingToSettle`.
    """
    found = select(run.c.organisation_id, run.c.state).where(run.c.id == number)
    row = session.connection.execute(found).one_or_none() if number <= _LARGEST_NUMBER else None
    if row is None:
        raise NothingToSettle(f"There is no run {number}; 'syncd runs' lists the newest. Nothing was changed.")
    organisation_id: int = row.organisation_id
    if organisation_id not in organisations:
        raise NothingToSettle(
            f"Run {number} is of organisation {organisation_id}, which the configuration does not name. Nothing was "
            "changed."
        )
    if row.state == RunState.RUNNING:
        raise NothingToSettle(
            f"Run {number} is not finished: undo it once it has ended. If it was killed, the next run ends it. Nothing "
            "was changed."
        )
    changed = {key.misid for key in changed_keys(session.for_organisation(organisation_id), number)}
    if not changed:
        raise NothingToSettle(
            f"Run {number} has sent nothing, or its changes are no longer stored. Nothing was changed."
        )
    if unknown := sorted(set(misids) - changed):
        raise NothingToSettle(f"Run {number} has sent nothing for {join(unknown)}. Nothing was changed.")
    return organisation_id


def changed_keys(session: StateSession, number: int) -> list[Key]:
    """The records of which a run has made changes, or may have."""
    rows = session.connection.execute(
        select(change.c.role, change.c.misid)
        .where(
            change.c.run_id == number,
            change.c.organisation_id == session.organisation_id,
            change.c.outcome.in_(_MAYBE_MADE),
        )
        .distinct()
        .order_by(change.c.role, change.c.misid)
    )
    return [Key(session.organisation_id, Role(row.role), row.misid) for row in rows]


def sent_changes(session: StateSession, number: int, keys: Collection[Key]) -> dict[Key, list[SentChange]]:
    """The changes of these records that a run has made, or may have, in the order in which they were sent."""
    rows = session.connection.execute(
        select(
            change.c.role,
            change.c.misid,
            change.c.action,
            change.c.user_id,
            change.c.detail,
            plan_step.c.kind,
            plan_step.c.detail.label("step"),
        )
        .outerjoin(plan_step, (plan_step.c.run_id == change.c.run_id) & (plan_step.c.position == change.c.step))
        .where(
            change.c.run_id == number,
            change.c.organisation_id == session.organisation_id,
            change.c.misid.in_({key.misid for key in keys}),
            change.c.outcome.in_(_MAYBE_MADE),
        )
        .order_by(change.c.id)
    )
    found: dict[Key, list[SentChange]] = {key: [] for key in keys}
    for row in rows:
        key = Key(session.organisation_id, Role(row.role), row.misid)
        if key in found:
            planned: Mapping[str, Any] = session.cipher.decrypt(row.step) if row.step else {"before": {}}
            found[key].append(
                SentChange(
                    key,
                    Action(row.action),
                    row.user_id,
                    session.cipher.decrypt(row.detail)["fields"],
                    plan_steps.to_step(row.kind, planned["step"]) if row.step else None,
                    planned["before"],
                )
            )
    return found


def has_created(session: StateSession, number: int) -> bool:
    """Whether a run has created accounts."""
    created = select(change.c.id).where(
        change.c.run_id == number, change.c.action == Action.CREATE, change.c.outcome.in_(_MAYBE_MADE)
    )
    return session.connection.scalar(created.limit(1)) is not None


def save_left(session: StateSession, number: int, left: Sequence[NotUndone]) -> None:
    """Store what a run leaves alone."""
    rows = [
        {
            "run_id": number,
            "position": position,
            "role": one.key.role,
            "misid": one.key.misid,
            "action": one.action,
            "fields": list(one.fields),
            "obstacle": one.obstacle,
        }
        for position, one in enumerate(left)
    ]
    for start in range(0, len(rows), plan_steps.BATCH):
        session.connection.execute(not_undone.insert(), rows[start : start + plan_steps.BATCH])


def left(session: StateSession, number: int, *, first: int = 0, most: int | None = None) -> list[NotUndone]:
    """What a run has left alone, from ``first``, counted from 0."""
    rows = session.connection.execute(
        select(not_undone, run.c.organisation_id)
        .join(run, run.c.id == not_undone.c.run_id)
        .where(not_undone.c.run_id == number)
        .order_by(not_undone.c.position)
        .offset(first)
        .limit(most)
    )
    return [
        NotUndone(
            Key(row.organisation_id, Role(row.role), row.misid),
            Action(row.action),
            tuple(row.fields),
            Obstacle(row.obstacle),
        )
        for row in rows
    ]


def count_left(session: StateSession, number: int) -> int:
    """How many entries `left` has."""
    return (
        session.connection.scalar(select(func.count()).select_from(not_undone).where(not_undone.c.run_id == number))
        or 0
    )


def undone_by(session: StateSession, number: int) -> list[int]:
    """The runs that have taken changes of a run back, the oldest first."""
    theirs = select(run.c.id).where(
        run.c.organisation_id == session.organisation_id,
        run.c.undone_run_id == number,
        exists().where(change.c.run_id == run.c.id, change.c.outcome == Outcome.APPLIED),
    )
    return list(session.connection.scalars(theirs.order_by(run.c.id)))


_UNDOES: Final = (run.c.organisation_id == bindparam("here")) & (run.c.trigger == Trigger.UNDO)
#: Every poll asks this, and nearly always it is false.
_MAY_CONTINUE: Final = select(
    or_(
        exists().where(_UNDOES, run.c.started_at > bindparam("since"), run.c.state.in_(_CUT_SHORT)),
        exists().where(_UNDOES, run.c.id == approval.c.run_id, approval.c.expires_at > bindparam("now")),
    )
)


def unfinished(session: StateSession) -> UnfinishedUndo | None:
    """The undo that the next run must continue: it was approved, or cut short in the last 24 hours."""
    now = session.now
    wanted = {"here": session.organisation_id, "since": now - approvals.VALID_FOR, "now": now}
    if not session.connection.scalar(_MAY_CONTINUE, wanted):
        return None
    columns = plan_step.c
    permitted: list[ColumnElement[bool]] = []
    undone = None
    newest = session.connection.execute(
        select(run.c.state, run.c.undone_run_id, run.c.plan_run_id)
        .where(
            run.c.organisation_id == session.organisation_id,
            run.c.trigger == Trigger.UNDO,
            run.c.started_at > now - approvals.VALID_FOR,
        )
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest.state in _CUT_SHORT and newest.plan_run_id is not None:
        undone = newest.undone_run_id
        permitted.append((columns.run_id == newest.plan_run_id) & (columns.decision == Decision.ALLOWED))
    if in_force := approvals.in_force(session, {Trigger.UNDO}):
        undone = session.connection.scalar(select(run.c.undone_run_id).where(run.c.id == in_force[-1].run))
        permitted.append(columns.approval_id.in_([each.number for each in in_force]))
    if undone is None:
        return None
    is_sent = exists().where(
        change.c.run_id == columns.run_id, change.c.step == columns.position, change.c.outcome == Outcome.APPLIED
    )
    rows = session.connection.execute(
        select(columns.role, columns.misid, columns.digest).where(or_(*permitted), ~is_sent)
    ).all()
    if not rows:
        return None
    return UnfinishedUndo(
        undone,
        frozenset(Key(session.organisation_id, Role(row.role), row.misid) for row in rows),
        frozenset(row.digest for row in rows),
    )
