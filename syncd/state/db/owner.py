"""The store's owner: one OneFile and one customer, because UserIDs and approvals are only valid there."""

from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from syncd.errors import StateUnusable
from syncd.state.db.store import Store
from syncd.state.db.tables import account, owner

_ONLY: Final = 1
_OWNER: Final = select(owner.c.onefile, owner.c.customer, owner.c.noted_at)


class Owner(NamedTuple):
    """The OneFile and the customer that the store belongs to."""

    onefile: str
    """The host of the API."""
    customer: str
    """The `customer_hash` of the customer token; empty before the first run."""
    since: datetime


def customer_hash(customer_token: str) -> str:
    """The hash that identifies a customer: equal for equal tokens; the token cannot be derived from it."""
    return blake2b(customer_token.encode(), person=b"syncd owner", digest_size=16).hexdigest()


def owner_of(connection: Connection) -> Owner | None:
    """The owner; ``None`` before the first write."""
    row = connection.execute(_OWNER).one_or_none()
    return row and Owner(row.onefile, row.customer, row.noted_at)


def claim(store: Store, onefile: str, now: datetime) -> Owner:
    """Return the owner, which is this OneFile if the store has none yet. Raises `StateUnusable`."""
    with store.reading() as connection:
        found = owner_of(connection)
    if found:
        return found
    try:
        with store.begin() as connection:
            connection.execute(owner.insert().values(id=_ONLY, onefile=onefile, customer="", noted_at=now))
    except StateUnusable as problem:
        # Another process was quicker.
        if not isinstance(problem.__cause__, IntegrityError):
            raise
    with store.begin() as connection:
        return owner_of(connection) or Owner(onefile, "", now)


def note_customer(connection: Connection, customer: str) -> None:
    """Store the customer that the store belongs to."""
    connection.execute(owner.update().values(customer=customer))


def organisations(connection: Connection) -> frozenset[int]:
    """The organisations with accounts in the store."""
    return frozenset(connection.scalars(select(account.c.organisation_id).distinct()))
