"""The small TDS server, held against conversations that were recorded between mssql-python and a real server.

The recordings stand beside the repository. What their page says is how the protocol was seen to work.
"""

import ast
import datetime as dt
import json
import multiprocessing
import os
import re
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import mssql_python
import pytest
from mssql_python.constants import GetInfoConstants
from sqlalchemy import NullPool, create_engine, text

from tests.support.tds import Answer, Column, Count, Failure, Print, Procedure, Result, TdsServer
from tests.support.tds import columns as of
from tests.support.tds.requests import Packet
from tests.support.tds.tokens import Columns, Row, Token, decode
from tests.support.tds.wire import Closed, Wire

pytestmark = [pytest.mark.shared_data, pytest.mark.mssql]

_SHUT = ("encrypt_", "cut_")
"""What begins with this was not recorded to its end."""

_SECONDS = 30
"""How long anything here may take."""

_NAMES = [
    *("conversion_error", "counts", "error_in_rows", "fetch_after_nextset", "insert_parameters", "isolation", "login"),
    *("long_statement", "missing_column", "missing_table", "null_row", "parameters", "permission", "pooled_reconnect"),
    *("print_message", "procedure", "readonly_intent", "rows0", "rows1", "rows3", "sqlalchemy", "syntax_error"),
    *("timeout", "timeout_in_rows", "transactions", "two_results", "version", "wrong_database", "wrong_password"),
]


@dataclass(frozen=True)
class Recording:
    """A conversation."""

    packets: Sequence[dict[str, Any]]
    expected: Sequence[dict[str, Any]]

    @property
    def is_complete(self) -> bool:
        return not any("left_out_bytes" in packet for packet in self.packets)

    def exchanges(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Give each message of the client, and the packets that answered it."""
        asked, answered = b"", []  # type: tuple[bytes, list[bytes]]
        for packet in self.packets:
            content = bytes.fromhex(packet["hex"])
            if packet["from"] == "server":
                answered.append(content)
            elif content:
                if answered or _is_whole(asked):
                    yield asked, answered
                    asked, answered = b"", []
                asked += content
        yield asked, answered

    def answers(self) -> Iterator[bytes]:
        """Give the contents of the server's whole messages, but the one to pre-login."""
        content, is_whole = b"", True
        messages = []
        for packet in self.packets:
            if packet["from"] != "server":
                continue
            raw = bytes.fromhex(packet["hex"])
            if not raw or raw[0] != Packet.ANSWER:
                is_whole = False
                continue
            content += raw[8:]
            if raw[1] & 1:
                messages.append(content if is_whole else b"")
                content, is_whole = b"", True
        yield from messages[1:]


def _is_whole(message: bytes) -> bool:
    at = 0
    while at < len(message):
        status, length = message[at + 1], int.from_bytes(message[at + 2 : at + 4])
        at += length
        if status & 1:
            return True
    return False


def _folder() -> Path:
    beside_the_repository = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("SYNCD_TEST_DATA", beside_the_repository), "tds")


def _recording(name: str) -> Recording:
    content = json.loads(Path(_folder(), f"{name}.json").read_text(encoding="utf-8"))
    return Recording(content["packets"], content["expect"])


def test_the_complete_recordings_are_those_that_are_replayed() -> None:
    names = {file.stem for file in _folder().glob("*.json") if not file.stem.startswith(_SHUT)}
    assert {name for name in names if _recording(name).is_complete} == set(_NAMES)


def test_every_recorded_answer_is_written_again_as_it_was() -> None:
    seen = 0
    for file in _folder().glob("*.json"):
        for answer in _recording(file.stem).answers():
            tokens = list(decode(answer))
            written = b"".join(token.encode() for token in tokens)
            if file.stem == "rows3" and written != answer:
                # That server writes a decimal as short as its value allows; SQL Server as long as its type does.
                assert list(map(_values, decode(written))) == list(map(_values, tokens))
            else:
                assert written == answer, file.stem
            seen += bool(tokens)
    assert seen > 100


def _values(token: Token) -> object:
    """What can be compared: types are made of functions."""
    match token:
        case Row(_, values):
            return values
        case Columns(columns):
            return [(column.name, column.type.token, column.type.info) for column in columns]
        case _:
            return token


def _replay(listener: socket.socket, exchanges: Sequence[tuple[bytes, list[bytes]]]) -> list[str]:
    """Send what was recorded, whenever a client has sent as much as it did then; return what it sent otherwise."""
    differences = []
    listener.settimeout(_SECONDS)
    connection, _ = listener.accept()
    connection.settimeout(_SECONDS)
    wire = Wire(connection)
    with listener, connection, suppress(Closed):
        for asked, answered in exchanges:
            kind, content = wire.receive()
            # The first two messages have what differs between any two log-ins.
            if kind != asked[0] or (kind not in {Packet.PRELOGIN, Packet.LOGIN} and content != _content(asked)):
                differences.append(f"{content!r} instead of {_content(asked)!r}")
            wire.send(b"".join(answered))
    return differences


def _content(message: bytes) -> bytes:
    content, at = b"", 0
    while at < len(message):
        length = int.from_bytes(message[at + 2 : at + 4])
        content += message[at + 8 : at + length]
        at += length
    return content


class _Client:
    """Does what was done, with ``c`` for the connection and ``k`` for its cursor."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._names: dict[str, Any] = {
            **vars(mssql_python),
            **{name: member.value for name, member in GetInfoConstants.__members__.items()},
            # ODBC's numbers, which the driver has no names for.
            "SQL_DBMS_NAME": 17,
            "SQL_DBMS_VER": 18,
            "mssql_python": mssql_python,
            "Decimal": Decimal,
            "datetime": dt,
            "connect": self._connect,
            "k": None,
        }

    def does(self, did: str) -> str:
        """Do it, and return what it gave, as it was recorded."""
        if did.startswith("create_engine"):
            return repr(self._as_syncd_does())
        if did.startswith("k.") and self._names["k"] is None:
            self._names["k"] = self._names["c"].cursor()
        *before, last = ast.parse(did).body
        exec(compile(ast.Module(before, []), "did", "exec"), self._names)  # noqa: S102 - what the tests' own data says
        if isinstance(last, ast.Expr):
            given = eval(compile(ast.Expression(last.value), "did", "eval"), self._names)  # noqa: S307
        else:
            exec(compile(ast.Module([last], []), "did", "exec"), self._names)  # noqa: S102
            given = None
        if did in {"k.close()", "c.close()"}:
            self._names["k"] = None
        if did.startswith("c = "):
            return "a connection"
        # PEP 249 leaves open what execute gives; this driver gives its cursor.
        return "None" if given is self._names["k"] else re.sub(r"<class '([\w.]*\.)?(\w+)'>", r"'\2'", repr(given))

    def _connect(self, described: str, *, autocommit: bool) -> object:
        return mssql_python.connect(described.replace("14330", str(self._port)), autocommit=autocommit)

    def _as_syncd_does(self) -> object:
        url = f"mssql+mssqlpython://lab_reader:Made-up.pass1@127.0.0.1:{self._port}/college?Encrypt=no"
        engine = create_engine(f"{url}&ApplicationIntent=ReadOnly", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text("SET DEADLOCK_PRIORITY LOW"))
            connection.execute(text("SET NOCOUNT ON"))
            cursor = connection.connection.cursor()
            cursor.execute("SELECT id, code FROM dbo.many WHERE id <= 3")
            first, second, more = cursor.fetchmany(1000), cursor.fetchmany(1000), cursor.nextset()
            cursor.close()
        return first, second, more, engine.dialect.server_version_info


def _expect(recording: Recording, port: int) -> None:
    client = _Client(port)
    for expected in recording.expected:
        try:
            given = client.does(expected["did"])
        except (mssql_python.Error, RuntimeError) as problem:
            came = {"raised": type(problem).__name__, "str": str(problem)}
        else:
            came = {"gave": given}
        assert came == {name: expected[name] for name in ("raised", "str", "gave") if name in expected}, expected["did"]


@pytest.fixture(autouse=True)
def pooling(request: pytest.FixtureRequest) -> Iterator[None]:
    """The driver's own pool is off, as it was for all recordings but one."""
    mssql_python.pooling(enabled="pooled_reconnect" in request.node.name)
    yield
    mssql_python.pooling(enabled=False)


@pytest.fixture(scope="module")
def other_process() -> Iterator[Executor]:
    """Another process: this driver lets no other thread of its own run while it asks for the user's name."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("name", _NAMES)
def test_the_driver_gives_again_what_it_gave(name: str, other_process: Executor) -> None:
    recording = _recording(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        differences = other_process.submit(_replay, listener, list(recording.exchanges()))
        _expect(recording, listener.getsockname()[1])
        assert differences.result(_SECONDS) == []


_TYPES = [
    Column("c_int", of.INT),
    Column("c_bigint", of.BIGINT),
    Column("c_bit", of.BIT),
    Column("c_decimal", of.decimal(10, 2)),
    Column("c_money", of.MONEY),
    Column("c_float", of.FLOAT),
    Column("c_date", of.DATE),
    Column("c_datetime", of.DATETIME),
    Column("c_datetime2", of.datetime2()),
    Column("c_smalldatetime", of.SMALLDATETIME),
    Column("c_datetimeoffset", of.datetimeoffset()),
    Column("c_char", of.char(10)),
    Column("c_varchar", of.varchar(50)),
    Column("c_nvarchar", of.nvarchar(50)),
    Column("c_nvarchar_max", of.NVARCHAR_MAX),
    Column("c_varbinary", of.varbinary(8)),
    Column("c_guid", of.UNIQUEIDENTIFIER),
    Column("c_rowversion", of.ROWVERSION),
]
_at = datetime.fromisoformat
_ROWS: list[tuple[object, ...]] = [
    (
        *(1, 9000000000000000001, True, Decimal("12345678.90"), Decimal("922337203685477.5807"), 0.1),
        date(2004, 2, 29),
        _at("1999-12-31 23:59:59.997000"),
        _at("2026-09-01 08:30:15.123457"),
        _at("2026-09-01 08:30"),
        datetime(2026, 6, 1, 9, 0, 0, 123457, tzinfo=timezone(timedelta(hours=1))),
        *("A1        ", "£ 5 café", "Łukasz 🎓", f"Long text: Ł 🎓 {'x' * 40}", bytes(range(1, 9))),
        UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        bytes.fromhex("00000000000003ab"),
    ),
    (
        *(-2147483648, -9000000000000000001, False, Decimal("-0.01"), Decimal("-922337203685477.5808"), -1.5e300),
        *(date(1, 1, 1), _at("1753-01-01 00:00"), _at("0001-01-01 00:00"), _at("1900-01-01 00:00")),
        datetime(2026, 12, 1, 9, 0, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
        *(" " * 10, "", "", "", b"", UUID(int=0), bytes.fromhex("00000000000003ac")),
    ),
    (*(None,) * 17, bytes.fromhex("00000000000003ad")),
]
_SAMPLE = f"SELECT {', '.join(column.name for column in _TYPES)} FROM dbo.sample"
_MANY = [Column("id", of.INT), Column("code", of.varchar(12)), Column("name", of.nvarchar(50))]
_A = Column("a", of.INT)


def _quotient(last: int) -> list[tuple[object, ...]]:
    return [(number, f"L{number:05}", int(10 / (number - 1900))) for number in range(1, last + 1)]


_COUNTS = "DELETE FROM dbo.scratch; INSERT INTO dbo.scratch VALUES (1), (2); SELECT COUNT(*) AS n FROM dbo.scratch"
_STILL = {"SELECT 1 AS still_usable": Result([Column("still_usable", of.INT)], [(1,)])}
_TWO_STEPS = Procedure([Count(2), Result([Column("answer", of.INT)], [(7,)])], returns=3)
_BY_ZERO = Failure(8134, "division by zero")

#: What our own server is to answer, so that the driver gives what was recorded from the real one.
_ANSWERS: dict[str, dict[str, Answer]] = {
    "rows0": {f"{_SAMPLE} WHERE 1 = 0": Result(_TYPES, [])},
    "rows1": {f"{_SAMPLE} WHERE c_int = 1": Result(_TYPES, _ROWS[:1])},
    "rows3": {_SAMPLE: Result(_TYPES, _ROWS)},
    "null_row": {f"{_SAMPLE} WHERE c_int IS NULL": Result(_TYPES, _ROWS[2:])},
    "rows2500": {
        "SELECT id, code, name FROM dbo.many ORDER BY id": Result(
            _MANY, [(number, f"L{number:05}", f"Learner Ł {number}") for number in range(1, 2501)]
        )
    },
    "two_results": {
        "SELECT 1 AS a; SELECT N'x' AS b, N'y' AS c": [
            Result([_A], [(1,)]),
            Result([Column("b", of.nvarchar(1)), Column("c", of.nvarchar(1))], [("x", "y")]),
        ]
    },
    "print_message": {
        "PRINT 'hello from the server'; SELECT 1 AS a": [Print("hello from the server"), Result([_A], [(1,)])]
    },
    "counts": {_COUNTS: [Count(0), Count(2), Result([Column("n", of.INT)], [(2,)])]},
    "procedure": {"EXEC dbo.two_steps": _TWO_STEPS, "dbo.two_steps": _TWO_STEPS},
    "error_in_rows": {
        "SELECT id, 10 / (id - 3) AS q FROM dbo.many WHERE id <= 4 ORDER BY id": Result(
            [Column("id", of.INT), Column("q", of.INT)], [], _BY_ZERO
        ),
        **_STILL,
    },
    "missing_table": {
        "SELECT id FROM dbo.no_such_table": Failure(33557097, 'relation "college_dbo.no_such_table" does not exist'),
        **_STILL,
    },
    "error_after_rows": {
        "SELECT id, code, 10 / (id - 1900) AS q FROM dbo.many": Result(
            [Column("id", of.INT), Column("code", of.varchar(12)), Column("q", of.INT)], _quotient(1899), _BY_ZERO
        ),
        "SELECT 1 AS a": Result([_A], [(1,)]),
    },
}


@pytest.mark.parametrize("name", _ANSWERS)
def test_our_server_makes_the_driver_give_what_the_real_one_did(name: str) -> None:
    with TdsServer(_ANSWERS[name], user="lab_reader", password="Made-up.pass1") as server:
        _expect(_recording(name), server.port)
