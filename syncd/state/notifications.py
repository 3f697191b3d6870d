"""What was told to whom: remembered here, so that a restart tells nothing twice."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from syncd.core.alerts import AlertKind
from syncd.state.db.tables import notification
from syncd.state.session import StateSession


def sent_to(session: StateSession, address: str) -> dict[AlertKind, datetime]:
    """What was told to an address and is not known there to be over, and when the last digest went."""
    rows = session.connection.execute(
        select(notification.c.alert, notification.c.sent_at).where(
            notification.c.organisation_id == session.organisation_id, notification.c.channel == address
        )
    )
    return {AlertKind(alert): sent_at for alert, sent_at in rows}


def record_sent(session: StateSession, address: str, subject: AlertKind, at: datetime) -> None:
    """Note that an address was told."""
    forget(session, address, subject)
    session.connection.execute(
        notification.insert().values(
            organisation_id=session.organisation_id, channel=address, alert=subject, sent_at=at
        )
    )


def forget(session: StateSession, address: str, subject: AlertKind) -> None:
    """Note that an address knows that it is over."""
    session.connection.execute(
        notification.delete().where(
            notification.c.organisation_id == session.organisation_id,
            notification.c.channel == address,
            notification.c.alert == subject,
        )
    )


def forget_others(session: StateSession, addresses: Collection[str]) -> None:
    """Forget what addresses were told that are no longer written to."""
    session.connection.execute(
        notification.delete().where(
            notification.c.organisation_id == session.organisation_id, notification.c.channel.not_in(addresses)
        )
    )
