"""A session: one transaction of the store for one organisation, with what its functions need besides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from sqlalchemy import Connection

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store


@dataclass(frozen=True, slots=True)
class StateSession:
    """The open transaction, the organisation it is for, the cipher of stored values, and the clock.

    A function with the key of an account or the number of a run as parameter finds its row by that; one with several
    organisations reads those; every other function reads ``organisation_id``.
    """

    connection: Connection
    organisation_id: int
    cipher: ValueCipher
    clock: Callable[[], datetime]
    """Returns the time in UTC."""

    @property
    def now(self) -> datetime:
        """The time; each use reads the clock."""
        return self.clock()

    def for_organisation(self, organisation_id: int) -> Self:
        """The same transaction, for another organisation."""
        return replace(self, organisation_id=organisation_id)


@contextmanager
def writing_session(
    store: Store, organisation_id: int, clock: Callable[[], datetime], *, relaxed_durability: bool = False
) -> Iterator[StateSession]:
    """A session in one transaction of `Store.begin`. Raises `StateUnusable`."""
    with store.begin(relaxed_durability=relaxed_durability) as connection:
        yield StateSession(connection, organisation_id, store.cipher, clock)


@contextmanager
def reading_session(store: Store, organisation_id: int, clock: Callable[[], datetime]) -> Iterator[StateSession]:
    """A session in one transaction of `Store.reading`, which cannot write. Raises `StateUnusable`."""
    with store.reading() as connection:
        yield StateSession(connection, organisation_id, store.cipher, clock)
