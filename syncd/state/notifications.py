"""What was told to whom: remembered here, so that a restart tells nothing twice."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from syncd.core.alerts import AlertKind
from syncd.state.db.tables import notification


def sent_to(connection: Connection, organisation_id: int, address: str) -> dict[AlertKind, datetime]:
    """What was told to an address and is not known there to be over, and when the last digest went."""
    rows = connection.execute(
        select(notification.c.alert, notification.c.sent_at).where(
            notification.c.organisation_id == organisation_id, notification.c.channel == address
        )
    )
    return {AlertKind(alert): sent_at for alert, sent_at in rows}


def record_sent(connection: Connection, organisation_id: int, address: str, subject: AlertKind, now: datetime) -> None:
    """Note that an address was told."""
    forget(connection, organisation_id, address, subject)
    connection.execute(
        notification.insert().values(organisation_id=organisation_id, channel=address, alert=subject, sent_at=now)
    )


def forget(connection: Connection, organisation_id: int, address: str, subject: AlertKind) -> None:
    """Note that an address knows that it is over."""
    connection.execute(
        notification.delete().where(
            notification.c.organisation_id == organisation_id,
            notification.c.channel == address,
            notification.c.alert == subject,
        )
    )


def forget_others(connection: Connection, organisation_id: int, addresses: Collection[str]) -> None:
    """Forget what addresses were told that are no longer written to."""
    connection.execute(
        notification.delete().where(
            notification.c.organisation_id == organisation_id, notification.c.channel.not_in(addresses)
        )
    )
