"""One writer per organisation: a file lock beside a SQLite store, an advisory lock on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path
from threading import Lock as ThreadLock
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from syncd.errors import AnotherRun, StateUnreachable
from syncd.state.db import files
from syncd.state.db.store import Store, unusable

_TRY_TO_LOCK: Final = text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK: Final = text("SELECT pg_advisory_unlock(:key)")


class Purpose(IntEnum):
    """What is locked."""

    WRITING = 1
    """Held by a run: only its holder may send."""
    LEADING = 2
    """Held by the daemon that polls, for as long as it lives."""


class Lock:
    """A lock that is held. It is released when its process ends, even if the process is killed.

    ``connection`` holds a lock of PostgreSQL, ``file`` is that of SQLite.
    """

    def __init__(self, connection: Connection | None, file: Path | None) -> None:
        self._connection = connection
        self._file = file
        self._locked_file = _identity(file)
        self._one_at_a_time = ThreadLock()
        self._is_lost = False

    def is_held(self) -> bool:
        """Whether it is still held: it is lost with the connection to PostgreSQL, or with the file. Thread-safe."""
        if self._connection is None:
            # Once the file is deleted, another process locks a new one.
            return _identity(self._file) == self._locked_file
        with self._one_at_a_time:
            # If queried again, SQLAlchemy might reconnect, to a session that has no lock.
            if not self._is_lost:
                try:
                    self._connection.execute(text("SELECT 1"))
                except SQLAlchemyError:
                    self._is_lost = True
            return not self._is_lost


@contextmanager
def locked(store: Store, organisation_id: int, purpose: Purpose) -> Iterator[Lock]:
    """Hold the lock of an organisation. Raises `AnotherRun` if another holder has it.

    If the lock for writing is lost meanwhile, no further call is made (`syncd.state.rate_limit`).
    """
    with ExitStack() as stack:
        connection, file = None, None
        if store.file:
            file = _lock_file(stack, store.file, organisation_id, purpose)
        elif store.url.get_backend_name() == "postgresql":
            connection = _lock_on_server(stack, store, organisation_id, purpose)
        lock = Lock(connection, file)
        if purpose is Purpose.WRITING:
            before, store.may_write = store.may_write, lock.is_held
            stack.callback(setattr, store, "may_write", before)
        yield lock


@contextmanager
def locked_when_free(store: Store, organisation_id: int, purpose: Purpose, wait: Callable[[], None]) -> Iterator[Lock]:
    """Hold the lock as soon as it is free; ``wait`` is called between two attempts and may raise to give up."""
    with ExitStack() as stack:
        while True:
            try:
                lock = stack.enter_context(locked(store, organisation_id, purpose))
                break
            except AnotherRun:
                wait()
        yield lock


def _lock_file(stack: ExitStack, database: Path, organisation_id: int, purpose: Purpose) -> Path:
    file = database.with_name(f"{database.name}.{organisation_id}.{purpose.name.lower()}.lock")
    try:
        with suppress(FileExistsError):
            files.create(file, database)
        stack.enter_context(FileLock(file).acquire(timeout=0))
    except Timeout:
        raise AnotherRun(_sentence(organisation_id, purpose)) from None
    except OSError as problem:
        why = files.refusal(database) or f"{file}: {problem.strerror}"
        raise StateUnreachable(f"The state store cannot be used: {why}.") from problem
    return file


def _identity(file: Path | None) -> tuple[int, int] | None:
    """The device and the number of a file; ``None`` if there is none."""
    try:
        found = file and file.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def _lock_on_server(stack: ExitStack, store: Store, organisation_id: int, purpose: Purpose) -> Connection:
    try:
        connection = stack.enter_context(store.engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
        # One number for the pair: the two-number form has no room for an organisation's id beside the purpose.
        digest = blake2b(f"{purpose} {organisation_id}".encode(), person=b"syncd lock", digest_size=8).digest()
        key = int.from_bytes(digest, signed=True)
        is_ours = connection.scalar(_TRY_TO_LOCK, {"key": key})
    except SQLAlchemyError as problem:
        raise unusable(store, problem) from problem
    if not is_ours:
        raise AnotherRun(_sentence(organisation_id, purpose))
    stack.callback(_unlock_on_server, connection, key)
    return connection


def _unlock_on_server(connection: Connection, key: int) -> None:
    is_let_go = False
    try:
        with suppress(SQLAlchemyError):
            # A lost connection would be reconnected, to a session that has no lock.
            is_let_go = not connection.invalidated and connection.scalar(_UNLOCK, {"key": key})
    finally:
        if not is_let_go:
            # In the pool the connection might hold the lock for as long as this process lives.
            connection.invalidate()


def _sentence(organisation_id: int, purpose: Purpose) -> str:
    if purpose is Purpose.LEADING:
        return f"Another daemon works for organisation {organisation_id} on this state store."
    return (
        f"Another run is in progress for organisation {organisation_id} on this state store. "
        "'syncd status' shows it; try again when it is finished."
    )
