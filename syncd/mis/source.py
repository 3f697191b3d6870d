"""One MIS database, which syncd only reads."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from syncd.core.records import FetchRows
from syncd.core.watermark import DatabaseClock
from syncd.database_url import parse_database_url, without_secrets
from syncd.errors import ConfigurationError, Interrupted, MisUnreachable, ReplicaConflict, thread_problem
from syncd.mis import cursors
from syncd.mis.cursors import MoreResults, Page, RowCursor, cursor_for
from syncd.mis.deadline import Deadline, Overdue
from syncd.mis.dialects import (
    DatabaseKind,
    check_choices,
    complete_url,
    has_option,
    is_truncated,
    kind_of,
    port_of,
    sqlite_file,
)
from syncd.mis.error_messages import (
    error_code,
    explain_silence,
    explain_unreachable,
    explain_unreadable,
    is_oracle_client_error,
    is_replica_conflict,
)
from syncd.mis.statement import find_forbidden, strip_terminators
from syncd.mis.watermark_query import WatermarkQuery

_POOL_NAME: Final = "mis"
# SQLAlchemy logs that a broken connection cannot be closed. The error that broke it is reported already.
_pool_logger = logging.getLogger(f"{NullPool.__module__}.{NullPool.__name__}.{_POOL_NAME}")
_pool_logger.propagate = False
# Without a handler Python would write to standard error.
_pool_logger.addHandler(logging.NullHandler())

TIMEOUT_SECONDS: Final = 300.0
"""How long a statement may take by default."""
TIME_ZONE: Final = "Europe/London"
"""The default of the time zone by which a moment is of a day."""


class Rows:
    """The result of a feed's query: its columns, and its rows as a stream.

    ``take`` returns about as many of the next rows as it is asked for, and none at the end. ``stream`` iterates over
    the remaining rows. Both raise `MisUnreachable` and `Interrupted`.
    """

    def __init__(self, columns: tuple[str, ...], take: FetchRows) -> None:
        self.columns = columns
        self.take = take
        self.stream = self._iterate()

    def _iterate(self) -> Iterator[Sequence[object]]:
        while page := self.take(cursors.PAGE_SIZE):
            yield from page


class Mis:
    """An MIS at a SQLAlchemy URL; no statement may take longer than ``timeout_seconds``.

    ``oracle_client`` is the folder of Oracle's client libraries; with them Oracle's driver works in thick mode. Once
    ``is_stopping`` is true, the query in progress is cancelled and no other begun. ``time_zone`` is the college's: by
    it a moment of PostgreSQL, which has no zone of its own, is of a day.
    Raises `ConfigurationError` if the driver is missing or does not accept the URL.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        oracle_client: Path | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        time_zone: str = TIME_ZONE,
    ) -> None:
        try:
            given = parse_database_url(url)
            self._kind = kind_of(given)
            check_choices(given, self._kind)
        except ValueError as problem:
            raise ConfigurationError(f"source.url: {problem}.") from None
        if oracle_client and self._kind.name != "Oracle":
            raise ConfigurationError("source.oracle_client is set, and source.url is not an Oracle database.")
        self._file = sqlite_file(given)
        self._name = without_secrets(given)
        self._timeout_seconds = timeout_seconds
        self._is_stopping = is_stopping
        self._time_zone = time_zone
        self._port = port_of(given, self._kind)
        self._is_strict = has_option(given, "Encrypt", "strict")
        self._engine = _engine(complete_url(given, self._kind, timeout_seconds), self._kind, oracle_client)

    @property
    def subquery_advice(self) -> str:
        """What to do if a query does not work in parentheses, as a watermark needs it; without a full stop."""
        return self._kind.subquery_advice

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a read-only connection. Raises `MisUnreachable`, and `Interrupted` if syncd must stop."""
        with self._connect() as (connection, _):
            yield connection

    @contextmanager
    def _connect(self) -> Iterator[tuple[Connection, Deadline]]:
        """Open a connection, with the deadline for its calls."""
        if self._file:
            self._check_file(self._file)
        # SQLite is not a server; its statements are stopped by a progress handler.
        seconds = None if self._engine.dialect.name == "sqlite" else self._timeout_seconds
        deadline = Deadline(seconds, self._port, self._is_stopping)
        try:
            connection = deadline.connect(self._engine.connect)
        except Overdue:
            also = "; Encrypt=strict needs SQL Server 2022 or later, so also try Encrypt=yes" * self._is_strict
            raise MisUnreachable(
                f"The MIS at {self} cannot be reached: it does not answer. "
                f"Check the host and the port in source.url, and that no firewall is in between{also}."
            ) from None
        except Interrupted:
            raise
        except Exception as problem:
            if thread_problem(problem):
                raise
            # For an unknown option, drivers raise errors of any class.
            raise MisUnreachable(f"The MIS at {self} cannot be reached: {explain_unreachable(problem)}") from problem
        if self._kind.cancel:
            deadline.cancel = partial(self._kind.cancel, connection)
        try:
            with self._explaining_errors():
                prepare = partial(self._kind.prepare_connection, connection, self._timeout_seconds, self._time_zone)
                deadline.call(prepare)
            yield connection, deadline
        finally:
            deadline.close(connection)

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
        try:
            yield
        except Overdue:
            raise MisUnreachable(
                f"The MIS at {self} cannot be read: {explain_silence(self._timeout_seconds)}."
            ) from None
        except SQLAlchemyError as problem:
            raise MisUnreachable(f"The MIS at {self} cannot be read: {explain_unreachable(problem)}") from problem

    def clock(self) -> DatabaseClock | None:
        """Return the time by the database's clock; ``None`` if it has none. Raises `MisUnreachable`, `Interrupted`."""
        if not self._kind.clock:
            return None
        with self._connect() as (connection, deadline), self._explaining_errors():
            local, utc = deadline.call(lambda: connection.exec_driver_sql(self._kind.clock).one())
        return DatabaseClock(local, utc)

    @contextmanager
    def read(self, feed: str, query: str, watermark: WatermarkQuery | None = None) -> Iterator[Rows]:
        """Run a feed's query and stream its rows; only one or two pages are in memory at a time.

        ``watermark`` limits it to the rows that have changed. A query that would change something, or write a file, is
        refused before it runs, as far as its text shows it.
        Raises `MisUnreachable`, also while the rows are read, with a sentence that names the feed and no value, and
        `Interrupted` if syncd must stop.
        """
        dialect = self._engine.dialect.name
        if forbidden := find_forbidden(query, dialect):
            raise _unreadable(feed, forbidden)
        with self._connect() as (connection, deadline):
            cursor = cursor_for(connection, self._timeout_seconds, self._is_stopping)
            feed_query = _FeedQuery(feed, connection, deadline, self._timeout_seconds, cursor)
            try:
                columns = feed_query.execute(strip_terminators(query, dialect), watermark)
                yield Rows(columns, feed_query.fetch)
            finally:
                feed_query.close()

    def _check_file(self, file: Path) -> None:
        if not file.exists():
            raise MisUnreachable(f"The MIS at {self} cannot be reached: there is no such file.")
        try:
            if is_truncated(file):
                raise MisUnreachable(f"The MIS at {self} cannot be read: the file is cut short. Copy it again.")
        except OSError as problem:
            raise MisUnreachable(f"The MIS at {self} cannot be read: {problem.strerror}.") from problem

    def __str__(self) -> str:
        return self._name


def _engine(url: URL, kind: DatabaseKind, oracle_client: Path | None) -> Engine:
    options: dict[str, Any] = dict(kind.engine_options) if url.drivername == kind.drivername else {}
    if oracle_client:
        options["thick_mode"] = {"lib_dir": str(oracle_client)}
    try:
        # Polls are rare and the MIS serves other programs, so no connection is kept open between them.
        engine = create_engine(url, poolclass=NullPool, pool_logging_name=_POOL_NAME, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(_explain_missing_driver(url, kind)) from None
    except Exception as problem:
        if oracle_client and is_oracle_client_error(problem):
            raise ConfigurationError(f"source.oracle_client: {explain_unreachable(problem)}") from None
        if not isinstance(problem, SQLAlchemyError | TypeError | ValueError):
            raise
        raise ConfigurationError(f"source.url: {explain_unreachable(problem)}") from None
    if engine.dialect.driver == "pyodbc":
        # As text pyodbc has GUIDs in capital letters, mssql-python in small ones: the MISID would depend on the driver.
        engine.dialect.loaded_dbapi.native_uuid = True  # type: ignore[attr-defined]
    if engine.dialect.name == "mssql" and url.password and url.password != url.password.strip():
        _keep_blanks(engine, url.password)
    return engine


def _keep_blanks(engine: Engine, password: str) -> None:
    """Put the password in braces: SQLAlchemy writes it without, and the drivers then strip its blanks."""

    @event.listens_for(engine, "do_connect")
    def put_in_braces(_dialect: object, _record: object, arguments: list[str], _options: object) -> None:
        # One with a semicolon or a brace in it is in braces already.
        parts = arguments[0].partition(f"PWD={password}")
        if parts[1]:
            arguments[0] = f"{parts[0]}PWD={{{password}}}{parts[2]}"


def _explain_missing_driver(url: URL, kind: DatabaseKind) -> str:
    missing = f"source.url: there is no driver for {url.drivername}"
    if url.drivername != kind.drivername:
        return f"{missing}. Install it beside syncd, or write {kind.drivername}://…, with which syncd is tested."
    if kind.extra:
        return f"{missing}. Install it with: pip install 'syncd[{kind.extra}]'."
    return (
        f"{missing}. SQLite, PostgreSQL, MariaDB and MySQL come with syncd, SQL Server and Oracle with "
        "'syncd[mssql]' and 'syncd[oracle]'; any other is installed beside it."
    )


def _unreadable(feed: str, why: str, kind: type[MisUnreachable] = MisUnreachable) -> MisUnreachable:
    """Return the error for a feed that cannot be read."""
    return kind(f"The feed {feed} cannot be read from the MIS: {why}.")


class _FeedQuery:
    """One feed's query while it is read. Every error becomes a sentence that names the feed."""

    def __init__(
        self, feed: str, connection: Connection, deadline: Deadline, timeout_seconds: float, cursor: RowCursor
    ) -> None:
        self._feed = feed
        self._connection = connection
        self._deadline = deadline
        self._timeout_seconds = timeout_seconds
        self._cursor = cursor
        self._has_rows = False
        self._started_at = monotonic()

    def execute(self, query: str, watermark: WatermarkQuery | None) -> tuple[str, ...]:
        """Run the query and return its columns."""
        self._started_at = monotonic()
        with self._explaining_errors():
            statement = (query,) if watermark is None else watermark.compile(query, self._connection.dialect)
            self._deadline.call(lambda: self._cursor.execute(*statement))
        described = self._cursor.cursor.description
        if not described:
            raise self._error("the query returns no rows; it must be one SELECT")
        return tuple(column[0] for column in described)

    def fetch(self, rows: int) -> Page:
        """Return about this many rows; none at the end."""
        with self._explaining_errors():
            page = self._deadline.call(lambda: self._cursor.fetch(rows))
        self._has_rows = self._has_rows or bool(page)
        return page

    def close(self) -> None:
        """End the query, even before its last row."""
        # A driver may fail to close a query that was not read to its end; nothing depends on it.
        self._deadline.end(self._cursor.close)

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
        try:
            yield
        except MoreResults:
            # The people in the other results would be taken for leavers.
            raise self._error("the query returns more than one result; it must be one SELECT") from None
        except Interrupted:
            raise
        except Overdue:
            raise self._error(explain_silence(self._timeout_seconds)) from None
        except Exception as problem:
            if thread_problem(problem):
                raise
            # On a broken connection mssql-python raises a RuntimeError, which is not an error of the database API.
            kind = ReplicaConflict if is_replica_conflict(problem) else MisUnreachable
            raise self._error(self._explain(problem), kind) from problem

    def _error(self, why: str, kind: type[MisUnreachable] = MisUnreachable) -> MisUnreachable:
        return _unreadable(self._feed, why, kind)

    def _explain(self, problem: Exception) -> str:
        is_lost = self._is_lost(problem)
        explanation = explain_unreadable(
            problem,
            is_about_query=isinstance(problem, self._connection.dialect.loaded_dbapi.ProgrammingError),
            is_lost=is_lost,
            is_overdue=not is_lost and self._is_overdue(problem),
            has_rows=self._has_rows,
            seconds=self._timeout_seconds,
        )
        if is_lost:
            self._deadline.end(self._connection.invalidate)
        return explanation

    def _is_overdue(self, problem: Exception) -> bool:
        """Whether it is how mssql-python reports a time-out within a long value: it has no code and no message."""
        elapsed = monotonic() - self._started_at
        return isinstance(problem, RuntimeError) and not error_code(problem) and elapsed >= self._timeout_seconds

    def _is_lost(self, problem: Exception) -> bool:
        dialect, connection = self._connection.dialect, self._connection.connection
        if not isinstance(problem, dialect.loaded_dbapi.Error | RuntimeError):
            return False
        if isinstance(problem, dialect.loaded_dbapi.Error) and dialect.is_disconnect(
            problem, connection.dbapi_connection, None
        ):
            return True
        # Without a code, such as in a RuntimeError of mssql-python, only the connection itself can show it.
        return not error_code(problem) and not self._deadline.end(connection.rollback)
