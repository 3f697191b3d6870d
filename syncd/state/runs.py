"""The runs, the approvals that let a stopped one go on, and the requests for one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, exists, func, select

from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import NothingToSettle
from syncd.state import changes, counters
from syncd.state.changes import Outcome
from syncd.state.db.tables import approval, change, resync_request, run

APPROVAL_LASTS: Final = timedelta(hours=24)


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    """It was stopped and then let go: the next run may do as much."""
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """It was stopped, and a later run has planned anew."""
    INTERRUPTED = "interrupted"
    """The process was told to end, or ended; the next run goes on."""
    FAILED = "failed"
    """Something kept it from being done; the reason says what."""


class FailureKind(StrEnum):
    """What kept a run from being done, of the kinds that different people put right."""

    NONE = ""
    MIS = "mis"
    ONEFILE = "onefile"
    CREDENTIALS = "credentials"
    OTHER = "other"


class OneFileStatus(StrEnum):
    """How OneFile was in a run that called it."""

    OK = "ok"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Approval:
    """How much may be done although the guard would stop it."""

    number: int
    left: Counts


_RUN: Final = run.update().where(run.c.id == bindparam("number"))
_ENDING: Final = _RUN.returning(run.c.organisation_id, run.c.started_at, run.c.calls)
_NEW: Final = run.insert().returning(run.c.id)
_IS_HERE: Final = run.c.organisation_id == bindparam("here")
_LEFT_RUNNING: Final = run.update().where(_IS_HERE, run.c.state == RunState.RUNNING)
_IS_OF: Final = _IS_HERE & run.c.trigger.in_(bindparam("triggers", expanding=True))
_WAITING_OF: Final = run.update().where(_IS_OF, run.c.state == RunState.AWAITING_APPROVAL)
# Approvals in force are few and runs are many: the run is looked up for each of them, and never the other way round.
_IN_FORCE_OF: Final = approval.update().where(
    approval.c.expires_at > bindparam("now"),
    select(_IS_OF).where(run.c.id == approval.c.run_id).correlate(approval).scalar_subquery(),
)


def start(
    connection: Connection,
    organisation_id: int,
    trigger: str,
    now: datetime,
    asked_by: str = "",
    *,
    is_full: bool = False,
) -> int:
    """Begin a run; one that was left running by a killed process is noted as interrupted.

    ``is_full`` says that it is about everybody: when such a run is finished, nothing that the MIS has is left unsent.
    """
    left_running = connection.execute(
        _LEFT_RUNNING, {"here": organisation_id, "state": RunState.INTERRUPTED, "finished_at": now}
    ).rowcount
    if left_running:
        counters.add(connection, organisation_id, counters.RUNS, RunState.INTERRUPTED, number=left_running)
    begun = {
        "organisation_id": organisation_id,
        "trigger": trigger,
        "state": RunState.RUNNING,
        "started_at": now,
        "asked_by": asked_by,
        "is_full": is_full,
    }
    number: int = connection.execute(_NEW, begun).scalar_one()
    return number


def record_plan(connection: Connection, number: int, plan: Plan, approval_id: int | None) -> None:
    """Write down what a run is about to do."""
    counts = Counts.from_plan(plan)
    planned = {
        "creates": counts.creates,
        "updates": counts.updates,
        "leavers": counts.leavers,
        "returners": len(plan.returners),
        "held": len(plan.held),
        "warnings": len(plan.warnings),
        "unchanged": plan.unchanged,
        "approval_id": approval_id,
    }
    connection.execute(_RUN, {"number": number, **planned})


def stop(
    connection: Connection,
    number: int,
    organisation_id: int,
    reason: str,
    now: datetime,
    *,
    onefile: OneFileStatus | None,
    totals: Mapping[str, int],
    sample: Mapping[str, Any],
) -> None:
    """End a run before its first call, to wait for approval; an older one that waits is superseded.

    ``sample`` is some of what it would do, for whoever has to decide.
    """
    connection.execute(
        run.update()
        .where(run.c.organisation_id == organisation_id, run.c.state == RunState.AWAITING_APPROVAL)
        .values(state=RunState.SUPERSEDED)
    )
    finish(connection, number, RunState.AWAITING_APPROVAL, now, reason=reason, onefile=onefile, totals=totals)
    connection.execute(run.update().where(run.c.id == number).values(plan_sample=dict(sample)))


def finish(
    connection: Connection,
    number: int,
    state: RunState,
    now: datetime,
    *,
    reason: str = "",
    onefile: OneFileStatus | None = None,
    problem: FailureKind = FailureKind.NONE,
    totals: Mapping[str, int] | None = None,
) -> None:
    """End a run; ``totals`` are its counts of applied, refused, in_doubt, held, and calls."""
    told = {
        "state": state,
        "finished_at": now,
        "reason": reason,
        "onefile_status": onefile or "",
        "failure_kind": problem,
    }
    ended = connection.execute(_ENDING, {"number": number, **told, **(totals or {})}).one()
    seconds = (now - ended.started_at).total_seconds() if state is RunState.FINISHED else None
    counters.add_run(connection, ended.organisation_id, state, ended.calls, seconds)


def unreachable_since(connection: Connection, organisation_id: int) -> tuple[OneFileStatus | None, datetime | None]:
    """How OneFile was when it was last called, if ever, and, if it could not be reached, since when."""
    asked = select(run.c.id, run.c.onefile_status, run.c.started_at).where(
        run.c.organisation_id == organisation_id, run.c.onefile_status != ""
    )
    newest = connection.execute(asked.order_by(run.c.id.desc()).limit(1)).one_or_none()
    if newest is None or newest.onefile_status == OneFileStatus.OK:
        return (None if newest is None else OneFileStatus.OK), None
    last_ok = connection.scalar(
        select(func.max(run.c.id)).where(
            run.c.organisation_id == organisation_id, run.c.onefile_status == OneFileStatus.OK
        )
    )
    first_not = connection.execute(asked.where(run.c.id > (last_ok or 0)).order_by(run.c.id).limit(1)).one()
    return OneFileStatus.UNREACHABLE, first_not.started_at


def waiting(connection: Connection, organisation_id: int) -> Row[Any] | None:
    """The run that waits for approval, if one does."""
    return connection.execute(
        select(run)
        .where(run.c.organisation_id == organisation_id, run.c.state == RunState.AWAITING_APPROVAL)
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()


def last(connection: Connection, organisation_id: int) -> Row[Any] | None:
    """The newest run."""
    return connection.execute(
        select(run).where(run.c.organisation_id == organisation_id).order_by(run.c.id.desc()).limit(1)
    ).one_or_none()


def last_finished(
    connection: Connection, organisation_id: int, trigger: str, noted: str = ""
) -> tuple[datetime, str] | None:
    """When the newest run of this trigger that came to its end began, and what was noted of it afterwards.

    Only runs of which something was noted, and something that begins with ``noted``, count.
    """
    row = connection.execute(
        select(run.c.started_at, run.c.reason)
        .where(
            run.c.organisation_id == organisation_id,
            run.c.trigger == trigger,
            run.c.state == RunState.FINISHED,
            run.c.reason != "",
            run.c.reason.startswith(noted),
        )
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()
    return row and (row.started_at, row.reason)


def set_reason(connection: Connection, number: int, reason: str) -> None:
    """Note something of a run that has come to its end."""
    connection.execute(run.update().where(run.c.id == number).values(reason=reason))


def record_drift(connection: Connection, number: int, accounts: int) -> None:
    """Note how many accounts a verify has found other than they were left."""
    connection.execute(run.update().where(run.c.id == number).values(drift=accounts))


def last_success_at(connection: Connection, organisation_id: int) -> datetime | None:
    """When a run about everybody last came to its end."""
    return connection.scalar(
        select(run.c.finished_at)
        .where(run.c.organisation_id == organisation_id, run.c.is_full, run.c.state == RunState.FINISHED)
        .order_by(run.c.id.desc())
        .limit(1)
    )


def approve(
    connection: Connection, organisation_id: int, number: int | None, who: str, now: datetime
) -> tuple[int, Counts, str]:
    """Let a stopped run's plan go, and no more than it; gives the run, what is allowed, and the run's trigger.

    Raises `NothingToSettle`.
    """
    stopped = _decide(connection, organisation_id, number, RunState.APPROVED, who)
    counts = Counts(stopped.creates, stopped.updates, stopped.leavers)
    _approve(connection, stopped.id, counts, who, now)
    return stopped.id, counts, stopped.trigger


def approve_beforehand(connection: Connection, number: int, plan: Plan, who: str, now: datetime) -> Approval:
    """Approve a run's own plan, as `sync --approve` does."""
    counts = Counts.from_plan(plan)
    connection.execute(run.update().where(run.c.id == number).values(settled_by=who))
    return Approval(_approve(connection, number, counts, who, now), counts)


def organisation_of(connection: Connection, organisations: Sequence[int], number: int | None) -> int:
    """The organisation whose stopped run this is, or the one that has a run waiting; the first where none has.

    Raises `NothingToSettle` when none is named and several wait.
    """
    waits = {each: row.id for each in organisations if (row := waiting(connection, each))}
    if number is None and len(waits) > 1:
        raise NothingToSettle(f"Several runs wait, so say which: {', '.join(map(str, waits.values()))}.")
    return next((each for each, run_id in waits.items() if number in {None, run_id}), organisations[0])


def reject(connection: Connection, organisation_id: int, number: int | None, who: str) -> int:
    """Put a stopped run aside; gives its number. Raises `NothingToSettle`."""
    return int(_decide(connection, organisation_id, number, RunState.REJECTED, who).id)


def approval_in_force(
    connection: Connection, organisation_id: int, triggers: Collection[str], now: datetime
) -> Approval | None:
    """The newest approval of a run with one of these triggers, neither lapsed nor served, and what it still allows."""
    under_it = run.alias()
    row = connection.execute(
        select(approval)
        .join(run, run.c.id == approval.c.run_id)
        .where(
            run.c.organisation_id == organisation_id,
            run.c.trigger.in_(triggers),
            approval.c.expires_at > now,
            # Once a run under it has come to its end, it has served.
            ~exists().where(under_it.c.approval_id == approval.c.id, under_it.c.state == RunState.FINISHED),
        )
        .order_by(approval.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    granted = Counts(row.creates, row.updates, row.leavers)
    return Approval(row.id, granted.less(changes.used_of(connection, row.id)))


def expire_outdated(connection: Connection, organisation_id: int, triggers: Collection[str], now: datetime) -> None:
    """Note that everything was planned anew and may be sent: what waits is superseded, and approvals have served."""
    same = {"here": organisation_id, "triggers": list(triggers)}
    connection.execute(_WAITING_OF, {**same, "state": RunState.SUPERSEDED})
    connection.execute(_IN_FORCE_OF, {**same, "now": now, "expires_at": now})


def request(connection: Connection, organisation_id: int, who: str, now: datetime, misids: Sequence[str] = ()) -> int:
    """Ask the daemon for a run; gives the request's number."""
    number: int = connection.execute(
        resync_request.insert()
        .values(organisation_id=organisation_id, requested_at=now, requested_by=who, misids=list(misids))
        .returning(resync_request.c.id)
    ).scalar_one()
    return number


def organisations_with_requests(connection: Connection) -> set[int]:
    """The organisations of which somebody waits for a run."""
    asked = select(resync_request.c.organisation_id).where(resync_request.c.run_id.is_(None)).distinct()
    return set(connection.scalars(asked))


def requests_waiting(connection: Connection, organisation_id: int, *, named_only: bool = False) -> list[Row[Any]]:
    """The requests that no run has answered, or those of them that name somebody."""
    waiting_ = connection.execute(
        select(resync_request).where(
            resync_request.c.organisation_id == organisation_id, resync_request.c.run_id.is_(None)
        )
    )
    return [each for each in waiting_ if each.misids or not named_only]


def requested_scope(requests: Sequence[Row[Any]]) -> Scope:
    """The scope of one run that answers all of these requests: everyone if one of them names no MISID."""
    if not all(each.misids for each in requests):
        return EVERYONE
    return Scope.of(misid for each in requests for misid in each.misids)


def record_answer(connection: Connection, requests: Sequence[int], number: int) -> None:
    """Note that a run has answered these requests, now that it is over."""
    connection.execute(resync_request.update().where(resync_request.c.id.in_(requests)).values(run_id=number))


def answering_run(connection: Connection, request: int) -> Row[Any] | None:
    """The run that has answered a request, if one has."""
    return connection.execute(
        select(run).join(resync_request, resync_request.c.run_id == run.c.id).where(resync_request.c.id == request)
    ).one_or_none()


def started(connection: Connection, number: int) -> int:
    """How many changes a run has begun to send."""
    return connection.scalar(select(func.count()).select_from(change).where(change.c.run_id == number)) or 0


def changes_applied(connection: Connection, number: int) -> dict[str, int]:
    """What a run has sent and OneFile has accepted, by action."""
    rows = connection.execute(
        select(change.c.action, func.count())
        .where(change.c.run_id == number, change.c.outcome == Outcome.APPLIED)
        .group_by(change.c.action)
    )
    return {row[0]: row[1] for row in rows}


def _approve(connection: Connection, number: int, counts: Counts, who: str, now: datetime) -> int:
    approval_id: int = connection.execute(
        approval.insert()
        .values(
            run_id=number,
            creates=counts.creates,
            updates=counts.updates,
            leavers=counts.leavers,
            approved_at=now,
            approved_by=who,
            expires_at=now + APPROVAL_LASTS,
        )
        .returning(approval.c.id)
    ).scalar_one()
    return approval_id


def _decide(connection: Connection, organisation_id: int, number: int | None, state: RunState, who: str) -> Row[Any]:
    stopped = waiting(connection, organisation_id)
    if stopped is None:
        raise NothingToSettle("No run waits for approval; 'syncd status' shows the last one.")
    if number not in {None, stopped.id}:
        raise NothingToSettle(f"Run {number} does not wait for approval; run {stopped.id} does.")
    connection.execute(run.update().where(run.c.id == stopped.id).values(state=state, settled_by=who))
    return stopped
