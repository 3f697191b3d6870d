"""Whose store it is: it is about one OneFile and one customer, for UserIDs and approvals mean nothing anywhere else."""

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
    """Whom it belongs to."""

    onefile: str
    """The host of the API."""
    customer: str
    """What `customer_hash` makes of the customer token; empty before the first run."""
    since: datetime


def customer_hash(customer_token: str) -> str:
    """What a customer is known by here: equal for one token, which cannot be told from it."""
    return blake2b(customer_token.encode(), person=b"syncd owner", digest_size=16).hexdigest()


def owner_of(connection: Connection) -> Owner | None:
    """Whose it is; ``None`` before anybody has written to it."""
    row = connection.execute(_OWNER).one_or_none()
    return row and Owner(row.onefile, row.customer, row.noted_at)


def claim(store: Store, onefile: str, now: datetime) -> Owner:
    """Whose it is: who writes first makes it theirs. Raises `StateUnusable`."""
    with store.reading() as connection:
        found = owner_of(connection)
    if found:
        return found
    try:
        with store.begin() as connection:
            connection.execute(owner.insert().values(id=_ONLY, onefile=onefile, customer="", noted_at=now))
    except StateUnusable as problem:
        # Somebody else has been quicker.
        if not isinstance(problem.__cause__, IntegrityError):
            raise
    with store.begin() as connection:
        return owner_of(connection) or Owner(onefile, "", now)


def note_customer(connection: Connection, customer: str) -> None:
    """It belongs to this customer from now on."""
    connection.execute(owner.update().values(customer=customer))


def organisations(connection: Connection) -> frozenset[int]:
    """Those that the store knows accounts of."""
    return frozenset(connection.scalars(select(account.c.organisation_id).distinct()))
