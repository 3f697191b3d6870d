"""URLs of databases: where the password ends, and what is never shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from syncd.database_url import parse_database_url, with_password, without_secrets

_SECRET = "Kestrel77"


def _refusal(text: object) -> str:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - its text is what the test is about
        parse_database_url(text)
    sentence = str(refusal.value)
    assert _SECRET not in sentence
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    return sentence


@pytest.mark.parametrize("scheme", ["postgresql", "mssql+mssqlpython", "oracle", "mysql+pymysql", "sqlserver+x"])
@pytest.mark.parametrize(
    "rest",
    [
        f"reader:Winter@{_SECRET}@host/db",
        f"reader:Winter@{_SECRET}@host:1433/db",
        f"reader:@{_SECRET}@host/db",
        f"reader:{_SECRET}@@host/db",
        f"reader:a@b@{_SECRET}@host/db",
        f"reader:p@:{_SECRET}@host/db",
        f"reader:p@/{_SECRET}@host/db",
        f"reader:p@x/{_SECRET}@host/db",
        f"reader:p@?{_SECRET}@host/db",
        f"reader:p@x?{_SECRET}@host/db",
        f"reader:p@#{_SECRET}@host/db",
        f"reader:p@[{_SECRET}]@host/db",
        f"reader:p%40@{_SECRET}@host/db",
        f"reader:p@{_SECRET}@[::1]:5432/db",
        f"reader:p@{_SECRET}@host",
        f"DOMAIN/reader:{_SECRET}@host/db",
    ],
)
def test_an_at_sign_in_a_password_is_refused_and_nothing_is_shown(scheme: str, rest: str) -> None:
    assert "%40" in _refusal(f"{scheme}://{rest}")


@pytest.mark.parametrize(
    ("text", "user", "password", "host"),
    [
        ("postgresql://reader:Winter%40Kestrel@host/db", "reader", "Winter@Kestrel", "host"),
        ("postgresql://reader:a:b/c#d?e[f]@host/db", "reader", "a:b/c#d?e[f]", "host"),
        ("postgresql://reader:50%25@host/db", "reader", "50%", "host"),
        ("postgresql://reader@college.ac.uk:pw@host/db", "reader@college.ac.uk", "pw", "host"),
        ("postgresql://reader@tenant@host/db", "reader@tenant", None, "host"),
        ("postgresql://reader@host/db@home?application_name=a@b", "reader", None, "host"),
        ("postgresql://reader:pw@host/db?application_name=a%40b", "reader", "pw", "host"),
        ("postgresql://host/db?user=a@b", None, None, "host"),
        ("postgresql:///db?host=/run/a@b", None, None, None),
        ("sqlite:///a@b.db", None, None, None),
        ("mssql+pyodbc:///?odbc_connect=Driver%3D%7Bx%7D%3BServer%3Dy;PWD=a@b", None, None, None),
        (" postgresql://reader:pw@host/db\n", "reader", "pw", "host"),
        (r"mssql://reader@SQL01\PROSOLUTION/db", "reader", None, r"SQL01\PROSOLUTION"),
        ("mssql+mssqlpython://reader:pw@SQL01%5CPROSOLUTION:1435/db", "reader", "pw", r"SQL01\PROSOLUTION"),
        ("mssql+pyodbc://reader@SQL01%5cPROSOLUTION/db", "reader", None, r"SQL01\PROSOLUTION"),
    ],
)
def test_a_url_that_is_clear_is_read(text: str, user: str | None, password: str | None, host: str | None) -> None:
    url = parse_database_url(text)
    assert (url.username, url.password, url.host) == (user, password, host)
    # The URL is written and read again on its way to the database.
    assert parse_database_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (f"sqlserver://reader:{_SECRET}@SQL01:1433/Pro", "mssql+mssqlpython://reader@SQL01:1433/Pro"),
        (f"sqlserver://reader:{_SECRET}@SQL01/PRO?database=mis", r"mssql+mssqlpython://reader@SQL01\PRO/mis"),
        (
            rf"jdbc:sqlserver://SQL01\PRO:1433;databaseName=mis;user=reader;password={{{_SECRET};Database=x}}",
            r"mssql+mssqlpython://reader@SQL01\PRO:1433/mis",
        ),
        (
            "jdbc:sqlserver://SQL01;databaseName=mis;integratedSecurity=true;encrypt=false",
            "mssql+mssqlpython://SQL01/mis?Encrypt=no&Trusted_Connection=yes",
        ),
        (
            f"Server=tcp:SQL01,1433;Database=mis;User Id=reader;Password={_SECRET};TrustServerCertificate=True;",
            "mssql+mssqlpython://reader@SQL01:1433/mis?TrustServerCertificate=yes",
        ),
        (
            rf"Driver={{ODBC Driver 18 for SQL Server}};Server=SQL01\PRO;Database=mis;UID=reader;PWD={_SECRET}",
            r"mssql+mssqlpython://reader@SQL01\PRO/mis",
        ),
        (
            f"data source=SQL01;initial catalog=mis;user id=reader;password={_SECRET}",
            "mssql+mssqlpython://reader@SQL01/mis",
        ),
        (
            f"DRIVER={{MySQL ODBC 8.0}};SERVER=db;PORT=3307;DATABASE=mis;USER=reader;PASSWORD={_SECRET}",
            "mysql+pymysql://reader@db:3307/mis",
        ),
        (
            f"jdbc:postgresql://db:5432/mis?user=reader&password={_SECRET}",
            "postgresql+psycopg://reader@db:5432/mis",
        ),
        (f"jdbc:oracle:thin:reader/{_SECRET}@db:1521:mis", "oracle+oracledb://USER@SERVER/?service_name=SERVICE"),
        # Where it is unclear what belongs to the password, nothing is repeated.
        (f"sqlserver://reader:Win/{_SECRET}@SQL01/Pro", "mssql+mssqlpython://USER@SERVER/DATABASE"),
        (f"sqlserver://reader:Win@{_SECRET}@SQL01/Pro", "mssql+mssqlpython://USER@SERVER/DATABASE"),
        (f"Server={_SECRET}@x y;Database=mis;Uid=reader", "mssql+mssqlpython://reader@SERVER/mis"),
    ],
)
def test_another_program_s_notation_is_refused_with_the_url_that_was_meant(text: str, meant: str) -> None:
    sentence = _refusal(text)
    assert f"Write it as {meant}, and put" in sentence
    assert parse_database_url(meant).password is None


@pytest.mark.parametrize("text", [5, ["a"], None, "", _SECRET, f"reader:{_SECRET}@host/db", f"pg://r:{_SECRET}@h:x/d"])
def test_what_is_no_url_is_not_repeated(text: object) -> None:
    assert _refusal(text) == "is not a database URL such as postgresql+psycopg://user@host/database"


def test_a_tab_that_toml_made_of_a_backslash_is_found() -> None:
    assert "control character" in _refusal("mssql://reader@SQL01\test/mis")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://reader:{_SECRET}@host/db?password={_SECRET}", "postgresql://reader:***@host/db"),
        (f"oracle://reader@host/?service_name=mis&wallet_password={_SECRET}", "oracle://reader@host/?service_name=mis"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(text: str, shown: str) -> None:
    assert without_secrets(make_url(text)) == shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("postgresql://reader:other@host/db", "both in url and in password"),
        ("postgresql://reader@host/db?password=other", "both in url and in password"),
        ("mssql://reader@host/db?PWD=other", "both in url and in password"),
        ("postgresql://host/db", "url has no user"),
        ("sqlite:///mis.db", "url has no user"),
    ],
)
def test_a_password_apart_needs_a_url_with_a_user_and_without_one(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        with_password(make_url(text), _SECRET)
    assert _SECRET not in str(refusal.value)
    assert "other" not in str(refusal.value)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_password_apart_arrives_as_it_is(password: str) -> None:
    url = with_password(make_url("postgresql://reader@host/db"), password)
    again = parse_database_url(url.render_as_string(hide_password=False))
    assert (again.password, again.host) == (password, "host")
