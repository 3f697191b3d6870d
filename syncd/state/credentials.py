"""The first passwords of new accounts, kept encrypted until they are handed over."""

from dataclasses import dataclass, field

from syncd.core.records import Key
from syncd.state.db.tables import credential
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """What a new account's owner needs to log in."""

    organisation_id: int
    role: str
    misid: str
    user_id: int
    username: str
    password: str = field(repr=False)


def save(session: StateSession, key: Key, user_id: int, username: str, password: str) -> bool:
    """Keep a new account's first password, or drop it if there is no encryption key; returns whether it was kept."""
    if not session.cipher.has_key:
        return False
    session.connection.execute(
        credential.insert().values(
            organisation_id=key.organisation_id,
            role=key.role,
            misid=key.misid,
            user_id=user_id,
            secret=session.cipher.encrypt({"username": username, "password": password}),
            created_at=session.now,
        )
    )
    return True


def drop(session: StateSession, key: Key, user_id: int) -> None:
    """Delete the password that was kept for this account."""
    columns = credential.c
    session.connection.execute(
        credential.delete().where(
            columns.organisation_id == key.organisation_id,
            columns.role == key.role,
            columns.misid == key.misid,
            columns.user_id == user_id,
        )
    )


def take(session: StateSession) -> list[FirstPassword]:
    """Delete and return all passwords kept for an organisation, the oldest first.

    Raises `StateUnusable` if one cannot be decrypted with the key.
    """
    taken = session.connection.execute(
        credential.delete().where(credential.c.organisation_id == session.organisation_id).returning(credential)
    )
    return [
        FirstPassword(row.organisation_id, row.role, row.misid, row.user_id, **session.cipher.decrypt(row.secret))
        for row in sorted(taken, key=lambda row: row.id)
    ]
