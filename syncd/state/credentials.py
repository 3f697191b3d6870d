"""The first passwords of new accounts, kept encrypted until they are handed over."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from syncd.core.records import Key
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.tables import credential


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """What a new account's owner needs to log in."""

    organisation_id: int
    role: str
    misid: str
    user_id: int
    username: str
    password: str = field(repr=False)


def save(
    connection: Connection, cipher: ValueCipher, key: Key, user_id: int, username: str, password: str, now: datetime
) -> bool:
    """Keep a new account's first password; without a key to encrypt it with it is dropped. Gives whether it is kept."""
    if not cipher.has_key:
        return False
    connection.execute(
        credential.insert().values(
            organisation_id=key.organisation_id,
            role=key.role,
            misid=key.misid,
            user_id=user_id,
            secret=cipher.encrypt({"username": username, "password": password}),
            created_at=now,
        )
    )
    return True


def take(connection: Connection, cipher: ValueCipher, organisation_id: int) -> list[FirstPassword]:
    """Take out all that are kept for an organisation, the oldest first; they are gone once the transaction commits.

    Raises `StateUnusable` when one cannot be opened with the key.
    """
    taken = connection.execute(
        credential.delete().where(credential.c.organisation_id == organisation_id).returning(credential)
    )
    return [
        FirstPassword(row.organisation_id, row.role, row.misid, row.user_id, **cipher.decrypt(row.secret))
        for row in sorted(taken, key=lambda row: row.id)
    ]
