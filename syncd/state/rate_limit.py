"""The rate limit, kept in the store so that all processes with one customer token share it."""

from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import IntegrityError

from syncd.errors import LockLost, StateUnusable
from syncd.state.db.store import Store
from syncd.state.db.tables import rate_limit

_MINUTE: Final = 60_000_000
_IS_MINE: Final = rate_limit.c.customer == bindparam("mine")
_LINE: Final = select(rate_limit).where(_IS_MINE).with_for_update()
_TURN: Final = rate_limit.update().where(_IS_MINE)


class StoredRateLimit:
    """When the next call with a customer token may be made; the token itself is not stored.

    Every call takes its slot here immediately before it is sent, however long it has waited. So this is where a process
    that has lost its lock is kept from calling.
    """

    def __init__(self, store: Store, customer_token: str) -> None:
        self._store = store
        self._token = blake2b(customer_token.encode(), person=b"syncd pace", digest_size=16).hexdigest()
        self._is_there = False

    def advance(self, step: Callable[[int], tuple[int, float]]) -> float:
        """Apply ``step`` to the stored time (microseconds since 1970) in one transaction; returns its seconds.

        Raises `LockLost` if this process wrote under a lock that it no longer has.
        """
        self._begin_line()
        with self._store.begin() as connection:
            row = connection.execute(_LINE, {"mine": self._token}).one()
            advanced, seconds = step(row.next_slot_us)
            if advanced != row.next_slot_us:
                # The next slot is never much later than now, so it shows which minute it is.
                counts = _counts_in(row, advanced // _MINUTE)
                counts["calls"] += 1
                connection.execute(_TURN, {"mine": self._token, "next_slot_us": advanced, **counts})
        if not self._store.may_write():
            raise LockLost(
                f"The connection or the file in the state store {self._store} that kept the lock of this run was lost, "
                "and another run may have started. Nothing is lost; the next run continues from here."
            )
        return seconds

    def calls_of_last_minute(self, now: datetime) -> int:
        """About how many calls all processes have made in the last 60 seconds. Raises `StateUnusable`."""
        with self._store.reading() as connection:
            row = connection.execute(select(rate_limit).where(rate_limit.c.customer == self._token)).one_or_none()
        if row is None:
            return 0
        minute, elapsed = divmod(int(now.timestamp() * 1e6), _MINUTE)
        counts = _counts_in(row, minute)
        return counts["calls"] + round(counts["calls_before"] * (1 - elapsed / _MINUTE))

    def _begin_line(self) -> None:
        if self._is_there:
            return
        with self._store.begin() as connection:
            is_new = (
                connection.execute(select(rate_limit.c.customer).where(rate_limit.c.customer == self._token)).first()
                is None
            )
        if is_new:
            try:
                with self._store.begin() as connection:
                    connection.execute(rate_limit.insert().values(customer=self._token, next_slot_us=0))
            except StateUnusable as problem:
                # Another process has inserted it meanwhile.
                if not isinstance(problem.__cause__, IntegrityError):
                    raise
        self._is_there = True


def _counts_in(row: Row[Any], minute: int) -> dict[str, int]:
    """The calls of this minute so far and of the one before it."""
    match minute - row.minute:
        case -1:
            # In a burst the next slot is ahead by a second or so, but its calls were sent in this minute.
            calls, before = row.calls_before + row.calls, 0
        case 0:
            calls, before = row.calls, row.calls_before
        case 1:
            calls, before = 0, row.calls
        case _:
            calls, before = 0, 0
    return {"minute": minute, "calls": calls, "calls_before": before}
