"""The notifications sent to each channel, so that none is sent twice after a restart."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from syncd.core.alerts import Alert, AlertKind
from syncd.state.db.tables import notification
from syncd.state.session import StateSession


def sent_to(session: StateSession, address: str) -> dict[Alert, datetime]:
    """The problems that a channel was notified of and not yet of their end, and when the last digest was sent."""
    rows = session.connection.execute(
        select(notification.c.alert, notification.c.about, notification.c.sent_at).where(
            notification.c.organisation_id == session.organisation_id, notification.c.channel == address
        )
    )
    return {Alert(AlertKind(kind), about): sent_at for kind, about, sent_at in rows}


def record_sent(session: StateSession, address: str, alert: Alert, at: datetime) -> None:
    """Store that a channel was notified of a problem."""
    forget(session, address, alert)
    session.connection.execute(
        notification.insert().values(
            organisation_id=session.organisation_id, channel=address, alert=alert.kind, about=alert.about, sent_at=at
        )
    )


def forget(session: StateSession, address: str, alert: Alert) -> None:
    """Delete the entry of a problem whose end a channel was notified of."""
    session.connection.execute(
        notification.delete().where(
            notification.c.organisation_id == session.organisation_id,
            notification.c.channel == address,
            notification.c.alert == alert.kind,
            notification.c.about == alert.about,
        )
    )


def forget_others(session: StateSession, addresses: Collection[str]) -> None:
    """Delete the notifications of all channels but these."""
    session.connection.execute(
        notification.delete().where(
            notification.c.organisation_id == session.organisation_id, notification.c.channel.not_in(addresses)
        )
    )
