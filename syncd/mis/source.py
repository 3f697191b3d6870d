"""One MIS database, read and never written."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from syncd.core.records import FetchRows
from syncd.database_url import parse_database_url, without_secrets
from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import cursors
from syncd.mis.cursors import MoreResults, Page, Pages, pages_of
from syncd.mis.deadline import Deadline, Overdue
from syncd.mis.dialects import Make, completed, file_of, is_cut_short, make_of, port_of, refuse_wrong_words
from syncd.mis.error_messages import is_of_oracle_client, why_unreachable, why_unreadable
from syncd.mis.statement import without_end
from syncd.mis.watermark_query import Since

# That a broken connection cannot be closed properly is no news: why it broke has been reported.
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())

TIMEOUT_SECONDS: Final = 300.0
"""How long a statement may take unless the configuration says otherwise."""


class Rows:
    """A feed's result: its columns, and its rows as they come.

    ``take`` gives the next rows, about so many, and none at the end; ``stream`` is all that are left, one by one.
    Both raise `MisUnreachable`.
    """

    def __init__(self, columns: tuple[str, ...], take: FetchRows) -> None:
        self.columns = columns
        self.take = take
        self.stream = self._one_by_one()

    def _one_by_one(self) -> Iterator[Sequence[object]]:
        while page := self.take(cursors.AT_ONCE):
            yield from page


class Mis:
    """An MIS that can be reached at a SQLAlchemy URL; no statement may take longer than ``timeout_seconds``.

    ``oracle_client`` is the folder of Oracle's client libraries, with which Oracle's driver works in thick mode.
    Raises `ConfigurationError` if the driver is missing or does not accept the URL.
    """

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS, oracle_client: Path | None = None) -> None:
        try:
            given = parse_database_url(url)
            self._make = make_of(given)
            refuse_wrong_words(given, self._make)
        except ValueError as problem:
            raise ConfigurationError(f"source.url: {problem}.") from None
        if oracle_client and self._make.name != "Oracle":
            raise ConfigurationError("source.oracle_client is set, and source.url is not an Oracle database.")
        self._file = file_of(given)
        self._name = without_secrets(given)
        self._timeout_seconds = timeout_seconds
        self._port = port_of(given, self._make)
        self._engine = _engine(completed(given, self._make, timeout_seconds), self._make, oracle_client)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection of its own for reading, and only for that. Raises `MisUnreachable`."""
        with self._connect() as (connection, _):
            yield connection

    @contextmanager
    def _connect(self) -> Iterator[tuple[Connection, Deadline]]:
        """The same, with the time that each of its calls may take."""
        if self._file and not self._file.exists():
            raise MisUnreachable(f"The MIS at {self} cannot be reached: there is no such file.")
        try:
            if self._file and is_cut_short(self._file):
                raise MisUnreachable(f"The MIS at {self} cannot be read: the file is cut short. Copy it again.")
        except OSError as problem:
            raise MisUnreachable(f"The MIS at {self} cannot be read: {problem.strerror}.") from problem
        # SQLite is no server, and its statements are stopped between two rows.
        deadline = Deadline(None if self._engine.dialect.name == "sqlite" else self._timeout_seconds, self._port)
        try:
            connection = deadline.connect(self._engine.connect)
        except Overdue:
            raise MisUnreachable(
                f"The MIS at {self} cannot be reached: it does not answer. "
                "Check the host and the port in source.url, and that no firewall is in between."
            ) from None
        except Exception as problem:
            # For an option that it does not know, a driver raises what it likes.
            raise MisUnreachable(f"The MIS at {self} cannot be reached: {why_unreachable(problem)}") from problem
        try:
            try:
                deadline.call(partial(self._make.settle, connection, self._timeout_seconds))
            except Overdue:
                raise MisUnreachable(f"The MIS at {self} cannot be read: {_silent(self._timeout_seconds)}.") from None
            except SQLAlchemyError as problem:
                raise MisUnreachable(f"The MIS at {self} cannot be read: {why_unreachable(problem)}") from problem
            yield connection, deadline
        finally:
            deadline.close(connection)

    @contextmanager
    def read(self, feed: str, query: str, since: Since | None = None) -> Iterator[Rows]:
        """Run a feed's query and stream its rows; nothing is held in memory but the pages that are being read.

        ``since`` limits it to what has changed.
        Raises `MisUnreachable`, also while the rows are read, with a sentence that names the feed and no value.
        """
        with self._connect() as (connection, deadline):
            reading = _Reading(feed, connection, deadline, self._timeout_seconds)
            try:
                columns = reading.run(without_end(query, connection.dialect.name), since)
                yield Rows(columns, reading.take)
            finally:
                reading.close()

    def __str__(self) -> str:
        return self._name


def _engine(url: URL, make: Make, oracle_client: Path | None) -> Engine:
    options: dict[str, Any] = dict(make.engine) if url.drivername == make.drivername else {}
    if oracle_client:
        options["thick_mode"] = {"lib_dir": str(oracle_client)}
    try:
        # A poll is rare and the MIS has others to serve: no connection is kept, so none has gone away meanwhile.
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(_without_driver(url, make)) from None
    except Exception as problem:
        if oracle_client and is_of_oracle_client(problem):
            raise ConfigurationError(f"source.oracle_client: {why_unreachable(problem)}") from None
        if not isinstance(problem, SQLAlchemyError | TypeError | ValueError):
            raise
        raise ConfigurationError(f"source.url: {why_unreachable(problem)}") from None
    if engine.dialect.driver == "pyodbc":
        # As text it has them in capital letters, and mssql-python in small ones: the MISID would depend on the driver.
        engine.dialect.loaded_dbapi.native_uuid = True  # type: ignore[attr-defined]
    return engine


def _without_driver(url: URL, make: Make) -> str:
    missing = f"source.url: there is no driver for {url.drivername}"
    if url.drivername != make.drivername:
        return f"{missing}. Install it beside syncd, or write {make.drivername}://… for the one that syncd knows best."
    if make.extra:
        return f"{missing}. Install it with: pip install 'syncd[{make.extra}]'."
    return (
        f"{missing}. SQLite, PostgreSQL, MariaDB and MySQL come with syncd, SQL Server and Oracle with "
        "'syncd[mssql]' and 'syncd[oracle]'; any other is installed beside it."
    )


def _silent(seconds: float) -> str:
    return f"the database has not answered, and not stopped the statement, within source.timeout_seconds ({seconds:g})"


class _Reading:
    """One query being read; whatever goes wrong is said in a sentence that names its feed."""

    def __init__(self, feed: str, connection: Connection, deadline: Deadline, timeout_seconds: float) -> None:
        self._feed = feed
        self._connection = connection
        self._deadline = deadline
        self._timeout_seconds = timeout_seconds
        self._pages: Pages = pages_of(connection, timeout_seconds)

    def run(self, query: str, since: Since | None) -> tuple[str, ...]:
        """Run it, and give its columns."""
        with self._in_plain_words():
            wanted = (query,) if since is None else since.of(query, self._connection.dialect)
            self._deadline.call(lambda: self._pages.run(*wanted))
        described = self._pages.cursor.description
        if not described:
            raise MisUnreachable(
                f"The feed {self._feed} cannot be read from the MIS: the query gives no rows; it must be one SELECT."
            )
        return tuple(column[0] for column in described)

    def take(self, rows: int) -> Page:
        """Its next rows, about so many."""
        with self._in_plain_words():
            return self._deadline.call(lambda: self._pages.page(rows))

    def close(self) -> None:
        """End it, wherever it is."""
        # A driver may stumble over what has been broken off; there is nothing left to do about it.
        self._deadline.end(self._pages.close)

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except MoreResults:
            # The people in the other results would be taken for leavers.
            why = "the query gives more than one result; it must be one SELECT"
            raise MisUnreachable(f"The feed {self._feed} cannot be read from the MIS: {why}.") from None
        except Overdue:
            why = _silent(self._timeout_seconds)
            raise MisUnreachable(f"The feed {self._feed} cannot be read from the MIS: {why}.") from None
        except Exception as problem:
            # On a broken connection mssql-python raises a RuntimeError, which is no error of the database API.
            why = self._why(problem)
            raise MisUnreachable(f"The feed {self._feed} cannot be read from the MIS: {why}.") from problem

    def _why(self, problem: Exception) -> str:
        dialect = self._connection.dialect
        driver = dialect.loaded_dbapi
        if isinstance(problem, driver.Error):
            is_lost = dialect.is_disconnect(problem, self._connection.connection.dbapi_connection, None)
        else:
            # The class does not say it, as with a RuntimeError of mssql-python.
            is_lost = isinstance(problem, RuntimeError) and not self._deadline.end(self._connection.connection.rollback)
        said = why_unreadable(
            problem,
            is_about_query=isinstance(problem, driver.ProgrammingError),
            is_lost=is_lost,
            seconds=self._timeout_seconds,
        )
        if is_lost:
            self._deadline.end(self._connection.invalidate)
        return said
