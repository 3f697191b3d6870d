"""The browser sessions that were ended before they expired, kept until they would have."""

from datetime import datetime
from hashlib import blake2b

from sqlalchemy import ColumnElement, Connection, delete, exists, select

from syncd.state.db.tables import revoked_session


def revoke(connection: Connection, token: str, until: datetime, now: datetime) -> None:
    """End the session of this token, which would have expired at ``until``; delete entries that have expired."""
    connection.execute(delete(revoked_session).where((revoked_session.c.until <= now) | _matches_session(token)))
    connection.execute(revoked_session.insert().values(session=_hash_of(token), until=until))


def is_revoked(connection: Connection, token: str) -> bool:
    """Whether the session of this token was ended."""
    return bool(connection.scalar(select(exists().where(_matches_session(token)))))


def _matches_session(token: str) -> ColumnElement[bool]:
    return revoked_session.c.session == _hash_of(token)


def _hash_of(token: str) -> str:
    return blake2b(token.encode(), person=b"syncd session", digest_size=16).hexdigest()
