"""Sessions of the state store on a transaction that a test has open."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from syncd.state.db.encryption import ValueCipher
from syncd.state.session import StateSession


def session_on(
    connection: Connection,
    organisation_id: int = 0,
    at: datetime | None = None,
    *,
    cipher: ValueCipher | None = None,
) -> StateSession:
    """A session for an organisation, in which it is always the same time; without a cipher nothing is encrypted."""
    return StateSession(connection, organisation_id, cipher or ValueCipher(), lambda: at or datetime.now(UTC))
