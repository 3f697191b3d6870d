"""The daemon as others see it: where it runs and when it looks next."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from syncd.state.db.tables import daemon

#: A poll that has not begun so long after it was due is overdue.
OVERDUE_AFTER: Final = timedelta(minutes=5)


def register(connection: Connection, organisation_id: int, host: str, pid: int, now: datetime) -> None:
    """Note that a daemon has taken over this organisation."""
    unregister(connection, organisation_id)
    connection.execute(
        daemon.insert().values(organisation_id=organisation_id, host=host, pid=pid, started_at=now, next_run_at=None)
    )


def note_next_run(connection: Connection, organisation_id: int, at: datetime | None) -> None:
    """Note when the daemon looks next."""
    connection.execute(daemon.update().where(daemon.c.organisation_id == organisation_id).values(next_run_at=at))


def unregister(connection: Connection, organisation_id: int) -> None:
    """Note that no daemon works for this organisation."""
    connection.execute(daemon.delete().where(daemon.c.organisation_id == organisation_id))


def next_run_at(connection: Connection, organisation_id: int) -> datetime | None:
    """When the daemon looks next; ``None`` where there is none."""
    return connection.scalar(select(daemon.c.next_run_at).where(daemon.c.organisation_id == organisation_id))


def is_running(connection: Connection, organisation_id: int) -> bool:
    """Whether a daemon works for this organisation, or was killed while it did."""
    is_it = daemon.c.organisation_id == organisation_id
    return connection.execute(select(daemon.c.organisation_id).where(is_it)).first() is not None
