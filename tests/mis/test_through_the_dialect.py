"""SQL Server and Oracle, which cannot run here: no server is behind any of this.

What is shown is what SQLAlchemy's dialect and the real driver's module make of a URL, which statements a connection is
told before the query and the query itself, and what becomes of values of the Python types that those drivers document.
In the place of the driver's connection stands a stub that takes down what it is told. No server is shown to agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from inspect import signature
from typing import Any, Self
from uuid import UUID

import oracledb
import pytest
from mssql_python import exceptions as mssql
from sqlalchemy import event

from syncd.core.fields import Kind, Role
from syncd.core.records import Layout, Record
from syncd.core.values import Unusable, read_value
from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.mis.cursors import PAGE_SIZE

_MSSQL = "mssql+mssqlpython://reader:Pa55word@mis.example:1433/ProSolution"
_MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
_ORACLE = "oracle+oracledb://reader:Pa55word@mis.example:1521/?service_name=mis"
_RUN_IT = "Run the query as this login in another program, such as SSMS for SQL Server, which shows the reason."
_READ_AGAIN = "The next run reads again; if it is lost again, check the network and the database server's log."
_TOO_SLOW = (
    "the database stopped it, usually because it takes longer than source.timeout_seconds (300). "
    "Make the query faster, or raise source.timeout_seconds."
)
_QUERY = "SELECT code AS MISID, '10%:x ?' AS odd FROM person -- who; :everybody"


@dataclass
class Connection:
    """What stands in for a driver's connection."""

    columns: Sequence[str] = ("MISID",)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    error: Exception | None = None
    told: list[str] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    version: str = "19.0.0.0.0"
    autocommit: bool = False
    timeout: int = 0
    call_timeout: int = 0
    outputtypehandler: Any = None
    max_identifier_length: int = 128
    no_result: Exception = field(
        default_factory=lambda: mssql.ProgrammingError(
            "Associated statement is not prepared", f"{_MICROSOFT}Not prepared"
        )
    )
    broken: Exception | None = None
    """What rolling back raises after the query."""

    def cursor(self) -> "Cursor":
        return Cursor(self) if isinstance(self.no_result, mssql.Error) else OracleCursor(self)

    def rollback(self) -> None:
        self.told.append("ROLLBACK")
        if self.broken and _QUERY in self.told:
            raise self.broken

    def commit(self) -> None:
        self.told.append("COMMIT")

    def close(self) -> None:
        self.told.append("closed")


class Cursor:
    """What stands in for its cursor: to the dialect's own questions about the server it knows an answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[object, ...]] = []
        self.description: list[tuple[object, ...]] | None = None
        self.arraysize = 1
        self.rowcount = -1
        self._has_result = False
        """Whether rows may be fetched: PEP 249 wants an error without a result, and these drivers raise it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, statement: str, *_: object) -> None:
        if statement == _QUERY:
            if self._connection.error:
                self._connection.told.append(statement)
                raise self._connection.error
            self._rows = list(self._connection.rows)
            self.description = [(name, *(None,) * 6) for name in self._connection.columns]
        elif statement.lstrip().lower().startswith("select"):
            answer = "Microsoft SQL Server 2022 - 16.0.1000.6" if "@@version" in statement else "dbo"
            self._rows, self.description = [(answer,)], [("answer", *(None,) * 6)]
        else:
            self._rows, self.description = [], None
        self._has_result = self.description is not None
        self._connection.told.append(" ".join(statement.split()))

    def nextset(self) -> bool:
        self._rows, self.description, self._has_result = [], None, False
        return False

    def _check(self) -> None:
        if not self._has_result:
            raise self._connection.no_result

    def fetchone(self) -> tuple[object, ...] | None:
        self._check()
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[tuple[object, ...]]:
        self._check()
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, size: int) -> list[tuple[object, ...]]:
        self._check()
        self._connection.fetched.append(size)
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def setinputsizes(self, *_: object, **__: object) -> None: ...

    def close(self) -> None: ...


class OracleCursor(Cursor):
    """oracledb has no `nextset`, and refuses to fetch after a statement that is no query: DPY-1003."""

    nextset = None  # type: ignore[assignment]


def _mis(url: str, connection: Connection, timeout_seconds: float = 300) -> Mis:
    mis = Mis(url, timeout_seconds)
    if url.startswith("oracle"):
        connection.no_result = oracledb.InterfaceError("DPY-1003: the executed statement does not return rows")

    @event.listens_for(mis._engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Connection:
        connection.arguments, connection.options = tuple(arguments), options
        return connection

    return mis


def _read(url: str, connection: Connection, timeout_seconds: float = 300) -> list[tuple[object, ...]]:
    with _mis(url, connection, timeout_seconds).read("learners", f"{_QUERY};\n") as rows:
        return [tuple(row) for row in rows.stream]


def _of_the_transaction(connection: Connection) -> list[str]:
    """What was told after the dialect had asked its own questions."""
    assert "COMMIT" not in connection.told
    last = len(connection.told) - connection.told[::-1].index(_QUERY) - 1
    before = [number for number, told in enumerate(connection.told[:last]) if told == "ROLLBACK"]
    return connection.told[before[-1] + 1 if before else 0 :]


@pytest.mark.parametrize("url", [_MSSQL, _MSSQL.replace("mssql+mssqlpython", "mssql")])
def test_sql_server_is_read_with_read_only_intent_and_low_priority(url: str) -> None:
    connection = Connection(rows=[("L1",)])
    assert _read(url, connection, timeout_seconds=299.5) == [("L1",)]

    [described] = connection.arguments
    assert dict(part.split("=", 1) for part in described.split(";")) == {
        "Server": "mis.example,1433",
        "Database": "ProSolution",
        "UID": "reader",
        "PWD": "Pa55word",
        "ApplicationIntent": "ReadOnly",
    }
    assert connection.timeout == 300
    told = _of_the_transaction(connection)
    assert told == ["SET DEADLOCK_PRIORITY LOW", "SET NOCOUNT ON", _QUERY, "ROLLBACK", "closed"]


def test_what_the_url_says_to_sql_server_counts_more() -> None:
    connection = Connection()
    _read(f"{_MSSQL}?applicationintent=ReadWrite&TrustServerCertificate=yes", connection)
    [described] = connection.arguments
    assert "applicationintent=ReadWrite" in described
    assert "ReadOnly" not in described
    assert "TrustServerCertificate=yes" in described


@pytest.mark.parametrize("url", [_ORACLE, _ORACLE.replace("oracle+oracledb", "oracle")])
def test_oracle_is_read_in_a_transaction_that_can_only_read(url: str) -> None:
    connection = Connection(rows=[("L1",)])
    assert _read(url, connection, timeout_seconds=12.5) == [("L1",)]

    assert connection.options["user"] == "reader"
    assert connection.options["password"] == "Pa55word"
    assert "mis.example" in str(connection.options["dsn"])
    assert "SERVICE_NAME=mis" in str(connection.options["dsn"])
    assert connection.call_timeout == 12_500
    assert _of_the_transaction(connection) == ["SET TRANSACTION READ ONLY", _QUERY, "ROLLBACK", "closed"]


@pytest.mark.parametrize("rows", [0, 1, 40, 999, 1000, 1001, 2500])
@pytest.mark.parametrize("url", [_MSSQL, _ORACLE], ids=["mssql", "oracle"])
def test_every_row_is_read_from_a_strict_cursor(url: str, rows: int) -> None:
    connection = Connection(rows=[(number,) for number in range(rows)])
    with _mis(url, connection).read("learners", _QUERY) as read:
        taken: list[object] = []
        while page := read.take(PAGE_SIZE):
            taken += [tuple(row) for row in page]
        # A poll asks again after the last page.
        assert not read.take(PAGE_SIZE)
    assert taken == connection.rows


@pytest.mark.parametrize("url", [_MSSQL, _ORACLE], ids=["mssql", "oracle"])
def test_rows_are_asked_for_a_page_at_a_time(url: str) -> None:
    connection = Connection(rows=[(number,) for number in range(2 * PAGE_SIZE + 1)])
    assert _read(url, connection) == connection.rows
    assert set(connection.fetched) == {PAGE_SIZE}
    assert len(connection.fetched) == 4


@pytest.mark.parametrize("rows", [0, 1, 40, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE + 500])
@pytest.mark.parametrize("url", [_MSSQL, _ORACLE], ids=["mssql", "oracle"])
def test_the_end_may_be_asked_for_again(url: str, rows: int) -> None:
    connection = Connection(rows=[(number,) for number in range(rows)])
    with _mis(url, connection).read("learners", _QUERY) as read:
        assert list(read.stream) == connection.rows
        asked = len(connection.fetched)
        assert list(read.take(PAGE_SIZE)) == list(read.take(1)) == []
        assert len(connection.fetched) == asked


@pytest.mark.parametrize(
    "broken", [RuntimeError("Zz-Surname"), mssql.OperationalError("Communication link failure", f"{_MICROSOFT}x")]
)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("SQLGetData failed for NVARCHAR column"), r"the connection was lost \(RuntimeError\)"),
        (mssql.OperationalError("Communication link failure", f"{_MICROSOFT}x"), r"the connection was lost \(Operat"),
        (
            mssql.ProgrammingError("Column not found", f"{_MICROSOFT}Invalid column name 'x'."),
            "Invalid column name 'x'",
        ),
    ],
)
def test_the_first_error_is_reported_when_rolling_back_fails(error: Exception, said: str, broken: Exception) -> None:
    connection = Connection(error=error, broken=broken)
    with pytest.raises(MisUnreachable, match=rf"^The feed learners cannot be read from the MIS: {said}"):
        _read(_MSSQL, connection)
    assert connection.told[-1] == "closed"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, r"the database stopped it, .* \(0\)"), (300, r"the database refused the query \(Runtime")]
)
def test_runtime_error_is_a_timeout_only_if_the_timeout_has_passed(seconds: float, said: str) -> None:
    """mssql-python raises a RuntimeError without code or message; the connection still works."""
    connection = Connection(error=RuntimeError("SQLGetData failed for NVARCHAR column"))
    with pytest.raises(MisUnreachable, match=said), _mis(_MSSQL, connection, seconds).read("learners", _QUERY):
        pass


def test_rows_that_are_all_read_are_good_when_rolling_back_fails() -> None:
    connection = Connection(rows=[("L1",)], broken=RuntimeError("x"))
    assert _read(_MSSQL, connection) == [("L1",)]


def test_oracle_session_names_syncd_as_its_program() -> None:
    connection = Connection()
    _read(_ORACLE, connection)
    assert connection.options["program"] == "syncd"


def test_a_type_error_while_connecting_is_not_blamed_on_an_option() -> None:
    mis = Mis(_MSSQL)

    @event.listens_for(mis._engine, "do_connect")
    def connect(*_: object) -> None:
        raise TypeError("'NoneType' object is not subscriptable")

    with pytest.raises(MisUnreachable, match=r"cannot be reached: its driver failed \(TypeError\)\.$"), mis.connect():
        pass


class Variables:
    """What stands in for an oracledb cursor that is asked for a variable to fetch into."""

    arraysize = PAGE_SIZE

    def var(self, kind: object, *_: object, **options: object) -> tuple[object, dict[str, object]]:
        return kind, options


def test_oracle_s_types_are_fetched_as_what_a_feed_is_made_of() -> None:
    connection = Connection()
    _read(_ORACLE, connection)

    def fetched(kind: object, precision: int = 0, scale: int = 0) -> Any:
        return connection.outputtypehandler(Variables(), "C", kind, 100, precision, scale)

    text, options = fetched(oracledb.DB_TYPE_VARCHAR)
    assert text is str
    # One name in a wrong code page is held, and does not stop the feed; the driver renamed this, and takes both names.
    assert list(options.values()) == ["replace"]
    assert signature(oracledb.Cursor.var).bind_partial(None, str, **options)
    assert fetched(oracledb.DB_TYPE_CHAR)[1] == options
    # A whole number is what the driver makes of it: an int.
    assert fetched(oracledb.DB_TYPE_NUMBER, precision=10) is None
    assert fetched(oracledb.DB_TYPE_NUMBER, precision=8, scale=2)[0] is Decimal
    assert fetched(oracledb.DB_TYPE_CLOB)[0] in {oracledb.DB_TYPE_VARCHAR, oracledb.DB_TYPE_LONG}
    assert fetched(oracledb.DB_TYPE_DATE) is None


_NOTHING = None
_TYPES_OF_DRIVERS: list[tuple[Kind, object, object]] = [
    # SQL Server: char(10), nvarchar, bit, int, decimal, money, float, uniqueidentifier, varbinary
    (Kind.TEXT, "L1        ", "L1"),
    (Kind.TEXT, "", _NOTHING),
    (Kind.BOOLEAN, True, True),
    (Kind.TEXT, 100234, "100234"),
    (Kind.TEXT, Decimal("1001.00"), "1001"),
    (Kind.TEXT, Decimal("1001.0000"), "1001"),
    (Kind.TEXT, 1001.0, "1001"),
    (Kind.TEXT, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Kind.TEXT, "Zoë".encode(), "Zoë"),
    # datetime, date, and '' converted to datetime
    (Kind.DATE, datetime(2006, 2, 28, 23, 59, 59, 997_000), "2006-02-28T00:00:00.000Z"),  # noqa: DTZ001
    (Kind.DATE, date(2006, 2, 28), "2006-02-28T00:00:00.000Z"),
    (Kind.DATE, datetime(1900, 1, 1), _NOTHING),  # noqa: DTZ001
    (Kind.DATE, date(1753, 1, 1), "is outside the years 1900 to 2100"),
    # Oracle: '' is NULL; DATE has a time; NUMBER with and without a scale
    (Kind.TEXT, None, _NOTHING),
    (Kind.DATE, datetime(2006, 2, 28), "2006-02-28T00:00:00.000Z"),  # noqa: DTZ001
    (Kind.INTEGER, 15379, 15379),
    (Kind.INTEGER, Decimal("15379.00"), 15379),
    (Kind.BOOLEAN, "Y", True),
    (Kind.TEXT, "Ren\ufffd", "has a character that was lost on the way"),
]


@pytest.mark.parametrize("url", [_MSSQL, _ORACLE], ids=["mssql", "oracle"])
@pytest.mark.parametrize(("kind", "given", "comes_to"), _TYPES_OF_DRIVERS)
def test_driver_specific_value_normalises_as_from_other_drivers(
    url: str, kind: Kind, given: object, comes_to: object
) -> None:
    [(raw,)] = _read(url, Connection(rows=[(given,)]))
    assert _outcome(kind, raw) == comes_to


def _outcome(kind: Kind, raw: object) -> object:
    try:
        return read_value(kind, raw)
    except Unusable as problem:
        return str(problem)


def test_oracle_s_capital_letters_are_the_fields_they_stand_for() -> None:
    columns = ["MISID", "FIRSTNAME", "LASTNAME", "EMAIL", "DEFAULTASSESSORID", "CLASSROOMID", "PLACEMENTID", "DOB"]
    row = ("L1", "Ann", "Example", "ann@example.org", 1, 2, 3, None)
    with _mis(_ORACLE, Connection(columns=columns, rows=[row])).read("learners", _QUERY) as rows:
        layout = Layout.from_columns(Role.LEARNER, "learners", rows.columns, organisation_id=5740)
        [record] = [layout.read(each, number) for number, each in enumerate(rows.stream, start=1)]
    assert isinstance(record, Record)
    assert (record.key.misid, record.fields["FirstName"], record.warnings) == ("L1", "Ann", ())


class Said:
    """What oracledb's errors carry."""

    def __init__(self, full_code: str, message: str) -> None:
        self.full_code = full_code
        self._message = message

    def __str__(self) -> str:
        return self._message


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        (
            _MSSQL,
            mssql.ProgrammingError("Base table or view not found", f"{_MICROSOFT}Invalid object name 'persons'."),
            "Invalid object name 'persons'.",
        ),
        (
            _MSSQL,
            mssql.ProgrammingError(
                "Syntax error or access violation",
                f"{_MICROSOFT}The SELECT permission was denied on the object 'person', database 'mis', schema 'dbo'.",
            ),
            "The SELECT permission was denied on the object 'person', database 'mis', schema 'dbo'.",
        ),
        (
            _MSSQL,
            mssql.DataError(
                "Invalid character value for cast specification",
                f"{_MICROSOFT}Conversion failed when converting the varchar value 'Zz-Surname' to data type int.",
            ),
            "a value cannot be converted to the type that the query asks for. Use TRY_CONVERT in the query.",
        ),
        (
            _MSSQL,
            mssql.ProgrammingError("Syntax error or access violation", f"{_MICROSOFT}Nobody called Zz-Surname here."),
            f"the database refused the query (ProgrammingError, code Syntax error or access violation). {_RUN_IT}",
        ),
        (
            _MSSQL,
            mssql.DataError(
                "Numeric value out of range", f"{_MICROSOFT}The value 'Zz-Surname is ambiguous' overflowed."
            ),
            f"the database refused the query (DataError, code Numeric value out of range). {_RUN_IT}",
        ),
        (
            _MSSQL,
            mssql.OperationalError("Timeout expired", f"{_MICROSOFT}Query timeout expired"),
            _TOO_SLOW,
        ),
        (
            _MSSQL,
            mssql.OperationalError("Communication link failure", f"{_MICROSOFT}TCP Provider: Error code 0x2746"),
            f"the connection was lost (OperationalError, code Communication link failure). {_READ_AGAIN}",
        ),
        (
            _ORACLE,
            oracledb.DatabaseError(
                Said("ORA-00942", 'ORA-00942: table or view "MIS"."PERSONS" does not exist\nHelp: …')
            ),
            'ORA-00942: table or view "MIS"."PERSONS" does not exist.',
        ),
        (
            _ORACLE,
            oracledb.DatabaseError(Said("ORA-01722", "ORA-01722: cannot convert string value 'Zz-Surname' to number")),
            f"the database refused the query (DatabaseError, code ORA-01722). {_RUN_IT}",
        ),
        (
            _ORACLE,
            oracledb.OperationalError(Said("DPY-4024", "DPY-4024: call timeout of 300000 ms exceeded")),
            _TOO_SLOW,
        ),
    ],
)
def test_query_errors_of_these_drivers_are_reported_without_values(url: str, error: Exception, said: str) -> None:
    with pytest.raises(MisUnreachable) as failure:
        _read(url, Connection(error=error))
    assert str(failure.value) == f"The feed learners cannot be read from the MIS: {said}"


@pytest.mark.parametrize(
    ("driver_said", "server_said", "remedy"),
    [
        (
            "Invalid authorization specification",
            "Login failed for user 'reader'.",
            (
                "Check the user and the password in source.url, and the database's name: SQL Server's driver reports a "
                "database that does not exist, or that this login may not use, with the same words; a password in the "
                "key source.password needs no encoding."
            ),
        ),
        (
            "Syntax error or access violation",
            'Cannot open database "mis" requested by the login. The login failed.',
            "Check the database's name in source.url, and that this login may use it.",
        ),
        (
            "Client unable to establish connection",
            "SSL Provider: certificate verify failed: self-signed certificate",
            (
                "If you trust the network between this machine and the server, add TrustServerCertificate=yes to "
                "source.url."
            ),
        ),
        (
            "Connection operation failed",
            "Failed to load the driver. Please read the documentation.",
            "mssql-python needs libraries of the system: install libltdl7, libkrb5-3 and libgssapi-krb5-2.",
        ),
    ],
)
def test_failed_sql_server_login_is_reported_with_a_remedy(driver_said: str, server_said: str, remedy: str) -> None:
    mis = Mis(_MSSQL)

    @event.listens_for(mis._engine, "do_connect")
    def connect(*_: object) -> None:
        raise mssql.OperationalError(driver_said, f"{_MICROSOFT}{server_said}")

    with pytest.raises(MisUnreachable) as failure, mis.connect():
        pass
    sentence = str(failure.value)
    assert sentence.startswith(
        "The MIS at mssql+mssqlpython://reader:***@mis.example:1433/ProSolution cannot be reached: "
    )
    assert f"{server_said.rstrip('.')}. {remedy}" in sentence
    assert "[" not in sentence
