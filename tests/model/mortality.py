"""Time that passes only when somebody waits, and a process that can be killed at any of its seams."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, event

from syncd.onefile import RateLimiter
from syncd.onefile.rate_limit import RateLimitStore
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store

#: A run waits for a search to be trusted, or for OneFile's next minute; never longer at a stretch.
_LONGEST_WAIT: Final = timedelta(seconds=63)


class Killed(BaseException):
    """The process is no more."""


class Moment(StrEnum):
    """Where a process dies."""

    BEFORE_CALL = "before a call"
    DURING_CALL = "during a call"
    """OneFile has it, and nobody takes its answer."""
    BEFORE_COMMIT = "before a commit"
    AFTER_COMMIT = "after a commit"


class Clocks:
    """The time as it is, and as this machine has it."""

    def __init__(self) -> None:
        self.true = datetime(2026, 1, 15, 12, tzinfo=UTC)
        self.off = timedelta()
        self.longest_wait = timedelta()

    def __call__(self) -> datetime:
        return self.true + self.off

    def timestamp(self) -> float:
        return self.true.timestamp()

    def passes(self, span: timedelta) -> None:
        self.true += span

    def check_waits(self) -> None:
        assert self.longest_wait <= _LONGEST_WAIT, f"a run slept {self.longest_wait} at a stretch"


class Life:
    """One process: alive until the moment that was ordered, and from then on nothing it does has any effect."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._ends_at: Moment | None = None
        self._left = 0
        self.is_over = False

    def ends(self, moment: Moment, number: int) -> None:
        """Order its end at this moment of the ``number``-th call or commit from now."""
        self._ends_at, self._left = moment, number

    def goes_on(self) -> None:
        self._ends_at = None

    def check(self) -> None:
        if self.is_over:
            raise Killed

    def reach(self, moment: Moment) -> None:
        self.check()
        if moment is not self._ends_at:
            return
        self._left -= 1
        if self._left > 0:
            return
        self.is_over = True
        if moment is not Moment.DURING_CALL:
            raise Killed

    def sleep(self, seconds: float) -> bool:
        self.check()
        self._clocks.passes(timedelta(seconds=seconds))
        self._clocks.longest_wait = max(self._clocks.longest_wait, timedelta(seconds=seconds))
        return False


class MortalStore(Store):
    """The state store, as this process reaches it."""

    def __init__(self, url: str, life: Life) -> None:
        super().__init__(url, ValueCipher())
        self._life = life
        if self.file:
            # Nobody pulls a plug here, and waiting for a disk teaches nothing.
            event.listen(
                self.engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF")
            )

    @contextmanager
    def begin(self, *, relaxed_durability: bool = False) -> Iterator[Connection]:  # noqa: ARG002 - see above
        self._life.check()
        with super().begin() as connection:
            yield connection
            self._life.reach(Moment.BEFORE_COMMIT)
        self._life.reach(Moment.AFTER_COMMIT)


class MortalPacer(RateLimiter):
    """The pacer, past which every call goes."""

    def __init__(self, turns: RateLimitStore, life: Life, clocks: Clocks) -> None:
        super().__init__(turns, 300, clock=clocks, sleep=life.sleep)
        self._life = life

    def wait(self) -> None:
        super().wait()
        self._life.reach(Moment.BEFORE_CALL)
        self._life.reach(Moment.DURING_CALL)
