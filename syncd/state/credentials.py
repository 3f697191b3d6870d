"""The first passwords of new accounts, kept encrypted until they are handed over."""

from datetime import datetime

from sqlalchemy import Connection

from syncd.core.records import Key
from syncd.state.tables import credential
from syncd.state.vault import Vault


def keep(
    connection: Connection, vault: Vault, key: Key, user_id: int, username: str, password: str, now: datetime
) -> bool:
    """Keep a new account's first password; without a key to encrypt it with it is dropped. Gives whether it is kept."""
    if not vault.has_key:
        return False
    connection.execute(
        credential.insert().values(
            organisation_id=key.organisation_id,
            role=key.role,
            misid=key.misid,
            user_id=user_id,
            secret=vault.seal({"username": username, "password": password}),
            created_at=now,
        )
    )
    return True
