"""What is amiss, and since when, as the runs tell it.

Each kind of trouble has runs that are evidence of it and runs that are evidence of its contrary; the others say
nothing either way. A run that failed for OneFile, for one, does not show that the MIS can be read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from syncd.core.alerts import AlertKind, Condition
from syncd.core.run import FailureKind, OneFileStatus, RunState
from syncd.state import runs
from syncd.state.db.tables import run


class _Evidence(NamedTuple):
    bad: ColumnElement[bool]
    good: ColumnElement[bool]


#: A run that came so far has read every feed, and met nothing that would have ended it.
_READ: Final = run.c.is_full & run.c.state.in_(
    (RunState.FINISHED, RunState.AWAITING_APPROVAL, RunState.APPROVED, RunState.REJECTED, RunState.SUPERSEDED)
)
_ANSWERED: Final = run.c.onefile_status == OneFileStatus.OK

_EVIDENCE: Final[Mapping[AlertKind, _Evidence]] = {
    AlertKind.MIS: _Evidence(run.c.failure_kind == FailureKind.MIS, _READ),
    AlertKind.FAILING: _Evidence(run.c.failure_kind == FailureKind.OTHER, _READ),
    # Who refuses answers.
    AlertKind.ONEFILE: _Evidence(
        run.c.failure_kind == FailureKind.ONEFILE, _ANSWERED | (run.c.failure_kind == FailureKind.CREDENTIALS)
    ),
    AlertKind.CREDENTIALS: _Evidence(run.c.failure_kind == FailureKind.CREDENTIALS, _ANSWERED),
}


def current_conditions(connection: Connection, organisation_id: int) -> dict[AlertKind, Condition]:
    """What is amiss now, as far as runs can tell."""
    found = {}
    for subject, evidence in _EVIDENCE.items():
        trouble = _since(connection, organisation_id, evidence)
        if trouble:
            found[subject] = trouble
    waiting = runs.waiting(connection, organisation_id)
    if waiting is not None:
        would = (
            f"it would make {waiting.creates} creates and {waiting.updates} updates, and has {waiting.leavers} leavers"
        )
        since = waits_since(connection, organisation_id) or waiting.started_at
        found[AlertKind.APPROVAL] = Condition(since, f"{waiting.reason}; {would}")
    return found


def waits_since(connection: Connection, organisation_id: int) -> datetime | None:
    """Since when a plan for everybody has waited for approval, however often it was made anew."""
    finished = _newest(connection, organisation_id, run.c.is_full & (run.c.state == RunState.FINISHED))
    stopped = run.c.state.in_((RunState.AWAITING_APPROVAL, RunState.SUPERSEDED))
    return connection.scalar(
        select(run.c.started_at)
        .where(run.c.organisation_id == organisation_id, run.c.id > finished, run.c.is_full, stopped)
        .order_by(run.c.id)
        .limit(1)
    )


def _since(connection: Connection, organisation_id: int, evidence: _Evidence) -> Condition | None:
    """The trouble since the first run that shows it, in the words of the newest; ``None`` if a newer run does not."""
    good = _newest(connection, organisation_id, evidence.good)
    bad = select(run.c.started_at, run.c.reason).where(
        run.c.organisation_id == organisation_id, run.c.id > good, evidence.bad
    )
    first = connection.execute(bad.order_by(run.c.id).limit(1)).one_or_none()
    newest = connection.execute(bad.order_by(run.c.id.desc()).limit(1)).one_or_none()
    return Condition(first.started_at, newest.reason) if first and newest else None


def _newest(connection: Connection, organisation_id: int, such: ColumnElement[bool]) -> int:
    number = connection.scalar(
        select(run.c.id).where(run.c.organisation_id == organisation_id, such).order_by(run.c.id.desc()).limit(1)
    )
    return number or 0
