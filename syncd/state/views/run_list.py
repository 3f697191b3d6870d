"""The runs as they are looked at: the last ones, one with all that it did, and who asked for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, TextClause, func, select

from syncd.core.run import RunState
from syncd.state.db.tables import NOT_QUIET, approval, change, resync_request, run

#: All but the sample, which is for one run's own page.
_COLUMNS: Final = tuple(column for column in run.c if column.name != "sample")


@dataclass(frozen=True, slots=True)
class ResyncAnswer:
    """A request for a run."""

    organisation_id: int
    at: datetime
    by: str
    misids: tuple[str, ...]
    run_id: int | None
    """The run that has answered it."""


def listing(
    connection: Connection, organisations: Sequence[int], *, quiet_too: bool, first: int, most: int
) -> list[Row[Any]]:
    """So many runs, the newest first, from the ``first`` on, counted from 0.

    Those that found nothing to send are left out, unless ``quiet_too``.
    """
    rows = connection.execute(
        select(*_COLUMNS)
        .where(*_listed(organisations, quiet_too=quiet_too))
        .order_by(run.c.id.desc())
        .offset(first)
        .limit(most)
    )
    return list(rows)


def count(connection: Connection, organisations: Sequence[int], *, quiet_too: bool) -> int:
    """How many runs there are for `listing` to give."""
    return (
        connection.scalar(select(func.count()).select_from(run).where(*_listed(organisations, quiet_too=quiet_too)))
        or 0
    )


def _listed(organisations: Sequence[int], *, quiet_too: bool) -> list[ColumnElement[bool] | TextClause]:
    here = run.c.organisation_id.in_(organisations)
    return [here] if quiet_too else [here, NOT_QUIET]


def one(connection: Connection, organisations: Sequence[int], number: int) -> Row[Any] | None:
    """A run, with what is kept of its plan."""
    return connection.execute(
        select(run).where(run.c.id == number, run.c.organisation_id.in_(organisations))
    ).one_or_none()


def outcomes(connection: Connection, number: int) -> dict[str, dict[str, int]]:
    """What a run has sent so far: how many changes of each action, by outcome."""
    rows = connection.execute(
        select(change.c.action, change.c.outcome, func.count())
        .where(change.c.run_id == number)
        .group_by(change.c.action, change.c.outcome)
        .order_by(change.c.action, change.c.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for action, outcome, count in rows:
        found.setdefault(action, {})[outcome] = count
    return found


def changes_of(
    connection: Connection, number: int, *, action: str = "", outcome: str = "", first: int, most: int
) -> list[Row[Any]]:
    """So many changes of a run, from the ``first`` on, counted from 0, the newest first; values left out."""
    columns = change.c
    names = (
        "id",
        "at",
        "role",
        "misid",
        "user_id",
        "action",
        "fields",
        "outcome",
        "attempts",
        "http_status",
        "message",
    )
    conditions = [columns.run_id == number]
    conditions += [columns.action == action] if action else []
    conditions += [columns.outcome == outcome] if outcome else []
    rows = connection.execute(
        select(*(columns[name] for name in names))
        .where(*conditions)
        .order_by(columns.id.desc())
        .offset(first)
        .limit(most)
    )
    return list(rows)


def approval_of(connection: Connection, number: int) -> Row[Any] | None:
    """The approval of a stopped run, if it has one."""
    return connection.execute(
        select(approval).where(approval.c.run_id == number).order_by(approval.c.id.desc()).limit(1)
    ).one_or_none()


def requests_answered_by(connection: Connection, number: int) -> list[ResyncAnswer]:
    """The requests that a run has answered; they are forgotten some days later."""
    rows = connection.execute(select(resync_request).where(resync_request.c.run_id == number))
    return [_to_answer(row) for row in rows]


def misids_of(asked: Sequence[ResyncAnswer]) -> list[str]:
    """The MISIDs that a run for all of these was limited to; none, which is everybody, if one was for everybody."""
    return sorted({misid for each in asked for misid in each.misids}) if all(each.misids for each in asked) else []


def request(connection: Connection, organisations: Sequence[int], number: int) -> ResyncAnswer | None:
    """A request by its number."""
    row = connection.execute(
        select(resync_request).where(resync_request.c.id == number, resync_request.c.organisation_id.in_(organisations))
    ).one_or_none()
    return None if row is None else _to_answer(row)


def in_progress(connection: Connection, organisation_id: int) -> Row[Any] | None:
    """The run that is at work now."""
    return connection.execute(
        select(*_COLUMNS)
        .where(run.c.organisation_id == organisation_id, run.c.state == RunState.RUNNING)
        .order_by(run.c.id.desc())
        .limit(1)
    ).one_or_none()


def _to_answer(row: Row[Any]) -> ResyncAnswer:
    return ResyncAnswer(row.organisation_id, row.requested_at, row.requested_by, tuple(row.misids), row.run_id)
