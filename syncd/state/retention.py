"""Retention: old changes and runs are deleted, except those that syncd still needs."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from syncd.core.guard import WEEK
from syncd.core.run import Action, OneFileStatus, Outcome, RunState
from syncd.state.changes import UNSETTLED
from syncd.state.db.store import Store
from syncd.state.db.tables import approval, change, not_undone, plan_step, resync_request, run, withheld_step

#: Few enough at a time that other writers wait only for milliseconds.
BATCH_ROWS: Final = 500


class _Batch(NamedTuple):
    """The rows deleted in one transaction."""

    changes: int = 0
    steps: int = 0
    runs: int = 0
    reached: Any = None
    """Where the next batch continues. From the beginning it would scan all rows kept there, and, on PostgreSQL, the
    rows just deleted, which stay in an index until it is vacuumed."""


def kept_since(keep: timedelta, now: datetime) -> datetime | None:
    """The time since which every change is kept; ``None`` if all are.

    Those of the last 7 days are kept in any case, because the guard counts them.
    """
    return now - max(keep, WEEK) if keep else None


def purge(
    store: Store,
    organisation_ids: Collection[int],
    now: datetime,
    keep: timedelta,
    is_stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Delete changes, plans and runs older than ``keep``, in batches; returns how many changes were deleted.

    Unsettled changes of any age are kept, and so are the runs that are still needed: the newest of each kind, runs that
    wait for approval, and runs with an approval in force. Accounts and the held list are not touched. If ``keep`` is
    zero, everything is kept. Between two batches ``is_stopping`` may end it early. Raises `StateUnusable`.
    """
    before = kept_since(keep, now)
    if before is None:
        return 0
    count = 0
    for organisation_id in organisation_ids:
        # A run that starts meanwhile is newer than all of these.
        with store.reading() as connection:
            spared = _gone_by(connection, organisation_id)
        with store.begin() as connection:
            is_old = (withheld_step.c.organisation_id == organisation_id) & (withheld_step.c.decided_at < before)
            # What was rejected stays rejected for as long as the record does not change.
            connection.execute(withheld_step.delete().where(is_old, ~withheld_step.c.is_rejected))
        for purge_some in (_purge_changes, _purge_steps, _purge_runs):
            batch = _Batch()
            while not is_stopping():
                with store.begin() as connection:
                    batch = purge_some(connection, organisation_id, now, before, spared, batch.reached)
                count += batch.changes
                if not batch.changes + batch.steps + batch.runs:
                    break
    return count


def _purge_changes(
    connection: Connection,
    organisation_id: int,
    _now: datetime,
    before: datetime,
    _spared: Collection[int],
    reached: datetime | None,
) -> _Batch:
    rows = connection.execute(
        select(change.c.id, change.c.at)
        .where(
            change.c.organisation_id == organisation_id,
            change.c.at < before,
            # There may be more with the same time.
            *(() if reached is None else (change.c.at >= reached,)),
            ~_is_open(),
        )
        .order_by(change.c.at)
        .limit(BATCH_ROWS)
    ).all()
    connection.execute(change.delete().where(change.c.id.in_([row.id for row in rows])))
    return _Batch(changes=len(rows), reached=rows[-1].at if rows else None)


def _is_open() -> ColumnElement[bool]:
    """Whether a change is not settled yet, or puts its account in doubt."""
    return or_(
        change.c.outcome == Outcome.PENDING,
        and_(change.c.action == Action.CREATE, change.c.outcome.in_(UNSETTLED)),
    )


def _purge_steps(
    connection: Connection,
    organisation_id: int,
    now: datetime,
    before: datetime,
    spared: Collection[int],
    reached: int | None,
) -> _Batch:
    """Delete the plans of the runs that are deleted next, because one plan may have very many steps."""
    of_run = plan_step.c.run_id == run.c.id
    has_steps = exists().where(of_run)
    outdated = [*_are_outdated(organisation_id, now, before, spared), run.c.id >= (reached or 0), has_steps]
    number = connection.scalar(select(run.c.id).where(*outdated).order_by(run.c.id).limit(1))
    if number is None:
        return _Batch()
    mine = plan_step.c.run_id == number
    last = select(plan_step.c.position).where(mine).order_by(plan_step.c.position).limit(BATCH_ROWS)
    count = connection.execute(
        plan_step.delete().where(
            mine, plan_step.c.position <= select(func.max(last.subquery().c.position)).scalar_subquery()
        )
    ).rowcount
    return _Batch(steps=count, reached=number)


def _are_outdated(
    organisation_id: int, now: datetime, before: datetime, spared: Collection[int]
) -> list[ColumnElement[bool]]:
    """The conditions for the runs to delete."""
    other = run.alias()
    return [
        run.c.organisation_id == organisation_id,
        run.c.started_at < before,
        run.c.state.not_in((RunState.RUNNING, RunState.AWAITING_APPROVAL)),
        run.c.id.not_in(spared),
        ~exists().where(change.c.run_id == run.c.id),
        ~exists().where(approval.c.run_id == run.c.id, approval.c.expires_at > now),
        # A run that has the same plan refers to its steps.
        ~exists().where(other.c.plan_run_id == run.c.id, other.c.id != run.c.id),
    ]


def _purge_runs(
    connection: Connection,
    organisation_id: int,
    now: datetime,
    before: datetime,
    spared: Collection[int],
    reached: int | None,
) -> _Batch:
    rows = connection.execute(
        select(run.c.id)
        .where(
            *_are_outdated(organisation_id, now, before, spared),
            run.c.id > (reached or 0),
            ~exists().where(plan_step.c.run_id == run.c.id),
        )
        .order_by(run.c.id)
        .limit(BATCH_ROWS)
    ).all()
    numbers = [row.id for row in rows]
    for belonging in (approval, resync_request, not_undone):
        connection.execute(belonging.delete().where(belonging.c.run_id.in_(numbers)))
    connection.execute(run.delete().where(run.c.id.in_(numbers)))
    return _Batch(runs=len(rows), reached=max(numbers, default=None))


def _gone_by(connection: Connection, organisation_id: int) -> set[int]:
    """The runs that later runs and the status need."""
    of_organisation = run.c.organisation_id == organisation_id
    newest = select(func.max(run.c.id)).where(of_organisation)
    found = set(connection.scalars(newest.group_by(run.c.trigger, run.c.state)))
    found |= set(connection.scalars(newest.group_by(run.c.onefile_status)))
    # The status shows since when OneFile could not be reached.
    last_ok = connection.scalar(newest.where(run.c.onefile_status == OneFileStatus.OK)) or 0
    found.add(
        connection.scalar(
            select(func.min(run.c.id)).where(
                of_organisation, run.c.id > last_ok, run.c.onefile_status == OneFileStatus.UNREACHABLE
            )
        )
        or 0
    )
    # SQLite reuses the number of the newest row once it is deleted, and runs refer to approvals by number.
    found.add(connection.scalar(select(approval.c.run_id).order_by(approval.c.id.desc()).limit(1)) or 0)
    return found
