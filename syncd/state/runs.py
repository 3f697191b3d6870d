"""The runs: what each planned and did, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, bindparam, func, null, select

from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.run import FailureKind, OneFileStatus, Outcome, RunState, Trigger
from syncd.state import counters
from syncd.state.db.tables import change, run


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
    returners: int
    held: int
    warnings: int
    unchanged: int
    applied: int
    refused: int
    in_doubt: int
    calls: int
    reason: str
    """Why it was stopped, interrupted or failed; empty otherwise."""
    asked_by: str
    """Who asked for it, if a person did."""
    settled_by: str
    """Who approved or rejected it, if it was stopped."""
    drift: int | None
    """The accounts in which a verify found drift; ``None`` for other runs."""

    @property
    def counts(self) -> Counts:
        """The changes it planned, as the guard counts them."""
        return Counts(self.creates, self.updates, self.leavers)


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """Which accounts a verify read back, and which of them still differ."""

    is_full: bool
    """Whether it read every account, or those changed since the previous verify."""
    began_at: datetime
    """When it began; earlier than its run if an earlier run of it yielded to a resync."""
    still_different: frozenset[int] | None
    """The UserIDs of accounts that still differ; ``None`` if there are too many to list."""

    def to_json(self) -> dict[str, Any]:
        """The content of the column ``run.verify_scope``."""
        listed = self.still_different
        return {
            "is_full": self.is_full,
            "began_at": self.began_at.isoformat(),
            "still_different": None if listed is None else sorted(listed),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The scope that `to_json` wrote."""
        listed = document["still_different"]
        return cls(
            document["is_full"],
            datetime.fromisoformat(document["began_at"]),
            None if listed is None else frozenset(listed),
        )


_NAMES: Final = tuple(field.name for field in fields(RunSummary))
#: The columns of a `RunSummary`. The sample of a plan is long, and only the run's own page shows it.
SUMMARY_COLUMNS: Final = tuple(run.c[name] for name in _NAMES)

_RUN: Final = run.update().where(run.c.id == bindparam("number"))
_ENDING: Final = _RUN.returning(run.c.organisation_id, run.c.started_at, run.c.calls)
_NEW: Final = run.insert().returning(run.c.id)
_LEFT_RUNNING: Final = run.update().where(run.c.organisation_id == bindparam("here"), run.c.state == RunState.RUNNING)


def to_summary(row: Row[Any]) -> RunSummary:
    """The record of a row that has at least the columns of `SUMMARY_COLUMNS`."""
    columns = row._mapping  # noqa: SLF001 - this is SQLAlchemy's public name for it
    enums = {"trigger": Trigger(columns["trigger"]), "state": RunState(columns["state"])}
    return RunSummary(**{name: columns[name] for name in _NAMES} | enums)


def start(
    connection: Connection,
    organisation_id: int,
    trigger: Trigger,
    now: datetime,
    asked_by: str = "",
    *,
    is_full: bool = False,
) -> int:
    """Start a run and return its number; a run that a killed process left running becomes interrupted.

    ``is_full`` says that the run covers every record: once such a run is finished, nothing in the MIS is unsent.
    """
    left_running = connection.execute(
        _LEFT_RUNNING, {"here": organisation_id, "state": RunState.INTERRUPTED, "finished_at": now}
    ).rowcount
    if left_running:
        counters.add(connection, organisation_id, counters.RUNS, RunState.INTERRUPTED, number=left_running)
    started_run = {
        "organisation_id": organisation_id,
        "trigger": trigger,
        "state": RunState.RUNNING,
        "started_at": now,
        "asked_by": asked_by,
        "is_full": is_full,
    }
    number: int = connection.execute(_NEW, started_run).scalar_one()
    return number


def record_plan(connection: Connection, number: int, plan: Plan, approval_id: int | None) -> None:
    """Store what a run is about to do."""
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
    """End a run before its first call, to wait for approval; an older run that waits is superseded.

    ``sample`` is an excerpt of its plan, for the person who approves or rejects it.
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
    """End a run; ``totals`` are its numbers of applied, refused, in_doubt, held, and calls."""
    result = {
        "state": state,
        "finished_at": now,
        "reason": reason,
        "onefile_status": onefile or "",
        "failure_kind": problem,
    }
    ended = connection.execute(_ENDING, {"number": number, **result, **(totals or {})}).one()
    seconds = (now - ended.started_at).total_seconds() if state is RunState.FINISHED else None
    counters.add_run(connection, ended.organisation_id, state, ended.calls, seconds)


def unreachable_since(connection: Connection, organisation_id: int) -> tuple[OneFileStatus | None, datetime | None]:
    """Whether OneFile answered when it was last called, ``None`` if it never was; and since when it has not."""
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


def waiting(connection: Connection, organisation_id: int) -> RunSummary | None:
    """The run that waits for approval, if there is one."""
    return _newest(connection, organisation_id, RunState.AWAITING_APPROVAL)


def last(connection: Connection, organisation_id: int) -> RunSummary | None:
    """The newest run."""
    return _newest(connection, organisation_id)


def in_progress(connection: Connection, organisation_id: int) -> RunSummary | None:
    """The run that is in progress, if there is one."""
    return _newest(connection, organisation_id, RunState.RUNNING)


def _newest(connection: Connection, organisation_id: int, state: RunState | None = None) -> RunSummary | None:
    in_state = [] if state is None else [run.c.state == state]
    row = connection.execute(
        select(*SUMMARY_COLUMNS)
        .where(run.c.organisation_id == organisation_id, *in_state)
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else to_summary(row)


def record_verify(connection: Connection, number: int, scope: VerifyScope) -> None:
    """Store which accounts a finished verify has read back."""
    connection.execute(run.update().where(run.c.id == number).values(verify_scope=scope.to_json()))


def last_verify(
    connection: Connection, organisation_id: int, trigger: Trigger, *, only_full: bool = False
) -> VerifyScope | None:
    """The scope of the newest finished verify with this trigger, or of the newest that read every account."""
    full = [run.c.verify_scope["is_full"].as_boolean()] if only_full else []
    document = connection.scalar(
        select(run.c.verify_scope)
        .where(
            run.c.organisation_id == organisation_id,
            run.c.trigger == trigger,
            run.c.state == RunState.FINISHED,
            run.c.verify_scope.is_not(null()),
            *full,
        )
        .order_by(run.c.id.desc())
        .limit(1)
    )
    return None if document is None else VerifyScope.from_json(document)


def record_drift(connection: Connection, number: int, accounts: int) -> None:
    """Store in how many accounts a verify found drift."""
    connection.execute(run.update().where(run.c.id == number).values(drift=accounts))


def last_success_at(connection: Connection, organisation_id: int) -> datetime | None:
    """When a run that covers every record last finished."""
    return connection.scalar(
        select(run.c.finished_at)
        .where(run.c.organisation_id == organisation_id, run.c.is_full, run.c.state == RunState.FINISHED)
        .order_by(run.c.id.desc())
        .limit(1)
    )


def changes_begun(connection: Connection, number: int) -> int:
    """How many changes a run has begun to send."""
    return connection.scalar(select(func.count()).select_from(change).where(change.c.run_id == number)) or 0


def changes_applied(connection: Connection, number: int) -> dict[str, int]:
    """How many changes of a run OneFile has accepted, by action."""
    rows = connection.execute(
        select(change.c.action, func.count())
        .where(change.c.run_id == number, change.c.outcome == Outcome.APPLIED)
        .group_by(change.c.action)
    )
    return {row[0]: row[1] for row in rows}
