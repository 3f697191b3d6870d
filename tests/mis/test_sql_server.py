"""SQL Server as MIS: the real drivers, over a socket, against the small server of tests/support/tds.

mssql-python is the driver that syncd brings; pyodbc with FreeTDS is what some colleges have instead.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from threading import Timer
from time import monotonic
from uuid import UUID

import pytest

from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.mis.cursors import PAGE_SIZE
from syncd.mis.watermark_query import WatermarkQuery
from tests.support.certificates import Authority, self_signed
from tests.support.tds import (
    Answer,
    Column,
    Count,
    Cut,
    Encryption,
    Failure,
    Print,
    Procedure,
    Result,
    Silence,
    TdsServer,
    length_of,
)
from tests.support.tds import columns as of

pytestmark = pytest.mark.mssql

_QUERY = "SELECT id, code, name FROM dbo.person"
_PERSON = [Column("id", of.INT), Column("code", of.varchar(12)), Column("name", of.nvarchar(50))]
_LOB = [Column("id", of.INT), Column("note", of.NVARCHAR_MAX)]

_GRACE_SECONDS = 30
"""How much longer than source.timeout_seconds a silent server may keep syncd waiting."""


def _people(rows: int) -> Result:
    return Result(_PERSON, [(number, f"L{number:05}", f"Learner Ł {number}") for number in range(1, rows + 1)])


def _notes(rows: int, length: int = 3000) -> Result:
    return Result(_LOB, [(number, f"{number} Ł".ljust(length, "x")) for number in range(1, rows + 1)])


@dataclass(frozen=True)
class Driver:
    """A driver, and what its URL needs."""

    name: str
    options: dict[str, str]

    def url(self, server: TdsServer, **options: str) -> str:
        return server.url(self.name, **{**self.options, **options})


_MSSQL_PYTHON = Driver("mssql+mssqlpython", {"Encrypt": "no"})
_PYODBC = Driver("mssql+pyodbc", {"driver": "FreeTDS", "TDS_Version": "7.4"})


@pytest.fixture(params=[_MSSQL_PYTHON, _PYODBC], ids=["mssql-python", "pyodbc"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each driver that there is for SQL Server."""
    chosen: Driver = request.param
    return chosen


@dataclass
class Outcome:
    """What became of reading a feed."""

    rows: list[tuple[object, ...]]
    refusal: str | None = None
    cause: BaseException | None = None
    seconds: float = 0


def _read(mis: Mis, query: str = _QUERY, since: WatermarkQuery | None = None) -> Outcome:
    """Read a feed page by page, and once more after the last page, as a poll does."""
    outcome = Outcome([])
    begun = monotonic()
    try:
        with mis.read("learners", query, since) as rows:
            while page := rows.take(PAGE_SIZE):
                outcome.rows += [tuple(row) for row in page]
            assert not rows.take(PAGE_SIZE)
    except MisUnreachable as problem:
        outcome.refusal, outcome.cause = str(problem), problem.__cause__
    outcome.seconds = monotonic() - begun
    return outcome


def _read_from(answer: Answer, driver: Driver = _MSSQL_PYTHON, timeout_seconds: float = 30) -> Outcome:
    with TdsServer({_QUERY: answer}) as server:
        return _read(Mis(driver.url(server), timeout_seconds))


# Rows.


@pytest.mark.parametrize("rows", [0, 1, 40, 999, 1000, 1001, 2500])
def test_every_row_is_read(driver: Driver, rows: int) -> None:
    answer = _people(rows)
    outcome = _read_from(answer, driver)
    assert outcome.refusal is None
    assert outcome.rows == answer.rows


_AT = datetime.fromisoformat

_VALUES: list[tuple[of.Type, object]] = [
    (of.TINYINT, 255),
    (of.SMALLINT, -32768),
    (of.INT, 2**31 - 1),
    (of.BIGINT, -(2**63)),
    (of.BIT, True),
    (of.decimal(10, 2), Decimal("-12345678.90")),
    (of.decimal(38, 10), Decimal("1234567890123456789012345678.0123456789")),
    (of.MONEY, Decimal("-922337203685477.5808")),
    (of.FLOAT, -1.5e300),
    (of.DATE, date(2004, 2, 29)),
    (of.time_of_day(0), time(23, 59, 59)),
    (of.DATETIME, _AT("1999-12-31 23:59:59.997")),
    (of.SMALLDATETIME, _AT("2026-09-01 08:30")),
    (of.datetime2(), _AT("2026-09-01 08:30:15.123456")),
    (of.datetime2(3), _AT("0001-01-01 00:00:00.001")),
    (of.datetimeoffset(), datetime(2026, 6, 1, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))),
    (of.char(4), "A1  "),
    (of.varchar(50), "£ 5 café"),
    (of.nvarchar(50), "Łukasz 🎓"),
    (of.NVARCHAR_MAX, "Long text: Ł 🎓"),
    (of.VARCHAR_MAX, "café"),
    (of.varbinary(8), b"\x00\x01\xff"),
    (of.VARBINARY_MAX, bytes(range(256))),
    (of.UNIQUEIDENTIFIER, UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
    (of.ROWVERSION, bytes.fromhex("00000000000003ab")),
]


def test_a_value_of_every_type_is_read() -> None:
    columns = [Column(f"c{number}", kind) for number, (kind, _) in enumerate(_VALUES)]
    values = tuple(value for _, value in _VALUES)
    nothing = (None,) * len(values)
    answer = Result(columns, [values, nothing, values])
    assert _read_from(answer).rows == [values, nothing, values]


@pytest.mark.parametrize(
    ("kind", "unit"),
    [(of.NVARCHAR_MAX, "Ł"), (of.NVARCHAR_MAX, "🎓"), (of.VARCHAR_MAX, "é"), (of.VARBINARY_MAX, b"\xff")],
    ids=["nvarchar", "surrogates", "varchar", "varbinary"],
)
def test_long_values_are_read_whole(driver: Driver, kind: of.Type, unit: str | bytes) -> None:
    lengths = [0, 1, 2000, 4000, 4001, 8000, 8001, 100_000]
    answer = Result([Column("id", of.INT), Column("note", kind)], [(each, unit * each) for each in lengths])
    if driver is _PYODBC:
        # FreeTDS is not told to give Unicode for varchar, and cuts nothing else.
        assert [row[0] for row in _read_from(answer, driver).rows] == lengths
    else:
        assert _read_from(answer, driver).rows == [*answer.rows]


# Connections that are cut.


def _cuts(length: int) -> list[int]:
    """Where to cut an answer of this length: around the ends of packets, at its last bytes, and anywhere."""
    ends = [end + near for end in range(4096, length, 4096) for near in (-1, 0, 1, 8)]
    anywhere = random.Random(20).sample(range(1, length), 20)
    at = [0, 1, 8, 9, *ends, *anywhere, length - 13, length - 1]
    return sorted({each for each in at if each < length})


@pytest.mark.parametrize("by_reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("answer", [_people(1500), _notes(12)], ids=["rows", "long values"])
def test_a_cut_connection_never_looks_like_the_end(driver: Driver, answer: Result, by_reset: bool) -> None:
    length = length_of(answer)
    for after_bytes in _cuts(length):
        outcome = _read_from(Cut(answer, after_bytes, by_reset), driver)
        assert outcome.refusal, f"{len(outcome.rows)} rows after {after_bytes} of {length} bytes"
        if driver is _MSSQL_PYTHON:
            assert "the connection was lost" in outcome.refusal, f"after {after_bytes} of {length} bytes"
        # What came before is whole.
        assert outcome.rows == answer.rows[: len(outcome.rows)], f"after {after_bytes} of {length} bytes"


def test_a_cut_connection_never_looks_like_the_end_under_tls(tmp_path: Path) -> None:
    answer = _people(1500)
    certificate = self_signed(tmp_path)
    for after_bytes in _cuts(length_of(answer)):
        with TdsServer({_QUERY: Cut(answer, after_bytes)}, encryption=Encryption.ON, certificate=certificate) as server:
            outcome = _read(Mis(server.url(TrustServerCertificate="yes")))
        assert outcome.refusal, f"{len(outcome.rows)} rows after {after_bytes} bytes"
        assert outcome.rows == answer.rows[: len(outcome.rows)]


def test_a_connection_cut_behind_the_last_byte_has_given_every_row(driver: Driver) -> None:
    answer = _people(1500)
    outcome = _read_from(Cut(answer, length_of(answer)), driver)
    # pyodbc is asked for an answer afterwards, which does not come.
    assert outcome.rows == answer.rows or outcome.refusal


def test_cut_in_a_long_value_is_reported_and_not_the_closing_error() -> None:
    outcome = _read_from(Cut(_notes(50), 40_000))
    assert outcome.refusal
    assert outcome.refusal.startswith("The feed learners cannot be read from the MIS: the connection was lost")
    # Of a long value the driver says so by no error of the database API; a rollback at the end would say another.
    assert "fetching LOB" in str(outcome.cause)


def test_killed_session_is_reported_as_a_lost_connection() -> None:
    with TdsServer({_QUERY: Silence(_people(2500), 60_000)}) as server:
        # Well after the server has sent what it sends.
        administrator = Timer(1, server.hang_up)
        administrator.start()
        outcome = _read(Mis(server.url(Encrypt="no"), timeout_seconds=30))
        administrator.join()
    assert outcome.refusal
    assert "connection was lost" in outcome.refusal
    assert outcome.seconds < 10


# Time.


@pytest.mark.parametrize("after_bytes", [0, 60_000], ids=["before the answer", "between two pages"])
def test_a_statement_that_takes_too_long_is_stopped(driver: Driver, after_bytes: int) -> None:
    answer = Silence(_people(2500), after_bytes, acknowledges_attention=True)
    outcome = _read_from(answer, driver, timeout_seconds=1)
    assert outcome.refusal
    assert "source.timeout_seconds (1)" in outcome.refusal
    assert outcome.seconds < _GRACE_SECONDS


@pytest.mark.parametrize(
    ("answer", "after_bytes"),
    [(_people(2500), 0), (_people(2500), 60_000), (_notes(50), 60_000)],
    ids=["before the answer", "between two pages", "in a long value"],
)
def test_a_server_that_falls_silent_is_given_up(driver: Driver, answer: Result, after_bytes: int) -> None:
    outcome = _read_from(Silence(answer, after_bytes), driver, timeout_seconds=1)
    assert outcome.refusal
    assert "source.timeout_seconds (1)" in outcome.refusal
    assert outcome.seconds < _GRACE_SECONDS


def test_a_server_that_falls_silent_at_the_login_is_given_up() -> None:
    with TdsServer({}, login=Silence()) as server:
        outcome = _read(Mis(server.url(Encrypt="no"), timeout_seconds=1))
    assert outcome.refusal
    assert "Check the host and the port" in outcome.refusal
    assert outcome.seconds < 2 * _GRACE_SECONDS


# Errors.


def test_wrong_password_is_reported_without_showing_it() -> None:
    with TdsServer({}) as server:
        outcome = _read(Mis(server.url(Encrypt="no").replace("Pa55word", "Zz-wrong")))
    assert outcome.refusal
    assert "Login failed for user 'reader'. Check the user and the password in source.url" in outcome.refusal
    assert "Zz-wrong" not in outcome.refusal


def test_database_forbidden_to_the_login_is_reported() -> None:
    with TdsServer({}) as server:
        outcome = _read(Mis(server.url(Encrypt="no").replace("/college", "/colege")))
    assert outcome.refusal
    assert "database" in outcome.refusal


def test_wrong_database_is_reported_with_a_remedy() -> None:
    text = 'Cannot open database "colege" requested by the login. The login failed.'
    with TdsServer({}, login=Failure(4060, text, severity=11)) as server:
        outcome = _read(Mis(server.url(Encrypt="no").replace("/college", "/colege")))
    assert outcome.refusal
    assert 'Cannot open database "colege" requested by the login.' in outcome.refusal
    assert "Check the database's name in source.url, and that this login may use it." in outcome.refusal


_ERRORS = [
    (208, "Invalid object name 'dbo.person'.", "Invalid object name 'dbo.person'."),
    (207, "Invalid column name 'coed'.", "Invalid column name 'coed'."),
    (102, "Incorrect syntax near 'FORM'.", "Incorrect syntax near 'FORM'."),
    (
        229,
        "The SELECT permission was denied on the object 'person', database 'college', schema 'dbo'.",
        "The SELECT permission was denied on the object 'person', database 'college', schema 'dbo'.",
    ),
    (
        1205,
        "Transaction (Process ID 53) was deadlocked on lock resources with another process.",
        "deadlock",
    ),
    (1222, "Lock request time out period exceeded.", "locked"),
    (245, "Conversion failed when converting the varchar value 'Zz-Surname' to data type int.", "converted"),
    (8134, "Divide by zero error encountered.", "divides by zero"),
]


@pytest.mark.parametrize("rows", [0, 1500], ids=["at once", "after rows"])
@pytest.mark.parametrize(("number", "text", "told"), _ERRORS, ids=[str(number) for number, *_ in _ERRORS])
def test_server_error_is_reported_by_its_number_without_values(
    driver: Driver, number: int, text: str, told: str, rows: int
) -> None:
    failure = Failure(number, text)
    people = _people(rows)
    answer: Answer = Result(people.columns, people.rows, failure) if rows else failure
    outcome = _read_from(answer, driver)
    assert outcome.refusal
    assert outcome.refusal.startswith("The feed learners cannot be read from the MIS: ")
    assert told in outcome.refusal
    assert "Zz-Surname" not in outcome.refusal
    assert outcome.rows == people.rows[: len(outcome.rows)]
    assert len(outcome.rows) < max(rows, 1)


# What else a statement may answer.


def test_a_warning_after_the_rows_is_no_error(driver: Driver) -> None:
    warning = Print("Warning: Null value is eliminated by an aggregate or other SET operation.", 8153)
    people = _people(1001)
    outcome = _read_from(Result(people.columns, people.rows, warning=warning), driver)
    assert (outcome.refusal, outcome.rows) == (None, people.rows)


def test_a_message_before_the_rows_is_passed_over(driver: Driver) -> None:
    people = _people(40)
    outcome = _read_from([Print("hello from the server"), people], driver)
    assert (outcome.refusal, outcome.rows) == (None, people.rows)


@pytest.mark.parametrize("despite_nocount", [False, True])
def test_counts_of_a_procedure_are_passed_over(driver: Driver, despite_nocount: bool) -> None:
    people = _people(40)
    answer = Procedure([Count(2, despite_nocount), people, Count(3, despite_nocount)])
    outcome = _read_from(answer, driver)
    assert (outcome.refusal, outcome.rows) == (None, people.rows)


def test_a_second_result_is_refused(driver: Driver) -> None:
    outcome = _read_from([_people(2), _people(3)], driver)
    assert outcome.refusal
    assert "the query returns more than one result" in outcome.refusal


def test_error_after_the_result_is_reported(driver: Driver) -> None:
    outcome = _read_from([_people(2), Failure(208, "Invalid object name 'dbo.log'.")], driver)
    assert outcome.refusal
    assert "Invalid object name 'dbo.log'" in outcome.refusal


# Polls by a watermark.


@pytest.mark.parametrize(
    "mark",
    [
        7,
        2**40,
        "2026-09-01",
        "Ł",
        bytes.fromhex("00000000000003ab"),
        Decimal("1.50"),
        _AT("2026-09-01 08:30:15.123456"),
        date(2026, 9, 1),
    ],
    ids=lambda mark: type(mark).__name__,
)
def test_a_poll_by_a_watermark_binds_its_mark(driver: Driver, mark: object) -> None:
    asked: list[Sequence[object]] = []
    people = _people(3)

    def answer(*parameters: object) -> Answer:
        asked.append(parameters)
        return people

    since = WatermarkQuery("changed", mark, is_inclusive=True, key="code", keys=("L00001", "L00002"))  # type: ignore[arg-type]
    with _Anything(answer) as server:
        outcome = _read(Mis(driver.url(server)), since=since)
        [text] = [each for each in server.texts if "FROM dbo.person" in each]
    assert (outcome.refusal, outcome.rows) == (None, people.rows)
    assert text.count("@P") == 3
    [(asked_since, *keys)] = asked
    assert keys == ["L00001", "L00002"]
    if driver is _PYODBC and isinstance(mark, datetime):
        # FreeTDS leaves out what is less than a second, so that no row is missed.
        assert asked_since == mark.replace(microsecond=0)
    else:
        assert asked_since == mark


class _Anything(TdsServer):
    """Answers the same to each query of the feed, wrapped in what asks for what is new."""

    def __init__(self, answer: Callable[..., Answer]) -> None:
        super().__init__({})
        self._feed = answer

    def answer_to(self, request: object) -> Answer:
        text, parameters = request.text, request.parameters  # type: ignore[attr-defined]
        return self._feed(*parameters) if "dbo.person" in text else super().answer_to(request)  # type: ignore[arg-type]


# Logins and TLS.


def test_login_shows_the_server_user_application_and_low_priority(driver: Driver) -> None:
    with TdsServer({_QUERY: _people(1)}) as server:
        assert _read(Mis(driver.url(server))).refusal is None
    [login] = server.logins
    assert (login.user, login.database) == ("reader", "college")
    # mssql-python lets no other name be given; FreeTDS does not know the option.
    assert login.application == ("syncd" if driver is _PYODBC else "MSSQL-Python")
    assert login.wants_to_read_only is (driver is _MSSQL_PYTHON)
    assert server.texts[:2] == ["SET DEADLOCK_PRIORITY LOW", "SET NOCOUNT ON"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that no machine knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


def _refused_login(encryption: Encryption, certificate: Path | None, **options: str) -> str:
    with TdsServer({_QUERY: _people(1)}, encryption=encryption, certificate=certificate) as server:
        refusal = _read(Mis(server.url(**options))).refusal
    assert refusal
    return refusal


def test_self_signed_certificate_is_reported_with_its_remedy(tmp_path: Path) -> None:
    refusal = _refused_login(Encryption.ON, self_signed(tmp_path))
    assert "self-signed certificate" in refusal
    assert "TrustServerCertificate=yes" in refusal


def test_unknown_authority_is_reported_with_a_hint_to_ca_file(authority: Authority) -> None:
    refusal = _refused_login(Encryption.ON, authority.certificate())
    assert "unable to get local issuer certificate" in refusal
    assert "ca_file" in refusal


def test_certificate_of_another_host_is_reported_with_its_remedy(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    refusal = _refused_login(Encryption.ON, authority.certificate("mis.example"))
    assert "HostNameInCertificate=" in refusal


def test_server_without_tls_is_reported_with_its_remedy() -> None:
    refusal = _refused_login(Encryption.NOT_SUPPORTED, None)
    assert "Encryption not supported on SQL Server" in refusal
    assert "Encrypt=no" in refusal


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that knows the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


def test_the_remedies_for_tls_help(authority: Authority, tmp_path: Path, trusted: None) -> None:
    cases: list[tuple[Encryption, Path | None, dict[str, str]]] = [
        (Encryption.ON, self_signed(tmp_path), {"TrustServerCertificate": "yes"}),
        (Encryption.ON, authority.certificate(), {}),
        (Encryption.ON, authority.certificate("mis.example"), {"HostNameInCertificate": "mis.example"}),
        (Encryption.NOT_SUPPORTED, None, {"Encrypt": "no"}),
        # Such a server has its logins encrypted, whatever the URL says, and nothing else.
        (Encryption.OF_LOGIN, self_signed(tmp_path), {"Encrypt": "no"}),
    ]
    people = _people(1001)
    for encryption, certificate, options in cases:
        with TdsServer({_QUERY: people}, encryption=encryption, certificate=certificate) as server:
            outcome = _read(Mis(server.url(**options)))
        assert (outcome.refusal, outcome.rows) == (None, people.rows), options
