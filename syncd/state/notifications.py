"""What was told to whom: remembered here, so that a restart tells nothing twice."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from syncd.core.alerts import AlertKind
from syncd.state.db.tables import told


def sent_to(connection: Connection, organisation_id: int, address: str) -> dict[AlertKind, datetime]:
    """What was told to an address and is not known there to be over, and when the last digest went."""
    rows = connection.execute(
        select(told.c.subject, told.c.told_at).where(
            told.c.organisation_id == organisation_id, told.c.address == address
        )
    )
    return {AlertKind(subject): told_at for subject, told_at in rows}


def record_sent(connection: Connection, organisation_id: int, address: str, subject: AlertKind, now: datetime) -> None:
    """Note that an address was told."""
    forget(connection, organisation_id, address, subject)
    connection.execute(
        told.insert().values(organisation_id=organisation_id, address=address, subject=subject, told_at=now)
    )


def forget(connection: Connection, organisation_id: int, address: str, subject: AlertKind) -> None:
    """Note that an address knows that it is over."""
    connection.execute(
        told.delete().where(
            told.c.organisation_id == organisation_id, told.c.address == address, told.c.subject == subject
        )
    )


def forget_others(connection: Connection, organisation_id: int, addresses: Collection[str]) -> None:
    """Forget what addresses were told that are no longer written to."""
    connection.execute(told.delete().where(told.c.organisation_id == organisation_id, told.c.address.not_in(addresses)))
