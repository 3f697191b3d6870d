"""Approvals: what an operator permits although the guard stopped it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.run import RunState
from syncd.errors import NothingToSettle
from syncd.state import changes, runs
from syncd.state.db.tables import approval, run
from syncd.state.runs import RunSummary

VALID_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval in force, and what it still permits."""

    number: int
    left: Counts


@dataclass(frozen=True, slots=True)
class ApprovalEntry:
    """An approval as it was given."""

    counts: Counts
    approved_at: datetime
    approved_by: str
    expires_at: datetime


_IS_OF: Final = (run.c.organisation_id == bindparam("here")) & run.c.trigger.in_(bindparam("triggers", expanding=True))
_WAITING_OF: Final = run.update().where(_IS_OF, run.c.state == RunState.AWAITING_APPROVAL)
# Few approvals are in force and there are many runs: look up the run of each approval, never the other way round.
_IN_FORCE_OF: Final = approval.update().where(
    approval.c.expires_at > bindparam("now"),
    select(_IS_OF).where(run.c.id == approval.c.run_id).correlate(approval).scalar_subquery(),
)


def approve(connection: Connection, organisation_id: int, number: int | None, who: str, now: datetime) -> RunSummary:
    """Approve a stopped run: the next run may do as much as it planned, and no more. Returns the stopped run.

    ``number`` is ``None`` for the run that waits. Raises `NothingToSettle`.
    """
    stopped = _decide(connection, organisation_id, number, RunState.APPROVED, who)
    _insert(connection, stopped.id, stopped.counts, who, now)
    return stopped


def reject(connection: Connection, organisation_id: int, number: int | None, who: str) -> RunSummary:
    """Reject a stopped run, and return it. Raises `NothingToSettle`."""
    return _decide(connection, organisation_id, number, RunState.REJECTED, who)


def approve_beforehand(connection: Connection, number: int, plan: Plan, who: str, now: datetime) -> Approval:
    """Approve a run's own plan, as `sync --approve` does."""
    counts = Counts.from_plan(plan)
    connection.execute(run.update().where(run.c.id == number).values(settled_by=who))
    return Approval(_insert(connection, number, counts, who, now), counts)


def organisation_of(connection: Connection, organisations: Sequence[int], number: int | None) -> int:
    """The organisation whose stopped run this is, or the only one with a stopped run; the first if there is none.

    Raises `NothingToSettle` if no run is named and several wait.
    """
    waiting = {each: stopped.id for each in organisations if (stopped := runs.waiting(connection, each))}
    if number is None and len(waiting) > 1:
        raise NothingToSettle(f"Several runs wait, so say which: {', '.join(map(str, waiting.values()))}.")
    return next((each for each, run_id in waiting.items() if number in {None, run_id}), organisations[0])


def in_force(connection: Connection, organisation_id: int, triggers: Collection[str], now: datetime) -> Approval | None:
    """The newest approval of a run with one of these triggers that has not expired, and what it still permits."""
    under_it = run.alias()
    row = connection.execute(
        select(approval)
        .join(run, run.c.id == approval.c.run_id)
        .where(
            run.c.organisation_id == organisation_id,
            run.c.trigger.in_(triggers),
            approval.c.expires_at > now,
            # An approval is used up once a run under it has finished.
            ~exists().where(under_it.c.approval_id == approval.c.id, under_it.c.state == RunState.FINISHED),
        )
        .order_by(approval.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    granted = Counts(row.creates, row.updates, row.leavers)
    return Approval(row.id, granted.less(changes.used_of(connection, row.id)))


def of_run(connection: Connection, number: int) -> ApprovalEntry | None:
    """The approval of a run, if it has one."""
    row = connection.execute(
        select(approval).where(approval.c.run_id == number).order_by(approval.c.id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    counts = Counts(row.creates, row.updates, row.leavers)
    return ApprovalEntry(counts, row.approved_at, row.approved_by, row.expires_at)


def expire_outdated(connection: Connection, organisation_id: int, triggers: Collection[str], now: datetime) -> None:
    """A newer plan for every record may be sent: supersede the run that waits, and expire approvals in force."""
    same = {"here": organisation_id, "triggers": list(triggers)}
    connection.execute(_WAITING_OF, {**same, "state": RunState.SUPERSEDED})
    connection.execute(_IN_FORCE_OF, {**same, "now": now, "expires_at": now})


def _insert(connection: Connection, number: int, counts: Counts, who: str, now: datetime) -> int:
    approval_id: int = connection.execute(
        approval.insert()
        .values(
            run_id=number,
            creates=counts.creates,
            updates=counts.updates,
            leavers=counts.leavers,
            approved_at=now,
            approved_by=who,
            expires_at=now + VALID_FOR,
        )
        .returning(approval.c.id)
    ).scalar_one()
    return approval_id


def _decide(connection: Connection, organisation_id: int, number: int | None, state: RunState, who: str) -> RunSummary:
    stopped = runs.waiting(connection, organisation_id)
    if stopped is None:
        raise NothingToSettle("No run waits for approval; 'syncd status' shows the last one.")
    if number not in {None, stopped.id}:
        raise NothingToSettle(f"Run {number} does not wait for approval; run {stopped.id} does.")
    connection.execute(run.update().where(run.c.id == stopped.id).values(state=state, settled_by=who))
    return stopped
