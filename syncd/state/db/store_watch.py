"""Notices that a state store in use is no longer the one it was: an older copy, an empty one, or a file cut short."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import func, select

from syncd.errors import StateReplaced, StateUnusable
from syncd.state.db.store import Store, replaced
from syncd.state.db.tables import change, run

#: How often in a row something must be seen: SQLite may be copying its write-ahead log into the file meanwhile.
_TIMES: Final = 3
#: Of how many looks one is at a database on a server, which many daemons may share; it is restored less easily.
_EVERY_ON_SERVER: Final = 10
_MARKS: Final = select(select(func.max(run.c.id)).scalar_subquery(), select(func.max(change.c.id)).scalar_subquery())


class _Marks(NamedTuple):
    """The numbers of the newest run and the newest change. They grow: the newest run is never purged."""

    run: int = 0
    change: int = 0

    def loss(self, now: "_Marks") -> str:
        """What a store with these marks has lost if it now has others; empty if nothing."""
        if now.run < self.run:
            return f"was replaced by an older copy, whose newest run is {now.run or 'none'} and not {self.run},"
        # All changes may be purged.
        if 0 < now.change < self.change:
            return f"was replaced by an older copy, whose newest change is {now.change} and not {self.change},"
        return ""


class StoreWatch:
    """Remembers how far a store was, and compares it each time `check` is called, which is every second or so.

    A SQLite store is compared twice. Through its own connections SQLite may still see the pages that it has in its
    cache and in the write-ahead log when the file below them is another one. So the file is also read by itself; it
    is as far as the last checkpoint, and a copy that is further than that has lost nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_store = _Marks()
        self._in_file = _Marks()
        self._read_file: tuple[int, int] | None = None
        """The time and the size of the file when it was read."""
        self._times_seen = 0
        self._looks = 0

    def check(self) -> None:
        """Raises `StateReplaced` if the store is no longer the one it was; other problems are not reported."""
        self._store.check_file()
        self._looks += 1
        if self._store.file is None and not self._times_seen and self._looks % _EVERY_ON_SERVER != 1:
            return
        found = self._loss_of_file() or self._loss_of_store()
        self._times_seen = self._times_seen + 1 if found else 0
        if self._times_seen >= _TIMES:
            raise replaced(self._store, found)

    def _loss_of_store(self) -> str:
        try:
            with self._store.reading() as connection:
                now = _marks(connection.execute(_MARKS).one())
        except StateReplaced:
            raise
        except StateUnusable:
            return self._loss_of_schema()
        if found := self._in_store.loss(now):
            return found
        self._in_store = now
        return ""

    def _loss_of_schema(self) -> str:
        """Whether all tables are gone, as after a database was dropped and created again."""
        try:
            return "was emptied" if self._store.revision() is None else ""
        except StateReplaced:
            raise
        except StateUnusable:
            # It cannot be reached; whatever else needs it reports that.
            return ""

    def _loss_of_file(self) -> str:
        file = self._store.file
        if file is None:
            return ""
        try:
            found = file.stat()
            if (found.st_mtime_ns, found.st_size) == self._read_file:
                return ""
            now = _marks_in_file(file)
        except (OSError, sqlite3.OperationalError):
            # Whatever else needs the file reports that it cannot be read.
            return ""
        except sqlite3.DatabaseError as problem:
            return f"was cut short or overwritten ({problem})"
        if loss := self._in_file.loss(now):
            return loss
        self._in_file, self._read_file = now, (found.st_mtime_ns, found.st_size)
        return ""


def _marks(row: Sequence[int | None]) -> _Marks:
    return _Marks(*(number or 0 for number in row))


def _marks_in_file(file: Path) -> _Marks:
    """The marks in the file alone, without its write-ahead log. Raises `sqlite3.DatabaseError`."""
    # SQLite opens it, because closing a file in any other way would release the locks that this process has on it.
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        # Those of a new store are in the write-ahead log alone at first.
        return _marks(connection.execute(_MARKS.compile().string).fetchone()) if tables else _Marks()
    finally:
        connection.close()
