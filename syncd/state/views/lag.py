"""The lag: how long the oldest change that OneFile does not have yet has waited."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, select

from syncd.core.run import Action, FailureKind, RunState
from syncd.state.changes import UNSETTLED
from syncd.state.db.tables import change, held, refused_action, run


class UnsentChange(StrEnum):
    """Why a change is not in OneFile yet."""

    HELD = "held"
    """It cannot be sent as it is."""
    IN_DOUBT = "in_doubt"
    """It was sent, and the answer was lost."""
    QUEUED = "queued"
    """A run planned it, and neither that run nor a later one has sent it."""


def oldest(connection: Connection, organisation_id: int) -> dict[UnsentChange, datetime | None]:
    """Since when the oldest of each kind has waited; ``None`` if none waits."""
    return {
        UnsentChange.HELD: connection.scalar(
            select(func.min(held.c.first_seen_at)).where(
                held.c.organisation_id == organisation_id, held.c.is_warning.is_(False)
            )
        ),
        UnsentChange.IN_DOUBT: _in_doubt_since(connection, organisation_id),
        UnsentChange.QUEUED: _queued_since(connection, organisation_id),
    }


def _in_doubt_since(connection: Connection, organisation_id: int) -> datetime | None:
    # Grouped by outcome, so that the index finds the few unsettled changes instead of scanning millions by age.
    oldest_of_each = (
        select(func.min(change.c.at))
        .where(
            change.c.organisation_id == organisation_id,
            change.c.outcome.in_(UNSETTLED),
            change.c.action == Action.CREATE,
        )
        .group_by(change.c.outcome)
    )
    return min(connection.scalars(oldest_of_each), default=None)


def _queued_since(connection: Connection, organisation_id: int) -> datetime | None:
    here = run.c.organisation_id == organisation_id
    finished = connection.scalar(
        select(run.c.id).where(here, run.c.is_full, run.c.state == RunState.FINISHED).order_by(run.c.id.desc()).limit(1)
    )
    planned, tried = run.c.creates + run.c.updates, run.c.applied + run.c.refused + run.c.in_doubt
    # A run calls OneFile only if it has something to send, so a run without an answer had something.
    got_no_answer = run.c.failure_kind.in_((FailureKind.ONEFILE, FailureKind.CREDENTIALS))
    unfinished = connection.scalar(
        select(run.c.started_at)
        .where(here, run.c.id > (finished or 0), run.c.is_full, (planned > tried) | got_no_answer)
        .order_by(run.c.id)
        .limit(1)
    )
    suspended = connection.scalar(
        select(func.min(refused_action.c.suspended_at)).where(
            refused_action.c.organisation_id == organisation_id, refused_action.c.queued > 0
        )
    )
    return min((since for since in (unfinished, suspended) if since is not None), default=None)
