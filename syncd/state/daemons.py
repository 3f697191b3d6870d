"""The daemon as other processes see it: where it runs and when it polls next."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from syncd.state.db.tables import daemon
from syncd.state.session import StateSession

#: A poll that has not begun this long after it was due is overdue.
OVERDUE_AFTER: Final = timedelta(minutes=5)


def register(session: StateSession, host: str, pid: int) -> None:
    """Store that a daemon has taken over this organisation."""
    unregister(session)
    session.connection.execute(
        daemon.insert().values(
            organisation_id=session.organisation_id, host=host, pid=pid, started_at=session.now, next_run_at=None
        )
    )


def note_next_run(session: StateSession, at: datetime | None) -> None:
    """Store when the daemon polls next."""
    session.connection.execute(
        daemon.update().where(daemon.c.organisation_id == session.organisation_id).values(next_run_at=at)
    )


def unregister(session: StateSession) -> None:
    """Store that no daemon works for this organisation."""
    session.connection.execute(daemon.delete().where(daemon.c.organisation_id == session.organisation_id))


def next_run_at(session: StateSession) -> datetime | None:
    """When the daemon polls next; ``None`` if there is no daemon or no poll is due."""
    return session.connection.scalar(
        select(daemon.c.next_run_at).where(daemon.c.organisation_id == session.organisation_id)
    )


def is_running(session: StateSession) -> bool:
    """Whether a daemon works for this organisation, or was killed while it did."""
    is_it = daemon.c.organisation_id == session.organisation_id
    return session.connection.execute(select(daemon.c.organisation_id).where(is_it)).first() is not None
