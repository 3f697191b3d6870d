"""One MIS database, read and never written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from syncd.core.records import FetchRows
from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import cursors
from syncd.mis.cursors import Page, Pages, pages_of
from syncd.mis.dialects import Make, completed, file_of, make_of
from syncd.mis.error_messages import why_unreachable, why_unreadable, without_secrets
from syncd.mis.watermark_query import Since

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

    Raises `ConfigurationError` when its driver is missing.
    """

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        given = make_url(url)
        self._make = make_of(given)
        self._file = file_of(given)
        self._name = without_secrets(given)
        self._timeout_seconds = timeout_seconds
        self._engine = _engine(completed(given, self._make, timeout_seconds), self._make)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection of its own for reading, and only for that. Raises `MisUnreachable`."""
        if self._file and not self._file.exists():
            raise MisUnreachable(f"The MIS at {self} cannot be reached: there is no such file.")
        try:
            connection = self._engine.connect()
        except Exception as problem:
            # For an option that it does not know, a driver raises what it likes.
            raise MisUnreachable(f"The MIS at {self} cannot be reached: {why_unreachable(problem)}") from problem
        with connection:
            try:
                self._make.settle(connection, self._timeout_seconds)
            except SQLAlchemyError as problem:
                raise MisUnreachable(f"The MIS at {self} cannot be read: {why_unreachable(problem)}") from problem
            yield connection

    @contextmanager
    def read(self, feed: str, query: str, since: Since | None = None) -> Iterator[Rows]:
        """Run a feed's query and stream its rows; nothing is held in memory but the page that is being read.

        ``since`` limits it to what has changed.
        Raises `MisUnreachable`, also while the rows are read, with a sentence that names the feed and no value.
        """
        with self.connect() as connection:
            reading = _Reading(feed, connection, self._timeout_seconds)
            try:
                columns = reading.run(query.rstrip().rstrip(";"), since)
                yield Rows(columns, reading.take)
            finally:
                reading.close()

    def __str__(self) -> str:
        return self._name


def _engine(url: URL, make: Make) -> Engine:
    options = make.engine if url.drivername == make.drivername else {}
    try:
        # A poll is rare and the MIS has others to serve: no connection is kept, so none has gone away meanwhile.
        return create_engine(url, poolclass=NullPool, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(_without_driver(url, make)) from None
    except (SQLAlchemyError, TypeError, ValueError) as problem:
        raise ConfigurationError(f"source.url: {why_unreachable(problem)}") from None


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


class _Reading:
    """One query being read; whatever goes wrong is said in a sentence that names its feed."""

    def __init__(self, feed: str, connection: Connection, timeout_seconds: float) -> None:
        self._feed = feed
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._pages: Pages = pages_of(connection, timeout_seconds)

    def run(self, query: str, since: Since | None) -> tuple[str, ...]:
        """Run it, and give its columns."""
        with self._in_plain_words():
            if since is None:
                self._pages.run(query)
            else:
                self._pages.run(*since.of(query, self._connection.dialect))
        described = self._pages.cursor.description
        if not described:
            raise MisUnreachable(
                f"The feed {self._feed} cannot be read from the MIS: the query gives no rows; it must be one SELECT."
            )
        return tuple(column[0] for column in described)

    def take(self, rows: int) -> Page:
        """Its next rows, about so many."""
        with self._in_plain_words():
            page = self._pages.page(rows)
        if not page:
            self._refuse_more()
        return page

    def _refuse_more(self) -> None:
        with self._in_plain_words():
            if self._pages.has_more_results():
                # Whoever is in the others would be taken for a leaver.
                raise MisUnreachable(
                    f"The feed {self._feed} cannot be read from the MIS: the query gives more than one result; "
                    "it must be one SELECT."
                )

    def close(self) -> None:
        """End it, wherever it is."""
        # A driver may stumble over what has been broken off; there is nothing left to do about it.
        with suppress(Exception):
            self._pages.close()

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        dialect = self._connection.dialect
        driver = dialect.loaded_dbapi
        try:
            yield
        except (driver.Error, ValueError, ArithmeticError, OSError) as problem:
            is_lost = isinstance(problem, driver.Error) and dialect.is_disconnect(
                problem, self._connection.connection.dbapi_connection, None
            )
            said = why_unreadable(
                problem,
                is_about_query=isinstance(problem, driver.ProgrammingError),
                is_lost=is_lost,
                seconds=self._timeout_seconds,
            )
            if is_lost:
                self._connection.invalidate()
            raise MisUnreachable(f"The feed {self._feed} cannot be read from the MIS: {said}.") from problem
