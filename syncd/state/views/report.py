"""The report of a time: what was done, by whose leave, and what is still to be seen to. It has no values."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from syncd.core.run import RunState
from syncd.state import accounts, changes, held_records
from syncd.state.db.tables import approval, change, held, resync_request, run


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one trigger that ended in one way."""

    trigger: str
    state: str
    count: int
    calls: int


@dataclass(frozen=True, slots=True)
class Approved:
    """Somebody let a run go."""

    run: int
    at: datetime
    by: str
    creates: int
    updates: int
    leavers: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Somebody put a stopped run aside."""

    run: int
    began: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody asked for a run."""

    at: datetime
    by: str
    people: int
    """Of how many; of everybody if nobody was named."""
    run: int | None
    """The one that answered."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one kind to accounts of one role, with one outcome."""

    role: str
    action: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class Holds:
    """The records of one role that are held for one reason, now."""

    role: str
    reason: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Drifted:
    """A verify found accounts that were not as they were left."""

    run: int
    at: datetime
    accounts: int


@dataclass(frozen=True, slots=True)
class Report:
    """What happened from one moment to before another, and how things stand now."""

    since: datetime
    until: datetime
    organisations: tuple[int, ...]
    runs: tuple[Runs, ...]
    verifies: int
    """How many of the runs read accounts back."""
    approvals: tuple[Approved, ...]
    rejections: tuple[Rejected, ...]
    requests: tuple[Requested, ...]
    changes: tuple[Changes, ...]
    drift: tuple[Drifted, ...]
    accounts: Counter[str]
    """Those there are now, by role."""
    held: tuple[Holds, ...]
    warnings: int
    in_doubt: int

    @property
    def calls(self) -> int:
        """How many requests the runs sent to OneFile."""
        return sum(each.calls for each in self.runs)


def report(connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime) -> Report:
    """The report of some organisations together."""
    ran = (run.c.organisation_id.in_(organisation_ids), run.c.started_at >= since, run.c.started_at < until)
    runs = connection.execute(
        select(run.c.trigger, run.c.state, func.count(), func.sum(run.c.calls))
        .where(*ran)
        .group_by(run.c.trigger, run.c.state)
        .order_by(run.c.trigger, run.c.state)
    )
    verified = connection.execute(
        select(run.c.id, run.c.started_at, run.c.drift).where(*ran, run.c.drift.is_not(None)).order_by(run.c.id)
    ).all()
    rejected = connection.execute(
        select(run.c.id, run.c.started_at, run.c.settled_by)
        .where(*ran, run.c.state == RunState.REJECTED)
        .order_by(run.c.id)
    )
    return Report(
        since,
        until,
        tuple(organisation_ids),
        tuple(Runs(trigger, state, count, calls) for trigger, state, count, calls in runs),
        len(verified),
        _approvals(connection, organisation_ids, since, until),
        tuple(Rejected(*row) for row in rejected),
        _requests(connection, organisation_ids, since, until),
        _changes(connection, organisation_ids, since, until),
        tuple(Drifted(number, at, drift) for number, at, drift in verified if drift),
        sum((accounts.count_by_role(connection, each) for each in organisation_ids), Counter()),
        _held(connection, organisation_ids),
        sum(held_records.counts(connection, each)[1] for each in organisation_ids),
        sum(changes.in_doubt(connection, each) for each in organisation_ids),
    )


def _approvals(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[Approved, ...]:
    columns = approval.c
    rows = connection.execute(
        select(
            columns.run_id,
            columns.approved_at,
            columns.approved_by,
            columns.creates,
            columns.updates,
            columns.leavers,
        )
        .join(run, run.c.id == columns.run_id)
        .where(run.c.organisation_id.in_(organisation_ids), columns.approved_at >= since, columns.approved_at < until)
        .order_by(columns.id)
    )
    return tuple(Approved(*row) for row in rows)


def _requests(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[Requested, ...]:
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
    return tuple(Requested(at, by, len(misids), number) for at, by, misids, number in rows)


def _changes(
    connection: Connection, organisation_ids: Collection[int], since: datetime, until: datetime
) -> tuple[Changes, ...]:
    kinds = (change.c.role, change.c.action, change.c.outcome)
    rows = connection.execute(
        select(*kinds, func.count())
        .where(change.c.organisation_id.in_(organisation_ids), change.c.at >= since, change.c.at < until)
        .group_by(*kinds)
        .order_by(*kinds)
    )
    return tuple(Changes(*row) for row in rows)


def _held(connection: Connection, organisation_ids: Collection[int]) -> tuple[Holds, ...]:
    kinds = (held.c.role, held.c.reason)
    rows = connection.execute(
        select(*kinds, func.count(), func.min(held.c.first_seen_at))
        .where(held.c.organisation_id.in_(organisation_ids), held.c.is_warning.is_(False))
        .group_by(*kinds)
        .order_by(*kinds)
    )
    return tuple(Holds(*row) for row in rows)
