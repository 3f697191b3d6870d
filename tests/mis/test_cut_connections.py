"""A connection that breaks while rows are read: all rows or an error, by every driver, wherever it is cut.

A partial reading that looked complete would make leavers of the people who are missing from it.
"""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run
from time import monotonic
from uuid import UUID

import pytest
from sqlalchemy import URL, make_url

from syncd.core.fields import Kind
from syncd.core.values import read_value
from syncd.errors import MisUnreachable
from syncd.mis import Mis, deadline
from tests.support.cutting import CuttingProxy
from tests.support.tds import Column, Cut, Failure, Print, Result, Silence, TdsServer
from tests.support.tds.columns import NVARCHAR_MAX, UNIQUEIDENTIFIER, nvarchar

_ROWS = 2500
_QUERIES = {
    "postgresql": f"SELECT i, repeat('a', 40) AS a FROM generate_series(1, {_ROWS}) AS n(i)",
    "mysql": f"SELECT seq, REPEAT('a', 40) AS a FROM seq_1_to_{_ROWS}",
}
_SERVERS = ["postgres_url", pytest.param("mariadb_url", marks=pytest.mark.mariadb)]
_QUERY = "SELECT ref, name FROM person"
_LOST = r"^The feed learners cannot be read from the MIS: the connection was lost \("


def _count(url: str, query: str, timeout_seconds: float = 300) -> int:
    with Mis(url, timeout_seconds).read("learners", query) as rows:
        return sum(1 for _ in rows.stream)


def _address(url: URL) -> tuple[str, int] | Path:
    folder = url.query.get("host")
    if isinstance(folder, str):
        return Path(folder, f".s.PGSQL.{url.port or 5432}")
    assert url.host is not None
    return url.host, url.port or 3306


@pytest.fixture(params=_SERVERS)
def proxy(request: pytest.FixtureRequest) -> Iterator[tuple[CuttingProxy, str, str]]:
    """A proxy to a real server, a URL that leads through it, and a query."""
    url = make_url(request.getfixturevalue(request.param))
    with CuttingProxy(_address(url)) as proxy:
        options = {name: value for name, value in url.query.items() if name != "host"}
        through = url.set(host="127.0.0.1", port=proxy.port, query={**options})
        yield proxy, through.render_as_string(hide_password=False), _QUERIES[url.get_backend_name()]


def test_a_real_server_s_rows_are_all_there_or_an_error(proxy: tuple[CuttingProxy, str, str]) -> None:
    cutting, url, query = proxy
    assert _count(url, query) == _ROWS
    whole = cutting.passed
    outcomes = set()
    for after_bytes in range(500, whole, whole // 40):
        cutting.after_bytes = after_bytes
        try:
            outcomes.add(_count(url, query))
        except MisUnreachable:
            outcomes.add(0)
    assert outcomes <= {0, _ROWS}
    assert 0 in outcomes


def test_a_real_server_that_falls_silent_is_given_up(
    proxy: tuple[CuttingProxy, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "GRACE", 0.5)
    cutting, url, query = proxy
    assert _count(url, query) == _ROWS
    cutting.after_bytes, cutting.waits = cutting.passed // 2, True
    begun = monotonic()
    with pytest.raises(MisUnreachable, match=r"has not answered, .* within source\.timeout_seconds \(1\)\. "):
        _count(url, query, timeout_seconds=1)
    assert monotonic() - begun < 20


def test_a_sqlite_file_that_is_cut_short_is_an_error(tmp_path: Path, sqlite_url: str) -> None:
    file = Path(make_url(sqlite_url).database or "")
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE person (ref TEXT, name TEXT)")
    connection.executemany("INSERT INTO person VALUES (?, ?)", [(f"L{n}", "a" * 40) for n in range(_ROWS)])
    connection.commit()
    connection.close()
    content = file.read_bytes()
    assert _count(sqlite_url, _QUERY) == _ROWS
    outcomes: set[int | None] = set()
    for length in range(0, len(content), 3001):
        cut = tmp_path / "cut.db"
        cut.write_bytes(content[:length])
        try:
            outcomes.add(_count(f"sqlite:///{cut}", _QUERY))
        except MisUnreachable:
            outcomes.add(None)
    assert outcomes == {None}


def _people(rows: int, *, failure: Failure | None = None, is_long: bool = False) -> Result:
    name = Column("name", NVARCHAR_MAX if is_long else nvarchar(50))
    values = [[f"L{number:05}", f"Learner Ł {number}"] for number in range(rows)]
    return Result([Column("ref", nvarchar(20)), name], values, failure)


_PYODBC = {"driver": "FreeTDS", "TDS_Version": "7.4", "Encryption": "off"}
_DRIVERS = {
    "mssql-python": ("mssql+mssqlpython", {"Encrypt": "no"}),
    "pyodbc": ("mssql+pyodbc", _PYODBC),
}


@pytest.fixture(params=["mssql-python", "pyodbc"])
def driver(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """A driver for SQL Server, and the options that it needs without TLS."""
    return _DRIVERS[request.param]


def _server(answer: object) -> TdsServer:
    one = Result([Column("", nvarchar(1))], [["1"]])
    return TdsServer({_QUERY: answer, "SELECT 1": one})  # type: ignore[dict-item]


def _url(server: TdsServer, driver: tuple[str, dict[str, str]]) -> str:
    name, options = driver
    url = make_url(server.url(name)).update_query_dict(options)
    return url.render_as_string(hide_password=False)


@pytest.mark.mssql
@pytest.mark.parametrize("rows", [0, 1, 40, 999, 1000, 1001, 2000, 2500])
def test_sql_server_s_rows_are_read_to_the_end(driver: tuple[str, dict[str, str]], rows: int) -> None:
    with _server(_people(rows)) as server:
        assert _count(_url(server, driver), _QUERY) == rows


@pytest.mark.mssql
@pytest.mark.parametrize("by_reset", [False, True])
def test_sql_server_s_rows_are_all_there_or_an_error(driver: tuple[str, dict[str, str]], by_reset: bool) -> None:
    for after_bytes in range(30, 90_000, 2731):
        with _server(Cut(_people(_ROWS), after_bytes, by_reset)) as server, pytest.raises(MisUnreachable):
            _count(_url(server, driver), _QUERY)


@pytest.mark.mssql
def test_sql_server_s_guids_are_alike_by_every_driver(driver: tuple[str, dict[str, str]]) -> None:
    guid = UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")
    answer = Result([Column("ref", UNIQUEIDENTIFIER)], [[guid]])
    with _server(answer) as server, Mis(_url(server, driver)).read("learners", _QUERY) as rows:
        ((raw,),) = rows.stream
    assert read_value(Kind.TEXT, raw) == "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.mark.mssql
def test_pyodbc_login_names_syncd_as_its_application() -> None:
    with _server(_people(1)) as server:
        assert _count(_url(server, _DRIVERS["pyodbc"]), _QUERY) == 1
    assert server.logins[0].application == "syncd"


@pytest.mark.mariadb
def test_mariadb_connection_names_syncd_as_its_program(mariadb_url: str) -> None:
    query = "SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs WHERE ATTR_NAME = 'program_name'"
    try:
        with Mis(mariadb_url).read("learners", query) as rows:
            told = [row[0] for row in rows.stream]
    except MisUnreachable:
        told = []
    # A server whose performance schema is off does not show it: then what is sent is looked at.
    assert told in ([], ["syncd"])
    assert "program_name=syncd" in str(Mis(mariadb_url)._engine.url)


@pytest.mark.mssql
def test_a_damaged_last_row_is_not_handed_on() -> None:
    seen = []
    for after_bytes in range(20_000, 30_000, 997):
        with (
            _server(Cut(_people(_ROWS), after_bytes)) as server,
            pytest.raises(MisUnreachable, match=_LOST),
            Mis(server.url(Encrypt="no")).read("learners", _QUERY) as rows,
        ):
            seen += list(rows.stream)
    assert seen == []


_READING = """
import sys
from syncd.mis import Mis
with Mis(sys.argv[1]).read("learners", sys.argv[2]) as rows:
    list(rows.stream)
"""


@pytest.mark.mssql
def test_a_lost_connection_is_the_error_that_is_reported_for_long_text() -> None:
    """In another process: while this driver waits for a long text no other thread of its process gets on."""
    with _server(Cut(_people(_ROWS, is_long=True), 9000)) as server:
        arguments = [sys.executable, "-c", _READING, server.url(Encrypt="no"), _QUERY]
        finished = run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert finished.stderr.splitlines()[-1].startswith(
        "syncd.errors.MisUnreachable: The feed learners cannot be read from the MIS: the connection was lost ("
    )
    assert "Exception terminating connection" not in finished.stderr


@pytest.mark.mssql
def test_an_error_behind_the_rows_is_an_error() -> None:
    for rows in (0, 40, 1000, 1001):
        failure = Failure(1205, "Transaction was deadlocked. Rerun the transaction.", 13)
        with _server(_people(rows, failure=failure)) as server, pytest.raises(MisUnreachable):
            _count(server.url(Encrypt="no"), _QUERY)


@pytest.mark.mssql
def test_what_sql_server_prints_is_no_error() -> None:
    with _server([_people(40), Print("Zz-Surname")]) as server:
        assert _count(server.url(Encrypt="no"), _QUERY) == 40


@pytest.mark.mssql
@pytest.mark.parametrize("after_bytes", [0, 9000])
@pytest.mark.parametrize("acknowledges", [True, False])
def test_a_silent_sql_server_is_given_up(after_bytes: int, acknowledges: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "GRACE", 1.0)
    begun = monotonic()
    with (
        _server(Silence(_people(_ROWS), after_bytes, acknowledges)) as server,
        pytest.raises(MisUnreachable, match=r"source\.timeout_seconds \(1\)\. "),
    ):
        _count(server.url(Encrypt="no"), _QUERY, timeout_seconds=1)
    assert monotonic() - begun < 20
