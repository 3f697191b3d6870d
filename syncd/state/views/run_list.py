"""Runs as the pages show them: the list of runs, and one run with everything it did."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, func, select

from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.state.changes import ENTRY_COLUMNS, ChangeEntry, to_entry
from syncd.state.db.tables import NOT_QUIET, change, run
from syncd.state.runs import SUMMARY_COLUMNS, RunSummary, VerifyScope, to_summary
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run, with what only its own page shows."""

    summary: RunSummary
    plan_run: int | None
    """The run whose stored steps are its plan; ``None`` if it has none."""
    verify_scope: VerifyScope | None
    """The accounts that a verify has read back."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are listed."""

    quiet_too: bool = False
    """Whether those are listed that found nothing to send."""
    state: RunState | None = None
    trigger: Trigger | None = None


def listing(
    connection: Connection, organisations: Sequence[int], wanted: RunFilter, *, first: int, most: int
) -> list[RunSummary]:
    """At most ``most`` runs, the newest first, from position ``first``, counted from 0."""
    rows = connection.execute(
        select(*SUMMARY_COLUMNS)
        .where(*_listed(organisations, wanted))
        .order_by(run.c.id.desc())
        .offset(first)
        .limit(most)
    )
    return [to_summary(row) for row in rows]


def count(connection: Connection, organisations: Sequence[int], wanted: RunFilter) -> int:
    """How many runs `listing` has."""
    return connection.scalar(select(func.count()).select_from(run).where(*_listed(organisations, wanted))) or 0


def _listed(organisations: Sequence[int], wanted: RunFilter) -> list[ColumnElement[bool] | TextClause]:
    conditions: list[ColumnElement[bool] | TextClause] = [run.c.organisation_id.in_(organisations)]
    conditions += [] if wanted.quiet_too else [NOT_QUIET]
    conditions += [] if wanted.state is None else [run.c.state == wanted.state]
    conditions += [] if wanted.trigger is None else [run.c.trigger == wanted.trigger]
    return conditions


def find(connection: Connection, organisations: Sequence[int], number: int) -> RunDetails | None:
    """A run by its number."""
    columns: list[ColumnElement[Any]] = [*SUMMARY_COLUMNS, run.c.plan_run_id, run.c.verify_scope]
    row = connection.execute(
        select(*columns).where(run.c.id == number, run.c.organisation_id.in_(organisations))
    ).one_or_none()
    if row is None:
        return None
    scope = None if row.verify_scope is None else VerifyScope.from_json(row.verify_scope)
    return RunDetails(to_summary(row), row.plan_run_id, scope)


def outcomes(connection: Connection, number: int) -> dict[Action, dict[Outcome, int]]:
    """How many changes a run has sent so far: for each action, the number by outcome."""
    rows = connection.execute(
        select(change.c.action, change.c.outcome, func.count())
        .where(change.c.run_id == number)
        .group_by(change.c.action, change.c.outcome)
        .order_by(change.c.action, change.c.outcome)
    )
    found: dict[Action, dict[Outcome, int]] = {}
    for action, outcome, number_of_changes in rows:
        found.setdefault(Action(action), {})[Outcome(outcome)] = number_of_changes
    return found


def changes_of(
    session: StateSession, number: int, *, action: str = "", outcome: str = "", first: int, most: int
) -> list[ChangeEntry]:
    """At most ``most`` changes of a run, the newest first, from position ``first``, counted from 0."""
    columns = change.c
    conditions = [columns.run_id == number]
    conditions += [columns.action == action] if action else []
    conditions += [columns.outcome == outcome] if outcome else []
    rows = session.connection.execute(
        select(*ENTRY_COLUMNS).where(*conditions).order_by(columns.id.desc()).offset(first).limit(most)
    )
    return [to_entry(row, session.cipher) for row in rows]
