"""Approvals and rejections: what operators decide about the steps of stopped runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from syncd.core.decisions import Decisions
from syncd.core.guard import ChangeKind, Counts
from syncd.core.run import POLLS, RunState
from syncd.errors import NothingToSettle
from syncd.state import plan_steps, runs
from syncd.state.db.tables import approval, run
from syncd.state.plan_steps import ALL_STEPS, StepFilter
from syncd.state.runs import RunSummary
from syncd.state.session import StateSession

VALID_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ApprovalEntry:
    """An approval as it was given."""

    number: int
    run: int
    counts: Counts
    approved_at: datetime
    approved_by: str
    expires_at: datetime
    reason: str = ""
    part: str = ""
    """The part of the plan that it is limited to; empty if it is not limited."""
    role: str = ""
    field: str = ""

    @property
    def is_limited(self) -> bool:
        """Whether it covers a part of the plan only."""
        return bool(self.part or self.role or self.field)


@dataclass(frozen=True, slots=True)
class Settled:
    """A stopped run about which an operator has decided."""

    run: RunSummary
    counts: Counts
    """The steps that were approved or rejected, as the guard counts them."""
    waiting: int = 0
    """How many steps of its plan still wait for a decision."""


_IS_OF: Final = (run.c.organisation_id == bindparam("here")) & run.c.trigger.in_(bindparam("triggers", expanding=True))
_WAITING_OF: Final = run.update().where(_IS_OF, run.c.state == RunState.AWAITING_APPROVAL)
# Few approvals are in force and there are many runs: look up the run of each approval, never the other way round.
_IN_FORCE_OF: Final = approval.update().where(
    approval.c.expires_at > bindparam("now"),
    approval.c.run_id < bindparam("before"),
    select(_IS_OF).where(run.c.id == approval.c.run_id).correlate(approval).scalar_subquery(),
)


def approve(
    session: StateSession, number: int | None, who: str, chosen: StepFilter = ALL_STEPS, reason: str = ""
) -> Settled:
    """Approve the steps of a stopped run, or those chosen: the next run sends those that the MIS still asks for.

    The rest of the plan waits for another decision. ``number`` is ``None`` for the run that waits.
    Raises `NothingToSettle`.
    """
    stopped = _find(session, number)
    approval_id = _insert(session, stopped.id, stopped.counts, who, chosen, reason)
    undecided = plan_steps.count_undecided(session, stopped.id)
    counts = plan_steps.approve(session, stopped.id, approval_id, chosen)
    waiting = plan_steps.count_undecided(session, stopped.id)
    if undecided and waiting == undecided:
        raise NothingToSettle(f"Run {stopped.id} has no step of this kind that waits for a decision.")
    session.connection.execute(approval.update().where(approval.c.id == approval_id).values(_columns(counts)))
    if waiting:
        plan_steps.withhold(session, stopped.id, is_rejected=False)
    else:
        _settle(session, stopped.id, RunState.APPROVED, who, reason)
    end_older(session, _group_of(stopped), stopped.id)
    return Settled(stopped, counts, waiting)


def reject(session: StateSession, number: int | None, who: str, reason: str = "") -> Settled:
    """Reject the steps of a stopped run that nothing was decided about. Raises `NothingToSettle`.

    If they are what the MIS asks for, they are not planned again until their records change or an operator asks for it.
    """
    stopped = _find(session, number)
    rejected = plan_steps.undecided_counts(session, stopped.id)
    if stopped.trigger in POLLS:
        plan_steps.withhold(session, stopped.id, is_rejected=True)
    else:
        # The MIS may ask for the same one day.
        plan_steps.reject(session, stopped.id)
    is_partly_approved = bool(of_run(session, stopped.id))
    _settle(session, stopped.id, RunState.APPROVED if is_partly_approved else RunState.REJECTED, who, reason)
    end_older(session, _group_of(stopped), stopped.id)
    return Settled(stopped, rejected)


def approve_beforehand(session: StateSession, number: int, counts: Counts, who: str) -> int:
    """Approve a run's own plan, as `sync --approve` does; returns the number of the approval."""
    session.connection.execute(run.update().where(run.c.id == number).values(settled_by=who, settled_at=session.now))
    return _insert(session, number, counts, who, ALL_STEPS, "")


def organisation_of(session: StateSession, organisations: Sequence[int], number: int | None) -> int:
    """The organisation whose stopped run this is, or the only one with a stopped run; the first if there is none.

    Raises `NothingToSettle` if no run is named and several wait.
    """
    waiting = {each: stopped.id for each in organisations if (stopped := runs.waiting(session.for_organisation(each)))}
    if number is None and len(waiting) > 1:
        raise NothingToSettle(f"Several runs wait, so say which: {', '.join(map(str, waiting.values()))}.")
    return next((each for each, run_id in waiting.items() if number in {None, run_id}), organisations[0])


def in_force(session: StateSession, triggers: Collection[str]) -> list[ApprovalEntry]:
    """The approvals of runs with one of these triggers that have not ended, the oldest first."""
    rows = session.connection.execute(
        select(approval)
        .join(run, run.c.id == approval.c.run_id)
        .where(
            run.c.organisation_id == session.organisation_id,
            run.c.trigger.in_(triggers),
            approval.c.expires_at > session.now,
        )
        .order_by(approval.c.id)
    )
    return list(map(_to_entry, rows))


def decisions(session: StateSession, approved: Sequence[ApprovalEntry], *, is_poll: bool) -> Decisions:
    """What was decided about steps; a command that is repeated by hand asks for what was rejected."""
    return plan_steps.decisions(session, [each.number for each in approved], with_rejected=is_poll)


def of_run(session: StateSession, number: int) -> list[ApprovalEntry]:
    """The approvals of a run's plan, the oldest first."""
    rows = session.connection.execute(select(approval).where(approval.c.run_id == number).order_by(approval.c.id))
    return list(map(_to_entry, rows))


def waiting_counts(session: StateSession, stopped: RunSummary) -> Counts:
    """What still waits for a decision of a stopped run: a part of its plan may have been approved."""
    undecided = plan_steps.undecided_counts(session, stopped.id)
    return stopped.counts if undecided == Counts() else undecided


def supersede_waiting(session: StateSession, triggers: Collection[str]) -> None:
    """A newer plan for every record is sent: it replaces that of the run that waits."""
    same = {"here": session.organisation_id, "triggers": list(triggers)}
    session.connection.execute(_WAITING_OF, {**same, "state": RunState.SUPERSEDED})


def end_older(session: StateSession, triggers: Collection[str], before: int) -> None:
    """End the approvals of runs older than this one: a newer run was settled, or has sent everything."""
    now = session.now
    same = {"here": session.organisation_id, "triggers": list(triggers)}
    session.connection.execute(_IN_FORCE_OF, {**same, "now": now, "before": before, "expires_at": now})


def _group_of(stopped: RunSummary) -> Collection[str]:
    return POLLS if stopped.trigger in POLLS else {stopped.trigger}


def _insert(session: StateSession, number: int, counts: Counts, who: str, chosen: StepFilter, reason: str) -> int:
    now = session.now
    approval_id: int = session.connection.execute(
        approval.insert()
        .values(
            run_id=number,
            approved_at=now,
            approved_by=who,
            expires_at=now + VALID_FOR,
            reason=reason,
            part=chosen.part,
            role=chosen.role,
            field=chosen.field,
            **_columns(counts),
        )
        .returning(approval.c.id)
    ).scalar_one()
    return approval_id


def _columns(counts: Counts) -> dict[str, int]:
    return {str(kind): counts.of(kind) for kind in ChangeKind}


def _find(session: StateSession, number: int | None) -> RunSummary:
    stopped = runs.waiting(session)
    if stopped is None:
        raise NothingToSettle("No run waits for approval; 'syncd status' shows the last one.")
    # A later poll may have stopped with the very same plan.
    is_older = number is not None and number < stopped.id
    is_same = is_older and plan_steps.plan_run(session, number or 0) == plan_steps.plan_run(session, stopped.id)
    if number not in {None, stopped.id} and not is_same:
        raise NothingToSettle(f"Run {number} does not wait for approval; run {stopped.id} does.")
    return stopped


def _settle(session: StateSession, number: int, state: RunState, who: str, reason: str) -> None:
    settled = {"state": state, "settled_by": who, "settled_at": session.now, "settled_reason": reason}
    session.connection.execute(run.update().where(run.c.id == number).values(settled))


def _to_entry(row: Row[Any]) -> ApprovalEntry:
    return ApprovalEntry(
        row.id,
        row.run_id,
        Counts(row.creates, row.updates, row.leavers, row.archivings),
        row.approved_at,
        row.approved_by,
        row.expires_at,
        row.reason,
        row.part,
        row.role,
        row.field,
    )
