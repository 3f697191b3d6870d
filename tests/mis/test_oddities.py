"""What is odd about databases' types: the same on SQLite, PostgreSQL and MariaDB, all of them real.

Each oddity is read from the database and then as OneFile's field, and comes to a value, to nothing, or to a complaint:
then it is left out with a warning, or holds its record, and everybody else's record goes on.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url

from syncd.core.fields import Kind, Role
from syncd.core.records import Held, Layout, Record, UnusableColumns
from syncd.core.values import Unusable, read_value
from syncd.errors import MisUnreachable
from syncd.mis import Mis
from tests.support.databases import encoded_postgres

_UUID: Final = str(uuid4())
_LONG: Final = 200_000


@dataclass(frozen=True)
class Complaint:
    """That a value is of no use, and why."""

    words: str


@dataclass(frozen=True)
class Odd:
    """An expression that is odd, and what it comes to as a field of some kind; by make where they differ."""

    kind: Kind
    sql: str
    comes_to: object
    sql_by_make: dict[str, str] = field(default_factory=dict)
    comes_to_by_make: dict[str, object] = field(default_factory=dict)

    def sql_on(self, make: str) -> str:
        return self.sql_by_make.get(make, self.sql)

    def expected_on(self, make: str) -> object:
        return self.comes_to_by_make.get(make, self.comes_to)


_NOT_A_DATE: Final = Complaint("is not an ISO 8601 date")
_NOT_UTF_8: Final = Complaint("is not UTF-8 text")
_NOT_WHOLE: Final = Complaint("is not a whole number")
_NOT_YES_OR_NO: Final = Complaint("is not a yes/no value")

_BLOB: Final = {"postgresql": "'\\x{0}'::bytea", "mariadb": "x'{0}'"}


def _bytes(content: bytes) -> dict[str, Any]:
    return {
        "sql": f"x'{content.hex()}'",
        "sql_by_make": {make: form.format(content.hex()) for make, form in _BLOB.items()},
    }


ODDITIES: Final = {
    # Text
    "char is padded": Odd(Kind.TEXT, "CAST('L1    ' AS CHAR(6))", "L1"),
    "an empty text is none": Odd(Kind.TEXT, "''", None),
    "blanks are none": Odd(Kind.TEXT, "CAST('      ' AS CHAR(6))", None),
    "an accent in two characters is one": Odd(
        Kind.TEXT,
        "'Zoe' || CHAR(776)",
        "Zoë",
        {"postgresql": "'Zoe' || CHR(776)", "mariadb": "_utf8mb4 x'5A6F65CC88'"},
    ),
    "an emoji": Odd(Kind.TEXT, "'Ann 😀'", "Ann 😀"),
    "a text of great length": Odd(
        Kind.TEXT,
        f"REPLACE(HEX(ZEROBLOB({_LONG // 2})), '0', 'a')",
        Complaint("is longer than 255 characters"),
        {"postgresql": f"REPEAT('a', {_LONG})", "mariadb": f"REPEAT('a', {_LONG})"},
    ),
    # PostgreSQL has no such text.
    "a NUL in a text": Odd(
        Kind.TEXT,
        "'Ann' || CHAR(0) || 'e'",
        Complaint("contains a NUL character"),
        {"postgresql": "'\\x416e6e0065'::bytea", "mariadb": "'Ann\\0e'"},
    ),
    "Windows' apostrophe in a Latin-1 column": Odd(
        Kind.TEXT,
        "'O' || CHAR(146) || 'Brien'",
        Complaint("has characters of Windows in a column that is said to be Latin-1"),
        {"postgresql": "'O' || CHR(146) || 'Brien'", "mariadb": "_utf8mb4 x'4FC292427269656E'"},
    ),
    "a UUID": Odd(
        Kind.TEXT, f"'{_UUID}'", _UUID, {"postgresql": f"'{_UUID}'::uuid", "mariadb": f"CAST('{_UUID}' AS UUID)"}
    ),
    "an object of JSON": Odd(
        Kind.EMAIL,
        "JSON_OBJECT('a', 1)",
        Complaint("is not an e-mail address"),
        {"postgresql": "'{\"a\": 1}'::jsonb"},
        {"postgresql": Complaint("is a dict, not text")},
    ),
    "a list": Odd(
        Kind.INTEGER,
        "JSON_ARRAY(1, 2)",
        _NOT_WHOLE,
        {"postgresql": "ARRAY[1, 2]"},
        {"postgresql": Complaint("is a list, not text")},
    ),
    # Bytes
    "a blob of UTF-8": Odd(Kind.TEXT, comes_to="Zoë", **_bytes("Zoë".encode())),
    "a blob of Latin-1": Odd(Kind.TEXT, comes_to=_NOT_UTF_8, **_bytes("Zoë".encode("latin-1"))),
    "an empty blob": Odd(Kind.TEXT, comes_to=None, **_bytes(b"")),
    # The Latin-1 that is said to be, comes as what it means.
    "a text of code page 1252": Odd(
        Kind.TEXT,
        "'O\N{RIGHT SINGLE QUOTATION MARK}Brien'",
        "O\N{RIGHT SINGLE QUOTATION MARK}Brien",
        {"postgresql": "CONVERT_FROM('\\x4f92427269656e', 'WIN1252')", "mariadb": "_latin1 x'4F92427269656E'"},
    ),
    # Numbers
    "a float as a MISID": Odd(Kind.TEXT, "1001.0", "1001", {"postgresql": "1001.0::float", "mariadb": "1001.0e0"}),
    "a decimal as a MISID": Odd(Kind.TEXT, "CAST(1001 AS DECIMAL(8, 2))", "1001"),
    "a float with a fraction as a MISID": Odd(
        Kind.TEXT, "1001.5", _NOT_WHOLE, {"postgresql": "1001.5::float", "mariadb": "1001.5e0"}
    ),
    "a float that has been rounded as a MISID": Odd(
        Kind.TEXT,
        "1e17",
        Complaint("is too large for a floating-point number, which has rounded it"),
        {"postgresql": "1e17::float"},
    ),
    "a decimal that is long as a MISID": Odd(
        Kind.TEXT, "'12345678901234567890'", "12345678901234567890", dict.fromkeys(_BLOB, "12345678901234567890")
    ),
    "money": Odd(Kind.INTEGER, "'£1,234.00'", _NOT_WHOLE, {"postgresql": "1234::money"}),
    "not a number": Odd(Kind.INTEGER, "'NaN'", _NOT_WHOLE, {"postgresql": "'NaN'::numeric"}),
    "an id with a fraction of nought": Odd(Kind.INTEGER, "CAST('15379.00' AS DECIMAL(8, 2))", 15379),
    "an id beyond any": Odd(Kind.INTEGER, "2147483648", Complaint("is out of range")),
    # Yes and no
    "true": Odd(Kind.BOOLEAN, "TRUE", True),
    "a bit": Odd(Kind.BOOLEAN, "1", True, {"postgresql": "B'1'", "mariadb": "b'1'"}),
    "a bit that is not set": Odd(Kind.BOOLEAN, "0", False, {"postgresql": "B'0'", "mariadb": "b'0'"}),
    "Y in a char": Odd(Kind.BOOLEAN, "CAST('Y  ' AS CHAR(3))", True),
    "minus one, as Access has it": Odd(Kind.BOOLEAN, "-1", _NOT_YES_OR_NO),
    # Days
    "a date": Odd(Kind.DATE, "'2006-02-28'", "2006-02-28T00:00:00.000Z", dict.fromkeys(_BLOB, "DATE '2006-02-28'")),
    "a timestamp": Odd(
        Kind.DATE,
        "'2006-02-28 23:59:59.5'",
        "2006-02-28T00:00:00.000Z",
        dict.fromkeys(_BLOB, "TIMESTAMP '2006-02-28 23:59:59.5'"),
    ),
    "a timestamp with a zone is the day that the zone names": Odd(
        Kind.DATE,
        "'2006-02-28 23:30:00+01'",
        "2006-02-28T00:00:00.000Z",
        {
            "postgresql": "'2006-02-28 23:30:00'::timestamp AT TIME ZONE current_setting('TimeZone')",
            "mariadb": "TIMESTAMP '2006-02-28 23:30:00'",
        },
    ),
    "SQL Server's no date": Odd(
        Kind.DATE, "'1900-01-01 00:00:00'", None, dict.fromkeys(_BLOB, "TIMESTAMP '1900-01-01 00:00:00'")
    ),
    "MySQL's no date": Odd(
        Kind.DATE, "'0000-00-00'", None, {"postgresql": "'0000-00-00'", "mariadb": "CAST('0000-00-00' AS DATE)"}
    ),
    "MySQL's no time": Odd(
        Kind.MOMENT, "'0000-00-00 00:00:00'", None, {"mariadb": "CAST('0000-00-00 00:00:00' AS DATETIME)"}
    ),
    "a date without a month": Odd(Kind.DATE, "'2001-00-00'", _NOT_A_DATE, {"mariadb": "CAST('2001-00-00' AS DATE)"}),
    "a day without an end": Odd(Kind.DATE, "'infinity'", _NOT_A_DATE, {"postgresql": "'infinity'::date"}),
    "a moment without an end": Odd(Kind.MOMENT, "'-infinity'", _NOT_A_DATE, {"postgresql": "'-infinity'::timestamptz"}),
    "a day of the Romans": Odd(Kind.DATE, "'0044-03-15 BC'", _NOT_A_DATE, {"postgresql": "'0044-03-15 BC'::date"}),
    "a day after the last": Odd(
        Kind.DATE,
        "'9999-12-31'",
        Complaint("is outside the years 1900 to 2100"),
        dict.fromkeys(_BLOB, "DATE '9999-12-31'"),
    ),
    "a time of day": Odd(
        Kind.DATE,
        "'25:00'",
        _NOT_A_DATE,
        {"postgresql": "'24:00'::time", "mariadb": "CAST('25:00' AS TIME)"},
        {"mariadb": Complaint("is a timedelta, not text")},
    ),
    "an interval": Odd(
        Kind.DATE,
        "'1 day'",
        _NOT_A_DATE,
        {"postgresql": "interval '1 day'"},
        {"postgresql": Complaint("is a timedelta, not text")},
    ),
}


@pytest.fixture
def mis(url: str) -> Mis:
    return Mis(url)


def _read(mis: Mis, kind: Kind, expression: str) -> object:
    with mis.read("learners", f"SELECT {expression} AS odd") as rows:
        [[raw]] = rows.stream
    try:
        return read_value(kind, raw)
    except Unusable as problem:
        return Complaint(str(problem))


def test_each_oddity_comes_to_what_an_mis_officer_would_expect(mis: Mis, make: str) -> None:
    comes_to = {name: _read(mis, odd.kind, odd.sql_on(make)) for name, odd in ODDITIES.items()}
    assert comes_to == {name: odd.expected_on(make) for name, odd in ODDITIES.items()}


_ODD_DAY: Final = {
    "sqlite": ("'infinity'", "'2006-02-28'"),
    "postgresql": ("'infinity'::date", "DATE '2006-02-28'"),
    "mariadb": ("CAST('2001-00-00' AS DATE)", "DATE '2006-02-28'"),
}
_MANY: Final = 2500
_NUMBERS: Final = {
    "sqlite": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_MANY}) SELECT i FROM n) m",
    "postgresql": f"generate_series(1, {_MANY}) AS m(i)",
    "mariadb": f"(SELECT seq AS i FROM seq_1_to_{_MANY}) m",
}


def _records(mis: Mis, make: str, *, surname: str = "'Example'", born: str = "NULL") -> list[Record | Held]:
    """Learners numbered from 1 as they are read, several pages of them."""
    query = f"""
        WITH learner AS (SELECT i, {surname} AS surname, {born} AS born FROM {_NUMBERS[make]})
        SELECT i AS MISID, 'Ann' AS FirstName, surname AS LastName, 'ann@example.org' AS Email, born AS DOB,
               1 AS DefaultAssessorID, 2 AS ClassroomID, 3 AS PlacementID
        FROM learner ORDER BY i
    """
    with mis.read("learners", query) as rows:
        layout = Layout.from_columns(Role.LEARNER, "learners", rows.columns, organisation_id=5740)
        return [layout.read(row, number) for number, row in enumerate(rows.stream, start=1)]


def test_unreadable_date_is_left_out_and_other_rows_are_unaffected(mis: Mis, make: str) -> None:
    odd, day = _ODD_DAY[make]
    made = _records(mis, make, born=f"CASE WHEN i IN (7, 1500) THEN {odd} ELSE {day} END")

    assert [one.key.misid for one in made] == [str(number) for number in range(1, _MANY + 1)]
    records = {one.key.misid: one for one in made if isinstance(one, Record)}
    assert len(records) == _MANY
    assert [misid for misid, one in records.items() if one.warnings] == ["7", "1500"]
    assert {warned.detail for one in records.values() for warned in one.warnings} == {"DOB is not an ISO 8601 date"}
    assert {one.fields.get("DOB") for one in records.values()} == {None, "2006-02-28T00:00:00.000Z"}


@pytest.mark.parametrize("bad", [{1}, {1000}, {1001}, {1, 1000, 1001, 2500}, set(range(1, _MANY + 1))], ids=len)
def test_a_text_of_sqlite_that_is_not_utf_8_holds_its_record_and_no_other(sqlite_url: str, bad: set[int]) -> None:
    """Only SQLite takes any bytes for text. What was read before them is not told twice."""
    Path(make_url(sqlite_url).database or "").touch()
    dubcova = f"CASE WHEN i IN ({', '.join(map(str, bad))}) THEN CAST(x'44756263E9' AS TEXT) ELSE 'Zoë' END"
    made = _records(Mis(sqlite_url), "sqlite", surname=dubcova)

    _check_held(made, bad, "Zoë")


@pytest.mark.mariadb
def test_a_text_of_mariadb_that_cannot_be_decoded_holds_its_record_only(mariadb_url: str) -> None:
    """MariaDB lets halves of surrogate pairs in."""
    surname = "CASE WHEN i IN (7, 1500) THEN _utf8mb4 x'EDA080' ELSE 'Zoë' END"
    made = _records(Mis(mariadb_url), "mariadb", surname=surname)
    _check_held(made, {7, 1500}, "Zoë")


@pytest.mark.parametrize(
    ("encoding", "right", "wrong"),
    [
        ("SQL_ASCII", r"E'Zo\xC3\xAB'", r"E'Zo\xEB'"),
        ("WIN1252", r"E'Zo\xEB'", r"E'Zo\x81'"),
        ("WIN1257", r"E'Zo\xE7'", r"E'\xA1'"),
        ("ISO_8859_8", "'Zoe'", r"E'\xA1'"),
        ("LATIN1", r"E'Zo\xEB'", "NULL"),
    ],
)
def test_a_text_of_postgresql_that_cannot_be_decoded_holds_its_record_only(
    postgres_server: URL, encoding: str, right: str, wrong: str
) -> None:
    """If its encoding is not UTF8, PostgreSQL stores any byte."""
    with encoded_postgres(postgres_server, encoding) as url:
        engine = create_engine(url, poolclass=NullPool, connect_args={"client_encoding": "utf8"})
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE text AS SELECT 0 AS number, '' AS surname")
            for number, value in enumerate((right, wrong), start=1):
                connection.exec_driver_sql(f"SET LOCAL client_encoding = '{encoding}'")
                connection.exec_driver_sql(f"INSERT INTO text VALUES ({number}, {value})")
                connection.exec_driver_sql("SET LOCAL client_encoding = 'UTF8'")
        surname = "(SELECT surname FROM text WHERE number = CASE WHEN i IN (7, 1500) THEN 2 ELSE 1 END)"
        made = _records(Mis(url), "postgresql", surname=surname)
        expected = {"WIN1257": "Zoē", "ISO_8859_8": "Zoe"}.get(encoding, "Zoë")
        _check_held(made, {7, 1500}, expected, "is empty" if wrong == "NULL" else "is not UTF-8 text")
        with (
            pytest.raises(MisUnreachable, match=r"a character that the database's character set does not have")
            if encoding != "SQL_ASCII"
            else nullcontext(),
            Mis(url).read("learners", "SELECT 1 AS MISID -- \N{GREEK SMALL LETTER ALPHA}\N{KATAKANA LETTER A}") as rows,
        ):
            assert list(rows.stream) == [(1,)]


def _check_held(made: list[Record | Held], bad: set[int], surname: str, why: str = "is not UTF-8 text") -> None:
    assert [one.key.misid for one in made] == [str(number) for number in range(1, _MANY + 1)]
    held = [one for one in made if isinstance(one, Held)]
    assert {int(one.misid) for one in held} == bad
    assert {one.detail for one in held} == {f"LastName {why}"}
    assert {one.fields["LastName"] for one in made if isinstance(one, Record)} <= {surname}


def test_a_column_twice_is_named(mis: Mis) -> None:
    with (
        mis.read("learners", "SELECT 1 AS MISID, 2 AS misid") as rows,
        pytest.raises(UnusableColumns, match="column MISID appears twice"),
    ):
        Layout.from_columns(Role.LEARNER, "learners", rows.columns, organisation_id=5740)


def test_column_names_ignore_letter_case_and_surrounding_blanks(mis: Mis, make: str) -> None:
    quote = "`" if make == "mariadb" else '"'
    # MariaDB takes no name that ends in a blank.
    columns = [" misid", "FIRSTNAME", "lastName", "Email", "ClassroomID", "PlacementID", "DefaultAssessorID"]
    query = "SELECT " + ", ".join(f"{n} AS {quote}{column}{quote}" for n, column in enumerate(columns))
    with mis.read("learners", query) as rows:
        layout = Layout.from_columns(Role.LEARNER, "learners", rows.columns, organisation_id=5740)
    assert layout.supplied == {column.strip() for column in columns[4:]} | {"FirstName", "LastName", "Email", "MISID"}
