"""Rows as they come from a driver, a page at a time, none of which is lost because of one value in it."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from time import monotonic
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from sqlalchemy import Connection

#: How many rows drivers fetch ahead; what a feed takes in memory.
AT_ONCE: Final = 1000

Page: TypeAlias = Sequence[Sequence[object]]
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_SQLSTATE: Final = re.compile(r"\[(\w{5})\]")


class MoreResults(Exception):
    """The query gives more than one result."""


class Pages:
    """What a query gives over one connection, by a cursor that leaves the rows at the server until they are wanted.

    A partial result never looks complete: a driver must raise an error when the connection breaks.
    What the driver raises goes through, and `MoreResults`.
    """

    def __init__(self, connection: Connection) -> None:
        self._is_over = False
        self._driver = connection.connection.dbapi_connection
        self._dialect = connection.dialect
        self.cursor: Any = self._streaming_cursor()
        # For drivers that fetch ahead.
        self.cursor.arraysize = AT_ONCE

    def run(self, query: str, parameters: Parameters | None = None) -> None:
        """Run the query as it stands: neither a colon nor a percent sign means anything in one without parameters."""
        if parameters is None:
            self.cursor.execute(query)
        else:
            self.cursor.execute(query, parameters)

    def page(self, rows: int) -> Page:
        """The next rows, about so many; none at the end, and then no question to the driver any more."""
        if self._is_over:
            return ()
        page = self._fetch(rows)
        if not page:
            self._is_over = True
            self._finish()
        return page

    def _fetch(self, rows: int) -> Page:
        """The next rows from the driver."""
        page: Page = self.cursor.fetchmany(rows)
        return page

    def _finish(self) -> None:
        """Make sure that the result is complete, and the only one. After that no driver allows a fetch."""
        advance = getattr(self.cursor, "nextset", None)
        while advance and advance():
            # A count of rows is a result without columns.
            if self.cursor.description is not None:
                raise MoreResults

    def close(self) -> None:
        """Give the cursor back."""
        self.cursor.close()

    def _streaming_cursor(self) -> Any:
        return self._driver.cursor()  # type: ignore[union-attr]


class _CheckedPages(Pages):
    """For drivers that may end the rows without an error when the connection breaks.

    They return what they have, of which the last row may be damaged, and say only in the cursor's messages what
    happened. So no page is handed on before the next fetch has shown that the connection was whole behind it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._next: Page | None = None

    def page(self, rows: int) -> Page:
        page = super().page(rows) if self._next is None else self._next
        self._next = super().page(rows) if page else ()
        return page

    def _fetch(self, rows: int) -> Page:
        with self._reading_messages():
            return super()._fetch(rows)

    def _finish(self) -> None:
        with self._reading_messages():
            super()._finish()

    @contextmanager
    def _reading_messages(self) -> Iterator[None]:
        """Raise an error for what is more than information. What the driver raises after that is its consequence."""
        try:
            yield
        finally:
            for said in getattr(self.cursor, "messages", None) or ():
                state = _SQLSTATE.match(str(said[0]))
                if state is not None and not state[1].startswith(("00", "01")):
                    raise self._error_of(state[1], str(said[1]))

    def _error_of(self, sqlstate: str, text: str) -> Exception:
        error: Exception = self._dialect.loaded_dbapi.OperationalError(sqlstate, text)
        return error


class _MssqlPythonPages(_CheckedPages):
    """mssql-python has names of its own for the SQLSTATEs of its errors."""

    def _error_of(self, sqlstate: str, text: str) -> Exception:
        named = import_module("mssql_python.exceptions").sqlstate_to_exception
        # It cuts out the second name in brackets, and takes no text without.
        error: Exception | None = named(sqlstate, text if text.count("]") > 1 else f"[Microsoft][ODBC]{text}")
        return error or super()._error_of(sqlstate, text)


class _AskedPages(_CheckedPages):
    """Of a driver that syncd is not tested with, the server is asked for an answer after the last row."""

    def _finish(self) -> None:
        super()._finish()
        self._dialect.do_ping(self._driver)  # type: ignore[arg-type]


class _NamedPages(Pages):
    """PostgreSQL keeps the rows of a cursor that has a name, and sends all those of one that has none."""

    def _streaming_cursor(self) -> Any:
        return self._driver.cursor("syncd")  # type: ignore[union-attr]

    def _finish(self) -> None:
        """A cursor that is declared has one result."""


class _PsycopgPages(Pages):
    """PostgreSQL keeps the rows of a cursor that is declared, and makes the next page while this one is looked at.

    It has days that Python has no name for: infinity, 44 BC, the year 10000.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._transformer = Transformer(self.cursor)
        self._is_coming = False
        """Whether a page was asked for and has not been taken."""

    def run(self, query: str, parameters: Parameters | None = None) -> None:
        # As binary, because that way no second statement can stand behind it.
        self.cursor.execute(f"DECLARE syncd NO SCROLL CURSOR FOR {query}", parameters, binary=True)
        # There is no row before the first, but its columns are told.
        self.cursor.execute("FETCH RELATIVE 0 FROM syncd")
        self._ask()

    def _fetch(self, rows: int) -> Page:  # noqa: ARG002 - so many were asked for already
        result = self._answer()
        if result.ntuples:
            self._ask()
        self._transformer.set_pgresult(result)
        try:
            page: Page = self._transformer.load_rows(0, result.ntuples, tuple)
        except psycopg.DataError as problem:
            if problem.sqlstate is not None:
                raise
            return self._value_by_value(result)
        return page

    def _finish(self) -> None:
        """A cursor that is declared has one result."""

    def close(self) -> None:
        if self._is_coming:
            self._answer()
        super().close()

    def _ask(self) -> None:
        self._driver.pgconn.send_query(b"FETCH FORWARD %d FROM syncd" % AT_ONCE)  # type: ignore[union-attr]
        self._is_coming = True

    def _answer(self) -> pq.abc.PGresult:
        if not self._is_coming:
            self._ask()
        self._is_coming = False
        result: pq.abc.PGresult
        (result,) = self._driver.wait(fetch_many(self._driver.pgconn))  # type: ignore[union-attr]
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        return result

    def _value_by_value(self, result: pq.abc.PGresult) -> Page:
        """The page that could not be read, with the text of each value that has no type in Python."""
        transformer = Transformer(self.cursor)
        loaders = [
            transformer.get_loader(result.ftype(column), pq.Format(result.fformat(column))).load
            for column in range(result.nfields)
        ]
        return [
            tuple(_loaded(load, result.get_value(row, column)) for column, load in enumerate(loaders))
            for row in range(result.ntuples)
        ]


def _loaded(load: Callable[[Any], object], content: bytes | None) -> object:
    if content is None:
        return None
    try:
        return load(content)
    except psycopg.DataError:
        return content.decode(errors="replace")


class _UnbufferedPages(Pages):
    """MySQL's drivers take all rows at once unless they are given this cursor."""

    def _streaming_cursor(self) -> Any:
        cursors = import_module(f"{self._dialect.loaded_dbapi.__name__}.cursors")
        return self._driver.cursor(cursors.SSCursor)  # type: ignore[union-attr]

    def close(self) -> None:
        try:
            super().close()
        finally:
            # Of a connection that is gone pymysql would go on reading when its result is let go of.
            result = getattr(self._driver, "_result", None)
            if result is not None:
                result.unbuffered_active = False


class _SqlitePages(Pages):
    """SQLite has no time-out of its own, and takes any bytes for text."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        super().__init__(connection)
        self._seconds = seconds
        self._until = monotonic() + seconds
        self._query: tuple[Any, ...] = ()
        self._given = 0
        self._driver.set_progress_handler(lambda: monotonic() > self._until, 100_000)  # type: ignore[union-attr]

    def run(self, query: str, parameters: Parameters | None = None) -> None:
        self._query = (query, parameters or ())
        super().run(query, parameters)

    def _fetch(self, rows: int) -> Page:
        self._until = monotonic() + self._seconds
        try:
            page = super()._fetch(rows)
        except sqlite3.OperationalError as problem:
            if not str(problem).startswith("Could not decode"):
                raise
            page = self._again(rows)
        self._given += len(page)
        return page

    def _again(self, rows: int) -> Page:
        """From here on with bytes for what is not UTF-8.

        The driver has given the query up. It is the same transaction, so the rows come in the same order; and asking
        for each text whether it can be decoded would make every reading half as slow again.
        """
        self._driver.text_factory = bytes  # type: ignore[union-attr]
        self.cursor.execute(*self._query)
        for _ in islice(self.cursor, self._given):
            pass
        self._driver.text_factory = _text_if_it_is  # type: ignore[union-attr]
        page: Page = self.cursor.fetchmany(rows)
        return page


def _text_if_it_is(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


_PAGES: Final[Mapping[str, type[Pages]]] = {
    "psycopg": _PsycopgPages,
    "psycopg2": _NamedPages,
    "pymysql": _UnbufferedPages,
    "mysqldb": _UnbufferedPages,
    "oracledb": Pages,
    "mssqlpython": _MssqlPythonPages,
}


def pages_of(connection: Connection, seconds: float) -> Pages:
    """How the rows of one query come over this connection; a page may take so many seconds on SQLite."""
    driver = connection.dialect.driver
    return _SqlitePages(connection, seconds) if driver == "pysqlite" else _PAGES.get(driver, _AskedPages)(connection)
