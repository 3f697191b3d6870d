"""Current problems, and since when, derived from the runs.

For each kind of problem some runs are evidence that it exists and some that it does not; the others are neither. A run
that failed because of OneFile, for example, does not show that the MIS can be read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, select

from syncd.core.alerts import Alert, AlertKind, Condition
from syncd.core.run import FailureKind, OneFileStatus, RunState
from syncd.state import approvals, runs, suspensions
from syncd.state.db.tables import run
from syncd.state.session import StateSession


class _Evidence(NamedTuple):
    bad: ColumnElement[bool]
    good: ColumnElement[bool]


#: A run in one of these states has read every feed without a failure.
_READ: Final = run.c.is_full & run.c.state.in_(
    (RunState.FINISHED, RunState.AWAITING_APPROVAL, RunState.APPROVED, RunState.REJECTED, RunState.SUPERSEDED)
)
_ANSWERED: Final = run.c.onefile_status == OneFileStatus.OK

_EVIDENCE: Final[Mapping[AlertKind, _Evidence]] = {
    AlertKind.MIS: _Evidence(run.c.failure_kind == FailureKind.MIS, _READ),
    AlertKind.FAILING: _Evidence(run.c.failure_kind == FailureKind.OTHER, _READ),
    # A OneFile that refuses the credentials is reachable.
    AlertKind.ONEFILE: _Evidence(
        run.c.failure_kind == FailureKind.ONEFILE, _ANSWERED | (run.c.failure_kind == FailureKind.CREDENTIALS)
    ),
    AlertKind.CREDENTIALS: _Evidence(run.c.failure_kind == FailureKind.CREDENTIALS, _ANSWERED),
}


def current_conditions(session: StateSession) -> dict[Alert, Condition]:
    """The current problems, as far as runs show them."""
    found = {}
    for kind, evidence in _EVIDENCE.items():
        condition = _since(session, evidence)
        if condition:
            found[Alert(kind)] = condition
    waiting = runs.waiting(session)
    if waiting is not None:
        counts = approvals.waiting_counts(session, waiting)
        would = f"it would make {counts.creates} creates and {counts.updates} updates, and has {counts.leavers} leavers"
        since = waits_since(session) or waiting.started_at
        found[Alert(AlertKind.APPROVAL)] = Condition(since, f"{waiting.reason}; {would}")
    for each in suspensions.listing(session):
        found[Alert(AlertKind.SUSPENDED, str(each.kind))] = Condition(each.since, each.sentence)
    return found


def waits_since(session: StateSession) -> datetime | None:
    """Since when a plan for every record has waited for approval, even if newer plans have superseded it."""
    finished = _newest(session, run.c.is_full & (run.c.state == RunState.FINISHED))
    stopped = run.c.state.in_((RunState.AWAITING_APPROVAL, RunState.SUPERSEDED))
    return session.connection.scalar(
        select(run.c.started_at)
        .where(run.c.organisation_id == session.organisation_id, run.c.id > finished, run.c.is_full, stopped)
        .order_by(run.c.id)
        .limit(1)
    )


def _since(session: StateSession, evidence: _Evidence) -> Condition | None:
    """The problem since the first run that shows it, with the newest one's reason; ``None`` if it is over."""
    good = _newest(session, evidence.good)
    bad = select(run.c.started_at, run.c.reason).where(
        run.c.organisation_id == session.organisation_id, run.c.id > good, evidence.bad
    )
    first = session.connection.execute(bad.order_by(run.c.id).limit(1)).one_or_none()
    newest = session.connection.execute(bad.order_by(run.c.id.desc()).limit(1)).one_or_none()
    return Condition(first.started_at, newest.reason) if first and newest else None


def _newest(session: StateSession, such: ColumnElement[bool]) -> int:
    number = session.connection.scalar(
        select(run.c.id)
        .where(run.c.organisation_id == session.organisation_id, such)
        .order_by(run.c.id.desc())
        .limit(1)
    )
    return number or 0
