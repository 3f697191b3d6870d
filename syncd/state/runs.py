"""The runs: what each planned and did, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import Column, Row, bindparam, exists, func, null, select

from syncd.core.drift import Drift, DriftKind
from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.records import Key
from syncd.core.run import FailureKind, OneFileStatus, Outcome, RunState, Trigger
from syncd.state import counters
from syncd.state.db.tables import approval, change, run
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, without the sample of its plan."""

    id: int
    organisation_id: int
    trigger: Trigger
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    creates: int
    updates: int
    leavers: int
    archivings: int
    returners: int
    held: int
    warnings: int
    unchanged: int
    applied: int
    refused: int
    in_doubt: int
    queued: int
    """How many changes it left unsent, because an action is suspended."""
    calls: int
    reason: str
    """Why it was stopped, interrupted or failed; empty otherwise."""
    asked_by: str
    """Who asked for it, if a person did."""
    settled_by: str
    """Who approved or rejected it, if it was stopped."""
    settled_at: datetime | None
    settled_reason: str
    """Why it was approved or rejected, if they have said so."""
    drift: int | None
    """The accounts in which a verify found drift; ``None`` for other runs."""
    undone_run_id: int | None = None
    """The run whose changes it takes back, if it undoes one."""

    @property
    def counts(self) -> Counts:
        """The changes it planned, as the guard counts them."""
        return Counts(self.creates, self.updates, self.leavers, self.archivings)


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """Which accounts a verify read back, and which of them still differ."""

    is_full: bool
    """Whether it read every account, or those changed since the previous verify."""
    began_at: datetime
    """When it began; earlier than its run if an earlier run of it yielded to a resync."""
    still_different: tuple[Drift, ...] | None
    """The accounts that still differ; ``None`` if there are too many to list."""

    def to_json(self) -> dict[str, Any]:
        """The content of the column ``run.verify_scope``."""
        listed = self.still_different
        return {
            "is_full": self.is_full,
            "began_at": self.began_at.isoformat(),
            "still_different": None
            if listed is None
            else [[*one.key, one.user_id, one.kind, list(one.fields)] for one in listed],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The scope that `to_json` wrote."""
        listed = document["still_different"]
        return cls(
            document["is_full"],
            datetime.fromisoformat(document["began_at"]),
            None if listed is None else tuple(map(_drift, listed)),
        )


def _drift(written: Sequence[Any]) -> Drift:
    organisation_id, role, misid, user_id, kind, names = written
    return Drift(Key(organisation_id, Role(role), misid), user_id, DriftKind(kind), tuple(names))


@dataclass(frozen=True, slots=True)
class LastDrift:
    """What the last verify has found of one account."""

    at: datetime
    """When the verify began."""
    drift: Drift | None
    """``None`` if it found too many accounts with drift to list them, so that it may be one of them."""

    @property
    def in_words(self) -> str:
        """What differs, as a phrase."""
        many = "there may be some, for more accounts had drift than a verify lists"
        return many if self.drift is None else self.drift.in_words


_NAMES: Final = tuple(field.name for field in fields(RunSummary))
#: The columns of a `RunSummary`. The sample of a plan is long, and only the run's own page shows it.
SUMMARY_COLUMNS: Final = tuple(run.c[name] for name in _NAMES)

_RUN: Final = run.update().where(run.c.id == bindparam("number"))
_ENDING: Final = _RUN.returning(run.c.organisation_id, run.c.started_at, run.c.calls, run.c.trigger, run.c.applied)
_NEW: Final = run.insert().returning(run.c.id)
_LEFT_RUNNING: Final = run.update().where(run.c.organisation_id == bindparam("here"), run.c.state == RunState.RUNNING)


def to_summary(row: Row[Any]) -> RunSummary:
    """The record of a row that has at least the columns of `SUMMARY_COLUMNS`."""
    columns = row._mapping  # noqa: SLF001 - this is SQLAlchemy's public name for it
    enums = {"trigger": Trigger(columns["trigger"]), "state": RunState(columns["state"])}
    return RunSummary(**{name: columns[name] for name in _NAMES} | enums)


def start(
    session: StateSession,
    trigger: Trigger,
    asked_by: str = "",
    *,
    is_full: bool = False,
    undone_run: int | None = None,
) -> int:
    """Start a run and return its number; a run that a killed process left running becomes interrupted.

    ``is_full`` says that the run covers every record: once such a run is finished, nothing in the MIS is unsent.
    ``undone_run`` is the run whose changes it takes back.
    """
    now = session.now
    left_running = session.connection.execute(
        _LEFT_RUNNING, {"here": session.organisation_id, "state": RunState.INTERRUPTED, "finished_at": now}
    ).rowcount
    if left_running:
        counters.add(
            session.connection, session.organisation_id, counters.RUNS, RunState.INTERRUPTED, number=left_running
        )
    started_run = {
        "organisation_id": session.organisation_id,
        "trigger": trigger,
        "state": RunState.RUNNING,
        "started_at": now,
        "asked_by": asked_by,
        "is_full": is_full,
        "undone_run_id": undone_run,
    }
    number: int = session.connection.execute(_NEW, started_run).scalar_one()
    return number


def record_plan(session: StateSession, number: int, plan: Plan, plan_run_id: int | None, plan_digest: str = "") -> None:
    """Store what a run is about to do, and where the steps of its plan are stored; ``None`` if there are none."""
    counts = Counts.from_plan(plan)
    planned = {
        "creates": counts.creates,
        "updates": counts.updates,
        "leavers": counts.leavers,
        "archivings": counts.archivings,
        "returners": len(plan.returners),
        "held": len(plan.held),
        "warnings": len(plan.warnings),
        "unchanged": plan.unchanged,
        "plan_run_id": plan_run_id,
        "plan_digest": plan_digest,
    }
    session.connection.execute(_RUN, {"number": number, **planned})


def waiting_plan(session: StateSession, plan_digest: str) -> int | None:
    """The run whose stored steps are the plan of the run that waits, if that plan has this digest.

    ``None`` also if a part of that plan was approved: its steps are not all undecided any more.
    """
    other = run.alias()
    partly_approved = exists().where(approval.c.run_id == other.c.id, other.c.plan_run_id == run.c.plan_run_id)
    return session.connection.scalar(
        select(run.c.plan_run_id)
        .where(
            run.c.organisation_id == session.organisation_id,
            run.c.state == RunState.AWAITING_APPROVAL,
            run.c.plan_digest == plan_digest,
            ~partly_approved,
        )
        .limit(1)
    )


def stop(
    session: StateSession,
    number: int,
    reason: str,
    *,
    onefile: OneFileStatus | None,
    totals: Mapping[str, int],
) -> None:
    """End a run of which steps wait for approval; an older run that waits is superseded."""
    session.connection.execute(
        run.update()
        .where(run.c.organisation_id == session.organisation_id, run.c.state == RunState.AWAITING_APPROVAL)
        .values(state=RunState.SUPERSEDED)
    )
    finish(session, number, RunState.AWAITING_APPROVAL, reason=reason, onefile=onefile, totals=totals)


def record_unapproved_leavers(session: StateSession, number: int, leavers: int) -> None:
    """Store how many leavers a run is about to record that no approval covers."""
    session.connection.execute(run.update().where(run.c.id == number).values(unapproved_leavers=leavers))


def finish(
    session: StateSession,
    number: int,
    state: RunState,
    *,
    reason: str = "",
    onefile: OneFileStatus | None = None,
    problem: FailureKind = FailureKind.NONE,
    totals: Mapping[str, int] | None = None,
) -> None:
    """End a run; ``totals`` are its numbers of applied, refused, in_doubt, held, queued, and calls."""
    now = session.now
    result = {
        "state": state,
        "finished_at": now,
        "reason": reason,
        "onefile_status": onefile or "",
        "failure_kind": problem,
    }
    ended = session.connection.execute(_ENDING, {"number": number, **result, **(totals or {})}).one()
    seconds = (now - ended.started_at).total_seconds() if state is RunState.FINISHED else None
    undone = ended.applied if ended.trigger == Trigger.UNDO else 0
    counters.add_run(session.connection, ended.organisation_id, state, ended.calls, seconds, undone)


def unreachable_since(session: StateSession) -> tuple[OneFileStatus | None, datetime | None]:
    """Whether OneFile answered when it was last called, ``None`` if it never was; and since when it has not."""
    asked = select(run.c.id, run.c.onefile_status, run.c.started_at).where(
        run.c.organisation_id == session.organisation_id, run.c.onefile_status != ""
    )
    newest = session.connection.execute(asked.order_by(run.c.id.desc()).limit(1)).one_or_none()
    if newest is None or newest.onefile_status == OneFileStatus.OK:
        return (None if newest is None else OneFileStatus.OK), None
    last_ok = session.connection.scalar(
        select(func.max(run.c.id)).where(
            run.c.organisation_id == session.organisation_id, run.c.onefile_status == OneFileStatus.OK
        )
    )
    first_not = session.connection.execute(asked.where(run.c.id > (last_ok or 0)).order_by(run.c.id).limit(1)).one()
    return OneFileStatus.UNREACHABLE, first_not.started_at


def waiting(session: StateSession) -> RunSummary | None:
    """The run that waits for approval, if there is one."""
    return _newest(session, RunState.AWAITING_APPROVAL)


def last(session: StateSession) -> RunSummary | None:
    """The newest run."""
    return _newest(session)


def in_progress(session: StateSession) -> RunSummary | None:
    """The run that is in progress, if there is one."""
    return _newest(session, RunState.RUNNING)


def _newest(session: StateSession, state: RunState | None = None) -> RunSummary | None:
    in_state = [] if state is None else [run.c.state == state]
    row = session.connection.execute(
        select(*SUMMARY_COLUMNS)
        .where(run.c.organisation_id == session.organisation_id, *in_state)
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else to_summary(row)


def record_verify(session: StateSession, number: int, scope: VerifyScope) -> None:
    """Store which accounts a finished verify has read back."""
    session.connection.execute(run.update().where(run.c.id == number).values(verify_scope=scope.to_json()))


def last_verify(session: StateSession, trigger: Trigger, *, only_full: bool = False) -> VerifyScope | None:
    """The scope of the newest finished verify with this trigger, or of the newest that read every account."""
    full = [run.c.verify_scope["is_full"].as_boolean()] if only_full else []
    document = session.connection.scalar(
        select(run.c.verify_scope)
        .where(
            run.c.organisation_id == session.organisation_id,
            run.c.trigger == trigger,
            run.c.state == RunState.FINISHED,
            run.c.verify_scope.is_not(null()),
            *full,
        )
        .order_by(run.c.id.desc())
        .limit(1)
    )
    return None if document is None else VerifyScope.from_json(document)


def drift_left(session: StateSession) -> int | None:
    """In how many accounts the newest finished verify has left drift; ``None`` if there was none."""
    row = session.connection.execute(
        select(run.c.verify_scope, run.c.drift)
        .where(
            run.c.organisation_id == session.organisation_id,
            run.c.state == RunState.FINISHED,
            run.c.verify_scope.is_not(null()),
        )
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    still_different = VerifyScope.from_json(row.verify_scope).still_different
    return row.drift if still_different is None else len(still_different)


def last_drift(session: StateSession, role: Role, user_id: int | None) -> LastDrift | None:
    """What the last verify has found of an account; ``None`` if it found no drift, or there was none yet."""
    scope = last_verify(session, Trigger.VERIFY)
    if scope is None or user_id is None:
        return None
    if scope.still_different is None:
        return LastDrift(scope.began_at, None)
    of_account = (one for one in scope.still_different if one.user_id == user_id and one.key.role in role.sharing_ids)
    return next((LastDrift(scope.began_at, one) for one in of_account), None)


def record_drift(session: StateSession, number: int, accounts: int) -> None:
    """Store in how many accounts a verify found drift."""
    session.connection.execute(run.update().where(run.c.id == number).values(drift=accounts))


def last_success_at(session: StateSession) -> datetime | None:
    """When a run that covers every record last finished."""
    return _of_last_success(session, run.c.finished_at)


def last_reading_at(session: StateSession) -> datetime | None:
    """When the last finished run that covers every record began to read the feeds."""
    return _of_last_success(session, run.c.started_at)


def _of_last_success(session: StateSession, moment: Column[datetime]) -> datetime | None:
    return session.connection.scalar(
        select(moment)
        .where(run.c.organisation_id == session.organisation_id, run.c.is_full, run.c.state == RunState.FINISHED)
        .order_by(run.c.id.desc())
        .limit(1)
    )


def changes_begun(session: StateSession, number: int) -> int:
    """How many changes a run has begun to send."""
    return session.connection.scalar(select(func.count()).select_from(change).where(change.c.run_id == number)) or 0


def changes_applied(session: StateSession, number: int) -> dict[str, int]:
    """How many changes of a run OneFile has accepted, by action."""
    rows = session.connection.execute(
        select(change.c.action, func.count())
        .where(change.c.run_id == number, change.c.outcome == Outcome.APPLIED)
        .group_by(change.c.action)
    )
    return {row[0]: row[1] for row in rows}
