"""Resync requests: runs that the daemon has been asked for, and the run that answered each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from syncd.core.scope import EVERYONE, Scope
from syncd.state.db.tables import resync_request, run
from syncd.state.runs import SUMMARY_COLUMNS, RunSummary, to_summary
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class ResyncRequest:
    """A request for a run."""

    id: int
    organisation_id: int
    requested_at: datetime
    requested_by: str
    misids: tuple[str, ...]
    """The records it is limited to; empty for every record."""
    run_id: int | None
    """The run that has answered it."""
    undone_run_id: int | None = None
    """The run to undo; ``None`` if it asks for a run over the feeds."""


def add(session: StateSession, who: str, misids: Sequence[str] = (), undone_run: int | None = None) -> int:
    """Ask the daemon for a run, or to undo one; returns the request's number."""
    number: int = session.connection.execute(
        resync_request.insert()
        .values(
            organisation_id=session.organisation_id,
            requested_at=session.now,
            requested_by=who,
            misids=list(misids),
            undone_run_id=undone_run,
        )
        .returning(resync_request.c.id)
    ).scalar_one()
    return number


def find(connection: Connection, organisations: Sequence[int], number: int) -> ResyncRequest | None:
    """A request by its number."""
    row = connection.execute(
        select(resync_request).where(resync_request.c.id == number, resync_request.c.organisation_id.in_(organisations))
    ).one_or_none()
    return None if row is None else _to_request(row)


def organisations_waiting(connection: Connection) -> set[int]:
    """The organisations with a request that no run has answered."""
    asked = select(resync_request.c.organisation_id).where(resync_request.c.run_id.is_(None)).distinct()
    return set(connection.scalars(asked))


def waiting(session: StateSession, *, targeted_only: bool = False) -> list[ResyncRequest]:
    """The requests that no run has answered, or those of them that ask for a run over a few records."""
    rows = session.connection.execute(
        select(resync_request).where(
            resync_request.c.organisation_id == session.organisation_id, resync_request.c.run_id.is_(None)
        )
    )
    return [_to_request(row) for row in rows if not targeted_only or (row.misids and row.undone_run_id is None)]


def requested_scope(requests: Iterable[ResyncRequest]) -> Scope:
    """The scope of one run that answers all these requests: everyone if one of them names no MISID."""
    named = [each.misids for each in requests]
    return Scope.of(misid for misids in named for misid in misids) if all(named) else EVERYONE


def record_answer(session: StateSession, requests: Sequence[int], number: int) -> None:
    """Store that a run, which has ended, answers these requests."""
    session.connection.execute(resync_request.update().where(resync_request.c.id.in_(requests)).values(run_id=number))


def answering_run(session: StateSession, request: int) -> RunSummary | None:
    """The run that has answered a request, if one has."""
    row = session.connection.execute(
        select(*SUMMARY_COLUMNS)
        .join(resync_request, resync_request.c.run_id == run.c.id)
        .where(resync_request.c.id == request)
    ).one_or_none()
    return None if row is None else to_summary(row)


def answered_by(session: StateSession, number: int) -> list[ResyncRequest]:
    """The requests that a run has answered; they are deleted after some days."""
    rows = session.connection.execute(select(resync_request).where(resync_request.c.run_id == number))
    return [_to_request(row) for row in rows]


def _to_request(row: Row[Any]) -> ResyncRequest:
    return ResyncRequest(
        row.id,
        row.organisation_id,
        row.requested_at,
        row.requested_by,
        tuple(row.misids),
        row.run_id,
        row.undone_run_id,
    )
