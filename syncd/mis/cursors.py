"""Cursors that stream the rows of a query in pages; one value that cannot be decoded does not end the reading."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import islice
from time import monotonic
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Loader, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from sqlalchemy import Connection

#: How many rows a driver fetches at a time. It bounds the memory that a feed needs.
PAGE_SIZE: Final = 1000

Page: TypeAlias = Sequence[Sequence[object]]
Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_SQLSTATE: Final = re.compile(r"\[(\w{5})\]")


class MoreResults(Exception):
    """The query returns more than one result set."""


class RowCursor:
    """The rows of one query over one connection; the server keeps them until they are fetched.

    A partial result never looks complete: an error must be raised when the connection breaks.
    Raises what the driver raises, and `MoreResults`.
    """

    def __init__(self, connection: Connection) -> None:
        self._is_finished = False
        self._driver = connection.connection.dbapi_connection
        self._dialect = connection.dialect
        self.cursor: Any = self._streaming_cursor()
        # For drivers that fetch ahead.
        self.cursor.arraysize = PAGE_SIZE

    def execute(self, query: str, parameters: Parameters | None = None) -> None:
        """Run the query. Without parameters it goes to the driver as it is: colons and percent signs stay."""
        if parameters is None:
            self.cursor.execute(query)
        else:
            self.cursor.execute(query, parameters)
        self._skip_to_rows()

    def fetch(self, rows: int) -> Page:
        """Return about this many rows; none at the end, after which the driver is not called again."""
        if self._is_finished:
            return ()
        page = self._fetch(rows)
        if not page:
            self._is_finished = True
            self._finish()
        return page

    def _skip_to_rows(self) -> None:
        """Advance to the first result that has columns: a message or a count of rows may come before it."""
        advance = getattr(self.cursor, "nextset", None)
        while advance and self.cursor.description is None and advance():
            pass

    def _fetch(self, rows: int) -> Page:
        """Return the driver's next rows."""
        page: Page = self.cursor.fetchmany(rows)
        return page

    def _finish(self) -> None:
        """Check that the result is complete and the only one. After that no driver allows a fetch."""
        advance = getattr(self.cursor, "nextset", None)
        while advance and advance():
            # A count of rows is a result without columns.
            if self.cursor.description is not None:
                raise MoreResults

    def close(self) -> None:
        """Close the cursor."""
        self.cursor.close()

    def _streaming_cursor(self) -> Any:
        return self._driver.cursor()  # type: ignore[union-attr]


class _ConfirmingCursor(RowCursor):
    """For drivers that may report the end of the rows, without an error, when the connection breaks.

    They return the rows that they have, of which the last may be damaged; only the cursor's messages contain the
    error. Therefore a page is returned only after the next fetch has shown that the connection was intact behind it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._next: Page | None = None

    def fetch(self, rows: int) -> Page:
        page = super().fetch(rows) if self._next is None else self._next
        self._next = super().fetch(rows) if page else ()
        return page

    def _skip_to_rows(self) -> None:
        with self._checking_messages():
            super()._skip_to_rows()

    def _fetch(self, rows: int) -> Page:
        with self._checking_messages():
            return super()._fetch(rows)

    def _finish(self) -> None:
        with self._checking_messages():
            super()._finish()

    @contextmanager
    def _checking_messages(self) -> Iterator[None]:
        """Raise the first message that is an error. It replaces what the driver raises, which only follows from it."""
        try:
            yield
        finally:
            for message in getattr(self.cursor, "messages", None) or ():
                state = _SQLSTATE.match(str(message[0]))
                if state is not None and not state[1].startswith(("00", "01")):
                    raise self._error_of(state[1], str(message[1]))

    def _error_of(self, sqlstate: str, text: str) -> Exception:
        error: Exception = self._dialect.loaded_dbapi.OperationalError(sqlstate, text)
        return error


class _MssqlPythonCursor(_ConfirmingCursor):
    """mssql-python has its own names for the SQLSTATEs of its errors."""

    def _error_of(self, sqlstate: str, text: str) -> Exception:
        named = import_module("mssql_python.exceptions").sqlstate_to_exception
        # The function removes the second name in brackets, and fails on a text that has none.
        error: Exception | None = named(sqlstate, text if text.count("]") > 1 else f"[Microsoft][ODBC]{text}")
        return error or super()._error_of(sqlstate, text)


class _PingingCursor(_ConfirmingCursor):
    """For drivers that syncd is not tested with: after the last row the server must still answer."""

    def _finish(self) -> None:
        super()._finish()
        self._dialect.do_ping(self._driver)  # type: ignore[arg-type]


class _NamedCursor(RowCursor):
    """For psycopg2: PostgreSQL keeps the rows of a named cursor, and sends all rows of one without a name."""

    def _streaming_cursor(self) -> Any:
        return self._driver.cursor("syncd")  # type: ignore[union-attr]

    def _finish(self) -> None:
        """A declared cursor has one result."""


#: How the names of PostgreSQL's encodings begin in which it accepts any byte.
_ANY_BYTE: Final = ("LATIN", "WIN", "ISO_8859", "KOI8", "SQL_ASCII")
#: Composites, arrays and ranges among these types.
_OF_SEVERAL_PARTS: Final = """
SELECT oid FROM pg_type WHERE oid = ANY(%s) AND (typtype IN ('c', 'r', 'm') OR typcategory = 'A')
"""
#: Types that a database defines have higher numbers than PostgreSQL's own.
_FIRST_DEFINED_TYPE: Final = 16384


class _CompositeLoader(Loader):
    """Loads a value of several parts, whose text is no value of a field."""

    def load(self, data: Buffer) -> tuple[str]:
        return (bytes(data).decode(errors="replace"),)


class _PsycopgCursor(RowCursor):
    """For psycopg: PostgreSQL keeps the rows of a declared cursor, and computes the next page in the meantime.

    PostgreSQL has dates that Python cannot represent: infinity, 44 BC, the year 10000. In encodings other than UTF8 it
    accepts bytes that are no characters. Values of several parts whose type the database defines itself, such as
    composites, would arrive as text.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._is_requested = False
        """Whether a page was requested and has not been received."""

    def execute(self, query: str, parameters: Parameters | None = None) -> None:
        statement = f"DECLARE syncd NO SCROLL CURSOR FOR {query}"
        encoding: str = self._driver.info.parameter_status("server_encoding") or ""  # type: ignore[union-attr]
        if encoding.startswith(_ANY_BYTE):
            # PostgreSQL would end the query at a byte that it cannot convert.
            self.cursor.execute(f"SET LOCAL client_encoding = '{encoding}'")
        if encoding == "SQL_ASCII":
            for name in ("text", "varchar", "bpchar", "name"):
                self.cursor.adapters.register_loader(name, _UnencodedTextLoader)
        # In binary, because that protocol does not allow a second statement.
        self.cursor.execute(statement.encode() if encoding == "SQL_ASCII" else statement, parameters, binary=True)
        # This returns no row, and the columns.
        self.cursor.execute("FETCH RELATIVE 0 FROM syncd")
        self._load_composites()
        self._transformer = Transformer(self.cursor)
        self._request_page()

    def _load_composites(self) -> None:
        """Have values of several parts loaded as tuples."""
        types = {column.type_code for column in self.cursor.description or ()}
        defined_here = [oid for oid in types if oid >= _FIRST_DEFINED_TYPE]
        if defined_here:
            with self._driver.cursor() as cursor:  # type: ignore[union-attr]
                for (oid,) in cursor.execute(_OF_SEVERAL_PARTS, [defined_here]):
                    self.cursor.adapters.register_loader(oid, _CompositeLoader)

    def _fetch(self, rows: int) -> Page:  # noqa: ARG002 - the page was requested before
        result = self._receive_page()
        if result.ntuples:
            self._request_page()
        self._transformer.set_pgresult(result)
        try:
            page: Page = self._transformer.load_rows(0, result.ntuples, tuple)
        except UnicodeDecodeError:
            return self._load_each_value(result)
        except psycopg.DataError as problem:
            if problem.sqlstate is not None:
                raise
            return self._load_each_value(result)
        return page

    def _finish(self) -> None:
        """A declared cursor has one result."""

    def close(self) -> None:
        if self._is_requested:
            self._receive_page()
        super().close()

    def _request_page(self) -> None:
        self._driver.pgconn.send_query(b"FETCH FORWARD %d FROM syncd" % PAGE_SIZE)  # type: ignore[union-attr]
        self._is_requested = True

    def _receive_page(self) -> pq.abc.PGresult:
        if not self._is_requested:
            self._request_page()
        self._is_requested = False
        result: pq.abc.PGresult
        (result,) = self._driver.wait(fetch_many(self._driver.pgconn))  # type: ignore[union-attr]
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        return result

    def _load_each_value(self, result: pq.abc.PGresult) -> Page:
        """Load a page that failed to load, with the text or bytes of each value that Python cannot represent."""
        transformer = Transformer(self.cursor)
        loaders = [
            transformer.get_loader(result.ftype(column), pq.Format(result.fformat(column))).load
            for column in range(result.nfields)
        ]
        return [
            tuple(_load_or_decode(load, result.get_value(row, column)) for column, load in enumerate(loaders))
            for row in range(result.ntuples)
        ]


class _UnencodedTextLoader(Loader):
    """For a database without an encoding (SQL_ASCII), of which psycopg would return all text as bytes."""

    def load(self, data: Any) -> str | bytes:
        return _decode_or_keep(bytes(data))


def _load_or_decode(load: Callable[[Any], object], content: bytes | None) -> object:
    if content is None:
        return None
    try:
        return load(content)
    except UnicodeDecodeError:
        return bytes(content)
    except psycopg.DataError:
        return content.decode(errors="replace")


class _UnbufferedCursor(RowCursor):
    """For MySQL's drivers, which fetch all rows at once unless this cursor is used."""

    def _streaming_cursor(self) -> Any:
        cursors = import_module(f"{self._dialect.loaded_dbapi.__name__}.cursors")
        return self._driver.cursor(cursors.SSCursor)  # type: ignore[union-attr]

    def execute(self, query: str, parameters: Parameters | None = None) -> None:
        super().execute(query, parameters)
        # PyMySQL would raise an error for bytes that are no characters, and end the reading.
        result = getattr(self.cursor, "_result", None)
        if result is not None and hasattr(result, "converters"):
            result.converters = [_keeping_bytes(*pair) for pair in result.converters]

    def close(self) -> None:
        try:
            super().close()
        finally:
            # On a lost connection PyMySQL would go on reading when its result is deleted.
            result = getattr(self._driver, "_result", None)
            if result is not None:
                result.unbuffered_active = False


def _keeping_bytes(encoding: str | None, converter: Any) -> tuple[str | None, Any]:
    """Return a column's encoding and converter of PyMySQL, so that text that cannot be decoded remains bytes."""
    if encoding is None or encoding == "ascii" or converter is not None:
        return encoding, converter
    return None, partial(_decode_or_keep, encoding=encoding)


#: The pragmas that only read: about the schema, and what SQLite's full-text search asks for without a value.
_READING_PRAGMAS: Final = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)
_READING_PRAGMAS_WITHOUT_VALUE: Final = frozenset({"data_version", "page_size"})


class _SqliteCursor(RowCursor):
    """SQLite has no time-out and no logins, and accepts any bytes as text."""

    def __init__(self, connection: Connection, seconds: float, is_stopping: Callable[[], bool]) -> None:
        super().__init__(connection)
        self._seconds = seconds
        self._stop_at = monotonic() + seconds
        self._query: tuple[Any, ...] = ()
        self._fetched = 0
        self._driver.set_progress_handler(  # type: ignore[union-attr]
            lambda: is_stopping() or monotonic() > self._stop_at, 100_000
        )
        self._driver.set_authorizer(_authorize)  # type: ignore[union-attr]

    def execute(self, query: str, parameters: Parameters | None = None) -> None:
        self._query = (query, parameters or ())
        super().execute(query, parameters)

    def _fetch(self, rows: int) -> Page:
        self._stop_at = monotonic() + self._seconds
        try:
            page = super()._fetch(rows)
        except sqlite3.OperationalError as problem:
            if not str(problem).startswith("Could not decode"):
                raise
            page = self._fetch_with_bytes(rows)
        self._fetched += len(page)
        return page

    def _fetch_with_bytes(self, rows: int) -> Page:
        """Run the query again and return the page, with bytes for text that is not UTF-8.

        The driver has ended the query. In the same transaction the rows come in the same order. Checking every text
        from the start would make each reading take half as long again.
        """
        self._driver.text_factory = bytes  # type: ignore[union-attr]
        self.cursor.execute(*self._query)
        for _ in islice(self.cursor, self._fetched):
            pass
        self._driver.text_factory = _decode_or_keep  # type: ignore[union-attr]
        page: Page = self.cursor.fetchmany(rows)
        return page


def _authorize(action: int, first: str | None, second: str | None, *_place: str | None) -> int:
    """Refuse what reaches beyond the file, which itself is opened read-only."""
    match action:
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:
            is_allowed = False
        case sqlite3.SQLITE_FUNCTION:
            is_allowed = second != "load_extension"
        case sqlite3.SQLITE_PRAGMA:
            is_allowed = first in _READING_PRAGMAS or (not second and first in _READING_PRAGMAS_WITHOUT_VALUE)
        case _:
            is_allowed = True
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _decode_or_keep(content: bytes, encoding: str = "utf-8") -> str | bytes:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content


_CURSORS: Final[Mapping[str, type[RowCursor]]] = {
    "psycopg": _PsycopgCursor,
    "psycopg2": _NamedCursor,
    "pymysql": _UnbufferedCursor,
    "mysqldb": _UnbufferedCursor,
    "oracledb": RowCursor,
    "mssqlpython": _MssqlPythonCursor,
}


def cursor_for(connection: Connection, seconds: float, is_stopping: Callable[[], bool]) -> RowCursor:
    """Return the cursor for the connection's driver.

    On SQLite a page may take this many seconds, and ends with an error once ``is_stopping`` is true.
    """
    driver = connection.dialect.driver
    if driver == "pysqlite":
        return _SqliteCursor(connection, seconds, is_stopping)
    return _CURSORS.get(driver, _PingingCursor)(connection)
