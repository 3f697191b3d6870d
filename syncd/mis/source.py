"""One MIS database, read and never written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from syncd.errors import ConfigurationError, MisUnreachable

#: How many rows are fetched at a time; what a feed takes in memory.
_AT_ONCE: Final = 1000

#: MySQL's and MariaDB's codes for an unknown column and for missing rights: their messages name things, not people.
_TELLING_CODES: Final = {1054, 1142, 1143}


@dataclass(frozen=True, slots=True)
class Rows:
    """A feed's result: its columns, and its rows as they come."""

    columns: tuple[str, ...]
    stream: Iterator[Sequence[object]]


class Mis:
    """An MIS that can be reached at a SQLAlchemy URL. Raises `ConfigurationError` when its driver is missing."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        database = self._url.database if self._url.get_backend_name() == "sqlite" else None
        self._file = (
            Path(database) if database and database != ":memory:" and not database.startswith("file:") else None
        )
        try:
            # A poll is rare and the MIS has others to serve: no connection is kept.
            self._engine = create_engine(self._url, poolclass=NullPool, hide_parameters=True)
        except (ImportError, NoSuchModuleError):
            raise ConfigurationError(
                f"source.url: there is no driver for {self._url.drivername}; "
                "SQLite, PostgreSQL (postgresql+psycopg) and MariaDB or MySQL (mysql+pymysql) come with syncd, "
                "others are installed beside it."
            ) from None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading. Raises `MisUnreachable`."""
        if self._file and not self._file.exists():
            # SQLite would make an empty one.
            raise MisUnreachable(f"The MIS at {self} cannot be reached: there is no such file.")
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as problem:
            raise MisUnreachable(f"The MIS at {self} cannot be reached: {_first_line(problem)}.") from problem
        with connection:
            yield connection

    @contextmanager
    def read(self, feed: str, query: str) -> Iterator[Rows]:
        """Run a feed's query and stream its rows; nothing is held in memory but the page that is being read.

        Raises `MisUnreachable`, also while the rows are read, with a sentence that names the feed and no value.
        """
        with self.connect() as connection:
            # The SQL goes to the database as it stands: neither a colon nor a percent sign in it means anything here.
            streaming = connection.execution_options(yield_per=_AT_ONCE, no_parameters=True)
            try:
                result = streaming.exec_driver_sql(query.rstrip().rstrip(";"))
                columns = tuple(result.keys())
            except SQLAlchemyError as problem:
                raise _unreadable(feed, problem) from problem
            try:
                yield Rows(columns, _rows_of(feed, result))
            finally:
                result.close()

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)


def _rows_of(feed: str, result: Iterator[Sequence[object]]) -> Iterator[Sequence[object]]:
    try:
        yield from result
    except SQLAlchemyError as problem:
        raise _unreadable(feed, problem) from problem


def _unreadable(feed: str, problem: SQLAlchemyError) -> MisUnreachable:
    return MisUnreachable(f"The feed {feed} cannot be read from the MIS: {_without_values(problem)}.")


def _without_values(problem: SQLAlchemyError) -> str:
    """What the database said, if it is about the query; one about data may quote the data."""
    if not isinstance(problem, DBAPIError) or problem.orig is None:
        return "the query gives no rows; it must be one SELECT"
    code = _code_of(problem.orig)
    names_things = isinstance(problem, ProgrammingError) or code in _TELLING_CODES
    if names_things or type(problem.orig).__module__.startswith("sqlite3"):
        return _first_line(problem)
    what = "the connection was lost" if problem.connection_invalidated else "the database refused to read on"
    return f"{what} ({type(problem.orig).__name__}{f', code {code}' if code else ''})"


def _code_of(problem: BaseException) -> object:
    """The database's own code for an error: a number that comes first in the arguments, or an SQLSTATE."""
    if problem.args and isinstance(problem.args[0], int):
        return problem.args[0]
    return getattr(problem, "sqlstate", None)


def _first_line(problem: SQLAlchemyError) -> str:
    said = getattr(problem, "orig", None) or problem
    # Some drivers give a number and a sentence.
    text = next((str(part) for part in reversed(getattr(said, "args", ())) if isinstance(part, str)), str(said))
    return text.strip().partition("\n")[0].rstrip(".")
