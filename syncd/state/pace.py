"""The line of calls, kept in the store so that all who call with one customer token stand in the same one."""

from collections.abc import Callable
from hashlib import blake2b

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from syncd.errors import LockLost, StateUnusable
from syncd.state.store import Store
from syncd.state.tables import pace


class StoredTurns:
    """When the line of one customer token is free; the token itself is not kept.

    A turn is the last thing before a call leaves, however long the call has waited for it, and whatever it is made
    for. So this is where a process that has lost its lock is kept from calling.
    """

    def __init__(self, store: Store, customer_token: str) -> None:
        self._store = store
        self._token = blake2b(customer_token.encode(), person=b"syncd pace", digest_size=16).hexdigest()
        self._is_there = False

    def advance(self, step: Callable[[int], tuple[int, float]]) -> float:
        """Apply ``step`` to the stored moment (microseconds since 1970) in one transaction; gives what it gives.

        Raises `LockLost` when this process wrote under a lock that it no longer has.
        """
        self._begin_line()
        is_mine = pace.c.token == self._token
        with self._store.begin() as connection:
            free_at = connection.execute(select(pace.c.free_at).where(is_mine).with_for_update()).scalar_one()
            advanced, seconds = step(free_at)
            if advanced != free_at:
                connection.execute(pace.update().where(is_mine).values(free_at=advanced))
        if not self._store.may_write():
            raise LockLost(
                f"The connection to the state store {self._store} that kept the lock of this run was lost, and another "
                "run may have begun. Nothing is lost; the next run goes on from here."
            )
        return seconds

    def _begin_line(self) -> None:
        if self._is_there:
            return
        with self._store.begin() as connection:
            is_new = connection.execute(select(pace.c.token).where(pace.c.token == self._token)).first() is None
        if is_new:
            try:
                with self._store.begin() as connection:
                    connection.execute(pace.insert().values(token=self._token, free_at=0))
            except StateUnusable as problem:
                # Somebody else has begun it meanwhile.
                if not isinstance(problem.__cause__, IntegrityError):
                    raise
        self._is_there = True
