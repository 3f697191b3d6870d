"""Opening the state store: the engine, its migrations, and what every module needs to work on it."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from syncd.database_url import without_secrets
from syncd.errors import ConfigurationError, StateReplaced, StateUnreachable, StateUnusable
from syncd.state.db import files, schema
from syncd.state.db.encryption import ValueCipher


class _Kind(Enum):
    """What a transaction is for; the value is the SQLite settings for it."""

    READING = (("query_only", "ON"),)
    LASTING = (("query_only", "OFF"), ("synchronous", "FULL"))
    FLEETING = (("query_only", "OFF"), ("synchronous", "NORMAL"))


#: How long SQLite waits for another process that writes.
_BUSY_SECONDS: Final = 30

#: Raised for a lost connection, a full disk or a lock; any other error is caused by the statement or the data.
_MAY_PASS: Final = (OperationalError, InterfaceError, PoolTimeout)

#: Ends with the transaction. SQLite's transactions need none: they lock the database when they begin.
_LOCK_MIGRATIONS: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('syncd migrations', 0))")

_WRITABILITY: Final = text("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')")
_BACKEND: Final = text("SELECT pg_backend_pid()")

#: What helps against an error of PostgreSQL, by its SQLSTATE; without the full stop.
_SESSIONS_ARE_SHARED: Final = (
    "A connection pooler must pool by session: set pool_mode = session in PgBouncer for this database, or name "
    "PostgreSQL's own address in state.url"
)
_NAME_PRIMARY: Final = "Name the primary in state.url; of several hosts, target_session_attrs=read-write chooses it"
_ALLOW_WRITES: Final = "Set default_transaction_read_only = off for the database, the role or the server"
_REMEDIES: Final = {
    # A prepared statement is there already, or no longer.
    "42P05": _SESSIONS_ARE_SHARED,
    "26000": _SESSIONS_ARE_SHARED,
    # The recovery of a replica has stopped the query.
    "40001": (
        "Run the command again; if the server is a replica, set hot_standby_feedback = on there, or raise "
        "max_standby_streaming_delay"
    ),
    # A write on a standby, or on a primary that is set to read-only.
    "25006": (
        "If the server is a standby, name the primary in state.url; otherwise set default_transaction_read_only = off"
    ),
}

#: The connection option that holds the kind.
_KIND: Final = "syncd_kind"


class Store:
    """The state store, open.

    ``url`` is a SQLAlchemy URL of a SQLite or PostgreSQL database. Raises `ConfigurationError` for any other.
    """

    def __init__(self, url: str, cipher: ValueCipher) -> None:
        self.url: Final = make_url(url)
        self.cipher: Final = cipher
        self.is_stopping: Callable[[], bool] = lambda: False
        """Returns true once this process is to end: then a PostgreSQL that does not answer is given up soon."""
        self.engine: Final = _engine(url, self._is_to_stop)
        self.may_write: Callable[[], bool] = lambda: True
        """Returns false once this process has lost the lock it writes under; true if it has none."""
        self._opened: tuple[int, int] | None = None
        """The device and the number of the file that the first transaction was made in."""

    def _is_to_stop(self) -> bool:
        return self.is_stopping()

    @property
    def file(self) -> Path | None:
        """The database file, if the store is SQLite in a file."""
        name = self.url.database
        return Path(name) if self.url.get_backend_name() == "sqlite" and name and name != ":memory:" else None

    @contextmanager
    def begin(self, *, relaxed_durability: bool = False) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises. Raises `StateUnusable`.

        If the file was deleted or replaced meanwhile, `StateReplaced` is raised, so that nothing follows from a commit
        that nobody would find again.
        A commit survives a power cut. With ``relaxed_durability`` it survives this process and is visible to all, but
        does not wait for the disk; the next durable commit writes it too. Use that only for facts that may be lost if
        nothing has followed from them, for example that a run has begun; never for an intent or an outcome.
        """
        try:
            with self._begun(_Kind.FLEETING if relaxed_durability else _Kind.LASTING) as connection:
                yield connection
        except SQLAlchemyError as problem:
            raise unusable(self, problem) from problem
        self.check_file()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read-only transaction that sees the store as it was at its beginning and does not wait for writers.

        Raises `StateUnusable`.
        """
        try:
            with self._begun(_Kind.READING) as connection:
                yield connection
        except SQLAlchemyError as problem:
            raise unusable(self, problem) from problem

    @contextmanager
    def _begun(self, kind: _Kind) -> Iterator[Connection]:
        self.check_file()
        options: dict[str, Any] = {_KIND: kind}
        if kind is _Kind.READING and self.url.get_backend_name() == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect() as connection, connection.execution_options(**options).begin():
            yield connection

    def upgrade(self) -> str | None:
        """Bring the schema up to the newest migration; this alone creates the file of a store that is not there yet.

        Several processes may do so at once. Returns the migration that the schema was at; ``None`` if there was none.
        Raises `StateUnusable` if the schema is newer than this program, and `StateReplaced` if there was a store.
        """
        revision = self.revision()
        self.refuse_newer(revision)
        if revision == schema.NEWEST:
            return revision
        self._create_file()
        try:
            with _migrating(self.engine) as connection:
                # Another process may have been quicker.
                revision = schema.revision_of(connection)
                self.refuse_newer(revision)
                if revision != schema.NEWEST:
                    schema.upgrade(connection)
        except SQLAlchemyError as problem:
            raise unusable(self, problem) from problem
        return revision

    def refuse_newer(self, revision: str | None) -> None:
        """Raises `StateUnusable` if a schema at this migration is newer than this program."""
        if schema.is_newer(revision):
            raise StateUnusable(
                f"The state store {self} was written by a newer syncd: its schema is {revision}, and this one knows "
                f"{schema.NEWEST}. Install that version again."
            )

    def revision(self) -> str | None:
        """The migration the schema is at; ``None`` if there is no schema, and none is created."""
        if self.is_missing():
            return None
        with self.reading() as connection:
            return schema.revision_of(connection)

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one this program works with."""
        return self.revision() == schema.NEWEST

    def check_writable(self) -> None:
        """Raises `StateUnreachable` if nothing can be written to the store now.

        It does not wait for another process that writes: then the store can be written to.
        """
        try:
            if self.file:
                self._check_files(self.file)
            elif self.url.get_backend_name() == "postgresql":
                with self._begun(_Kind.LASTING) as connection:
                    is_standby, read_only = connection.execute(_WRITABILITY).one()
                    if read_only == "on":
                        what = "a standby" if is_standby else "a primary that is set to read-only"
                        remedy = _NAME_PRIMARY if is_standby else _ALLOW_WRITES
                        raise StateUnreachable(f"The state store {self} takes no writes: it is {what}. {remedy}.")
        except SQLAlchemyError as problem:
            raise unusable(self, problem) from problem

    def check_pooling(self) -> None:
        """Raises `StateUnusable` if PostgreSQL is behind a pooler that does not keep a session in one of its processes.

        syncd's locks and prepared statements belong to a session. Such a pooler lets two sessions use one process of
        the server, or one session several, by turns; two connections to a server never do.
        """
        if self.url.get_backend_name() != "postgresql":
            return
        try:
            with _probe(self.engine) as first, _probe(self.engine) as second:
                seen: dict[Connection, set[int]] = {first: set(), second: set()}
                # A pooler that others use too, or that takes its sessions in turn, may keep them apart by chance.
                for connection in (first, first, second, second) * 5:
                    seen[connection].add(connection.execute(_BACKEND).scalar_one())
        except SQLAlchemyError as problem:
            raise unusable(self, problem) from problem
        if seen[first] & seen[second] or len(seen[first]) > 1 or len(seen[second]) > 1:
            raise StateUnusable(
                f"The state store {self} is behind a connection pooler that pools by transaction or statement, so that "
                f"syncd's locks and prepared statements are lost. {_SESSIONS_ARE_SHARED}."
            )

    def _check_files(self, file: Path) -> None:
        if refusal := files.refusal(file):
            raise StateUnreachable(f"The state store cannot be used: {refusal}.")
        if self.is_missing():
            return
        with self.engine.connect() as connection:
            # Through SQLAlchemy this would begin a transaction, and wait.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0").close()
            try:
                with connection.execution_options(**{_KIND: _Kind.LASTING}).begin() as transaction:
                    # A file that SQLite could open for reading only lets a transaction begin, but no change.
                    connection.exec_driver_sql("PRAGMA user_version = 0")
                    transaction.rollback()
            except OperationalError as problem:
                if getattr(problem.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            finally:
                driver.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}").close()

    def is_missing(self) -> bool:
        """Whether the file of a SQLite store is not there or is empty. Raises `StateUnreachable`, `StateReplaced`.

        It is an error if there was a store, in this process or before it: its locks remain when it is deleted or moved.
        """
        if self.file is None:
            return False
        if self._opened is not None:
            self.check_file()
            return False
        found = _stat(self.file)
        if found is not None and found.st_size:
            return False
        if locks := files.locks_of(self.file):
            raise StateReplaced(
                f"The state store {self.file} is {'not there' if found is None else 'empty'}, but its lock files are "
                f"there: it was deleted, moved or emptied. Restore a backup, or delete {', '.join(map(str, locks))} to "
                "begin with an empty store."
            )
        return True

    def check_file(self) -> None:
        """Raises `StateReplaced` if the file was deleted, moved, replaced or emptied since the first transaction.

        SQLite itself would go on in a file that has no name any more. Raises `StateUnreachable` if none is there yet.
        """
        if self.file is None:
            return
        found = _stat(self.file)
        if self._opened is None:
            if self.is_missing() or found is None:
                why = files.refusal(self.file) or f"there is no file {self.file} yet. The first run creates it"
                raise StateUnreachable(f"The state store cannot be used: {why}.")
            self._opened = found.st_dev, found.st_ino
        elif found is None:
            raise replaced(self, "was deleted or moved")
        elif (found.st_dev, found.st_ino) != self._opened:
            raise replaced(self, "was replaced by another file")
        elif not found.st_size:
            raise replaced(self, "was emptied")

    def _create_file(self) -> None:
        # SQLite meets and reports any other problem itself.
        if self.file and self.is_missing():
            with suppress(OSError):
                files.create(self.file)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __str__(self) -> str:
        return without_secrets(self.url)


def unusable(store: Store, problem: SQLAlchemyError) -> StateUnusable:
    """The sentence for a failure of the store; if a file is the cause, it names the file, its owner and the remedy.

    It is `StateUnreachable` if the store may be usable later without a change to syncd or to the database's schema.
    """
    if store.file and (refusal := files.refusal(store.file)):
        return StateUnreachable(f"The state store cannot be used: {refusal}.")
    kind = StateUnreachable if isinstance(problem, _MAY_PASS) else StateUnusable
    remedy = _REMEDIES.get(getattr(getattr(problem, "orig", None), "sqlstate", None) or "")
    return kind(f"The state store {store} failed: {_plainly(problem)}.{f' {remedy}.' if remedy else ''}")


@contextmanager
def _probe(engine: Engine) -> Iterator[Connection]:
    """A connection to PostgreSQL that leaves nothing behind: no statement is prepared, and no pool keeps it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        driver.prepare_threshold = None
        connection.detach()
        yield connection


def _stat(file: Path) -> os.stat_result | None:
    """What the system knows of the file; ``None`` if it is not there. Raises `StateUnreachable`."""
    try:
        return file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        why = f"{problem.filename}: {problem.strerror}. Run syncd as the owner of that file or as root"
        raise StateUnreachable(f"The state store cannot be used: {why}.") from problem


def replaced(store: Store, what: str) -> StateReplaced:
    """The sentence for a store that is not the one that syncd has worked on."""
    return StateReplaced(
        f"The state store {store.file or store} {what} while syncd was using it. Nothing more is sent: stop syncd, put "
        "the store back or restore a backup as 'syncd help operations' says, then start syncd."
    )


def empty_store(cipher: ValueCipher) -> Store:
    """A store with nothing in it, in memory: what a reader sees before the first run."""
    store = Store("sqlite://", cipher)
    store.upgrade()
    return store


def _engine(url: str, is_stopping: Callable[[], bool]) -> Engine:
    # Parameters are personal values, so SQLAlchemy must keep them out of its messages.
    options: dict[str, Any] = {"hide_parameters": True}
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database in (None, "", ":memory:"):
                options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            else:
                options |= {"connect_args": {"timeout": _BUSY_SECONDS}}
            engine = create_engine(url, **options)
            event.listen(engine, "do_connect", _refuse_to_create)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        case "postgresql":
            # The driver takes time to load.
            from syncd.state.db.postgresql import Patience  # noqa: PLC0415

            patience = Patience(is_stopping)
            options |= {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}
            engine = create_engine(parsed.set(drivername="postgresql+psycopg"), **options)
            event.listen(
                engine, "do_connect", lambda _dialect, _record, arguments, given: patience.connect(arguments, given)
            )
            event.listen(engine, "checkout", _use_default_access)
            event.listen(engine, "begin", _begin_postgresql)
            return engine
        case other:
            raise ConfigurationError(f"state.url: the state store is SQLite or PostgreSQL, not {other}.")


def _refuse_to_create(
    _dialect: Any, _record: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
) -> None:
    """Have SQLite open a file that is there, and create none: `Store.upgrade` alone does."""
    name = arguments[0]
    if name != ":memory:" and not name.startswith("file:"):
        arguments[0] = f"{Path(name).absolute().as_uri()}?mode=rw"
        options["uri"] = True


def _prepare_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    # SQLAlchemy begins the transactions, not the driver.
    connection.isolation_level = None
    # Deleted values are personal, and must not remain in the file's free pages. A database that is mapped into memory
    # ends the process (SIGBUS) if another program cuts it short; reading it is an error instead.
    for pragma in (
        "mmap_size = 0",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    record.info.update(_Kind.LASTING.value)


def _begin_sqlite(connection: Connection) -> None:
    kind: _Kind = connection.get_execution_options().get(_KIND, _Kind.LASTING)
    for name, value in kind.value:
        # A connection keeps its settings, and its next transaction is usually of the same kind.
        if connection.info.get(name) != value:
            connection.exec_driver_sql(f"PRAGMA {name} = {value}")
            connection.info[name] = value
    # A transaction that reads first and writes later would fail at once if another one wrote in between.
    connection.exec_driver_sql("BEGIN" if kind is _Kind.READING else "BEGIN IMMEDIATE")


def _use_default_access(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    # After a transaction that reads, SQLAlchemy would begin the next with READ WRITE, against the server's setting.
    if connection.read_only is not None:
        connection.read_only = None


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_KIND) is _Kind.FLEETING:
        # For this transaction only: behind a pooler another client uses the session next.
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """The transaction of a migration; another process that migrates waits for its end.

    SQLite checks foreign keys only at the end, because a migration rebuilds its tables.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if engine.dialect.name != "sqlite":
            driver.patience, patience = None, driver.patience
            try:
                with connection.begin():
                    connection.execute(_LOCK_MIGRATIONS)
                    yield connection
            finally:
                driver.patience = patience
            return
        driver.execute("PRAGMA foreign_keys = OFF").close()
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise StateUnusable("A migration would have left rows that refer to nothing; nothing was changed.")
        finally:
            driver.execute("PRAGMA foreign_keys = ON").close()


def _plainly(problem: SQLAlchemyError) -> str:
    """The driver's first line, which names no values."""
    text = str(getattr(problem, "orig", None) or problem)
    return text.partition("\n")[0].rstrip(".")
