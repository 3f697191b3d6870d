"""The report of a period: what was done, who approved it, and what still needs attention. It has no values."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from syncd.core.fields import Role
from syncd.core.records import Reason
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.state import accounts, changes, held_records
from syncd.state.db.tables import approval, change, held, resync_request, run
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class RunCount:
    """The number of runs with one trigger and one state."""

    trigger: Trigger
    state: RunState
    count: int
    calls: int


@dataclass(frozen=True, slots=True)
class ApprovedRun:
    """A stopped run that a person approved."""

    run: int
    at: datetime
    by: str
    creates: int
    updates: int
    leavers: int
    archivings: int


@dataclass(frozen=True, slots=True)
class RejectedRun:
    """A stopped run that a person rejected."""

    run: int
    began: datetime
    by: str


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """A run that a person asked for."""

    at: datetime
    by: str
    people: int
    """The number of MISIDs; 0 for every record."""
    run: int | None
    """The run that answered."""


@dataclass(frozen=True, slots=True)
class ChangeCount:
    """The number of changes with one action and outcome, of accounts of one role."""

    role: Role
    action: Action
    outcome: Outcome
    count: int


@dataclass(frozen=True, slots=True)
class HeldCount:
    """The number of records of one role that are held now for one reason."""

    role: Role
    reason: Reason
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class DriftFound:
    """A verify that found drift."""

    run: int
    at: datetime
    accounts: int


@dataclass(frozen=True, slots=True)
class Report:
    """What happened from ``since`` to before ``until``, and the state now."""

    since: datetime
    until: datetime
    organisations: tuple[int, ...]
    runs: tuple[RunCount, ...]
    verifies: int
    """The number of runs that read accounts back."""
    approvals: tuple[ApprovedRun, ...]
    rejections: tuple[RejectedRun, ...]
    requests: tuple[RequestedRun, ...]
    changes: tuple[ChangeCount, ...]
    drift: tuple[DriftFound, ...]
    accounts: Counter[str]
    """The accounts now, by role."""
    held: tuple[HeldCount, ...]
    warnings: int
    in_doubt: int

    @property
    def calls(self) -> int:
        """The number of requests that the runs sent to OneFile."""
        return sum(each.calls for each in self.runs)


def report(session: StateSession, organisation_ids: Collection[int], since: datetime, until: datetime) -> Report:
    """The report of some organisations together."""
    ran = (run.c.organisation_id.in_(organisation_ids), run.c.started_at >= since, run.c.started_at < until)
    runs = session.connection.execute(
        select(run.c.trigger, run.c.state, func.count(), func.sum(run.c.calls))
        .where(*ran)
        .group_by(run.c.trigger, run.c.state)
        .order_by(run.c.trigger, run.c.state)
    )
    verified = session.connection.execute(
        select(run.c.id, run.c.started_at, run.c.drift).where(*ran, run.c.drift.is_not(None)).order_by(run.c.id)
    ).all()
    rejected = session.connection.execute(
        select(run.c.id, run.c.started_at, run.c.settled_by)
        .where(*ran, run.c.state == RunState.REJECTED)
        .order_by(run.c.id)
    )
    return Report(
        since,
        until,
        tuple(organisation_ids),
        tuple(RunCount(Trigger(trigger), RunState(state), count, calls) for trigger, state, count, calls in runs),
        len(verified),
        _approvals(session.connection, organisation_ids, since, until),
        tuple(RejectedRun(*row) for row in rejected),
        _requests(session.connection, organisation_ids, since, until),
        _changes(session.connection, organisation_ids, since, until),
        tuple(DriftFound(number, at, drift) for number, at, drift in verified if drift),
        sum((accounts.count_by_role(session.for_organisation(each)) for each in organisation_ids), Counter()),
        _held(session.connection, organisation_ids),
        sum(held_records.counts(session.for_organisation(each))[1] for each in organisation_ids),
        sum(changes.in_doubt(session.for_organisation(each)) for each in organisation_ids),
    )


def _approvals(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[ApprovedRun, ...]:
    columns = approval.c
    rows = connection.execute(
        select(
            columns.run_id,
            columns.approved_at,
            columns.approved_by,
            columns.creates,
            columns.updates,
            columns.leavers,
            columns.archivings,
        )
        .join(run, run.c.id == columns.run_id)
        .where(run.c.organisation_id.in_(organisation_ids), columns.approved_at >= since, columns.approved_at < until)
        .order_by(columns.id)
    )
    return tuple(ApprovedRun(*row) for row in rows)


def _requests(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[RequestedRun, ...]:
    columns = resync_request.c
    rows = connection.execute(
        select(columns.requested_at, columns.requested_by, columns.misids, columns.run_id)
        .where(
            columns.organisation_id.in_(organisation_ids),
            columns.requested_at >= since,
            columns.requested_at < until,
        )
        .order_by(columns.id)
    )
    return tuple(RequestedRun(at, by, len(misids), number) for at, by, misids, number in rows)


def _changes(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[ChangeCount, ...]:
    kinds = (change.c.role, change.c.action, change.c.outcome)
    rows = connection.execute(
        select(*kinds, func.count())
        .where(change.c.organisation_id.in_(organisation_ids), change.c.at >= since, change.c.at < until)
        .group_by(*kinds)
        .order_by(*kinds)
    )
    return tuple(
        ChangeCount(Role(role), Action(action), Outcome(outcome), count) for role, action, outcome, count in rows
    )


def _held(connection: Connection, organisation_ids: Collection[int]) -> tuple[HeldCount, ...]:
    kinds = (held.c.role, held.c.reason)
    rows = connection.execute(
        select(*kinds, func.count(), func.min(held.c.first_seen_at))
        .where(held.c.organisation_id.in_(organisation_ids), held.c.is_warning.is_(False))
        .group_by(*kinds)
        .order_by(*kinds)
    )
    return tuple(HeldCount(Role(role), Reason(reason), count, oldest) for role, reason, count, oldest in rows)
