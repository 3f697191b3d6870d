"""Getting through to an MIS, or being told plainly why not: by real drivers, and by real servers where they run."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url

from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import Mis

_CLOSED = "127.0.0.1:1"
_SECRET = "Pa55word"


def _why_not(url: str) -> str:
    with pytest.raises(MisUnreachable) as failure, Mis(url).connect():
        pass
    sentence = str(failure.value)
    assert _SECRET not in sentence
    assert "\n" not in sentence
    assert re.search(r"[a-z0-9)'\"]\.$", sentence)
    assert sentence.count(". ") <= 1, sentence
    return sentence


@contextmanager
def _administrator(url: str) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("name", ["postgresql", "postgres", "postgresql+psycopg", "mysql", "mariadb", "mysql+pymysql"])
def test_a_server_that_does_not_listen_is_named_with_what_to_check(name: str) -> None:
    sentence = _why_not(f"{name}://reader:{_SECRET}@{_CLOSED}/mis")
    assert sentence.startswith(f"The MIS at {name}://reader:***@{_CLOSED}/mis cannot be reached: ")
    assert "refused" in sentence
    assert "host and the port" in sentence


def test_an_oracle_that_does_not_listen_is_named_by_the_real_driver() -> None:
    sentence = _why_not(f"oracle://reader:{_SECRET}@{_CLOSED}/?service_name=mis")
    assert sentence.startswith(
        f"The MIS at oracle://reader:***@{_CLOSED}/?service_name=mis cannot be reached: DPY-6005"
    )
    assert "refused" in sentence
    assert "host and the port" in sentence


@pytest.mark.slow
def test_an_sql_server_that_does_not_listen_is_named_by_the_real_driver() -> None:
    """It tries for a quarter of a minute. Where the system lacks the libraries it needs, the sentence is about them."""
    sentence = _why_not(f"mssql://reader:{_SECRET}@{_CLOSED}/mis")
    assert sentence.startswith(f"The MIS at mssql://reader:***@{_CLOSED}/mis cannot be reached: ")
    assert "host and the port" in sentence or "libltdl7" in sentence


@pytest.mark.parametrize(
    ("url", "named"),
    [
        (f"mssql://reader:{_SECRET}@{_CLOSED}/mis?TrustServerCert=yes", "its option trustservercert "),
        (f"oracle://reader:{_SECRET}@{_CLOSED}/mis?colour={_SECRET}", "its option colour "),
        (f"mysql://reader:{_SECRET}@{_CLOSED}/mis?colour={_SECRET}", "its option colour "),
        (f"postgresql://reader:{_SECRET}@{_CLOSED}/mis?colour={_SECRET}", "colour"),
    ],
)
def test_unknown_driver_option_is_named_without_its_value(url: str, named: str) -> None:
    assert named in _why_not(url)


def test_unusable_option_value_is_refused_without_repeating_it() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^source\.url: the driver does not take one of its options"
    ) as failure:
        Mis(f"mysql://reader@{_CLOSED}/mis?read_timeout={_SECRET}")
    assert _SECRET not in str(failure.value)


def test_a_password_among_the_options_is_not_shown() -> None:
    assert str(Mis(f"mysql://reader@{_CLOSED}/mis?password={_SECRET}")) == f"mysql://reader@{_CLOSED}/mis"


def test_a_database_that_postgresql_does_not_have_is_named(postgres_url: str) -> None:
    sentence = _why_not(make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False))
    assert 'database "nowhere" does not exist. Check the database\'s name' in sentence


def test_user_unknown_to_postgresql_is_named(postgres_url: str) -> None:
    sentence = _why_not(make_url(postgres_url).set(username="nobody").render_as_string(hide_password=False))
    assert 'role "nobody" does not exist. Check the user and the password' in sentence


def test_postgresql_login_without_permission_is_reported_with_table(postgres_url: str) -> None:
    reader = f"reader_{uuid4().hex}"
    with _administrator(postgres_url) as connection:
        connection.exec_driver_sql("CREATE TABLE person (code TEXT)")
        connection.exec_driver_sql(f"CREATE ROLE {reader} LOGIN")
        try:
            mis = Mis(make_url(postgres_url).set(username=reader).render_as_string(hide_password=False))
            with pytest.raises(MisUnreachable) as failure, mis.read("learners", "SELECT code FROM person"):
                pass
        finally:
            connection.exec_driver_sql(f"DROP ROLE {reader}")
    assert str(failure.value) == ("The feed learners cannot be read from the MIS: permission denied for table person.")


@pytest.mark.mariadb
def test_mariadb_login_failures_are_reported_with_their_cause(mariadb_url: str) -> None:
    url = make_url(mariadb_url)
    reader = f"r{uuid4().hex[:12]}"
    with _administrator(mariadb_url) as connection:
        connection.exec_driver_sql("CREATE TABLE person (code TEXT)")
        connection.exec_driver_sql(f"CREATE USER {reader}@'%%' IDENTIFIED BY 'right'")
        try:
            as_reader = url.set(username=reader, password="right")
            with_wrong = as_reader.set(password=_SECRET)
            assert "Check the user and the password" in _why_not(with_wrong.render_as_string(hide_password=False))
            forbidden = _why_not(as_reader.render_as_string(hide_password=False))
            assert "Check the database's name in source.url, and that this login may use it" in forbidden

            connection.exec_driver_sql("CREATE VIEW nothing AS SELECT 1 AS one")
            connection.exec_driver_sql(f"GRANT SELECT ON nothing TO {reader}@'%%'")
            mis = Mis(as_reader.render_as_string(hide_password=False))
            with (
                pytest.raises(MisUnreachable, match=r"^The feed learners .* SELECT command denied .*person.*\.$"),
                mis.read("learners", "SELECT code FROM person"),
            ):
                pass
        finally:
            connection.exec_driver_sql(f"DROP USER {reader}@'%%'")
    assert "Unknown database 'nowhere'. Check the database's name" in _why_not(
        url.set(database="nowhere").render_as_string(hide_password=False)
    )


def test_a_file_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "mis.db"
    assert _why_not(f"sqlite:///{file}").endswith("mis.db cannot be reached: there is no such file.")
    assert not file.exists()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mis.db"
    file.write_bytes(b"MISID,FirstName\n" * 1000)
    mis = Mis(f"sqlite:///{file}")
    with (
        pytest.raises(MisUnreachable, match=r"file is not a database\.$"),
        mis.read("learners", "SELECT 1 FROM person"),
    ):
        pass


@pytest.mark.parametrize("name", ["mis #1?.db", "100%25.db", "Zoë's mis.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.touch()
    url = make_url("sqlite://").set(database=str(file)).render_as_string()
    with Mis(url).read("learners", "SELECT 1 AS one") as rows:
        assert list(rows.stream) == [(1,)]


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("mssql+mssqlpython://reader@mis/x", "mssql_python", "mssql"),
        ("mssql://reader@mis/x", "mssql_python", "mssql"),
        ("oracle+oracledb://reader@mis/x", "oracledb", "oracle"),
        ("oracle://reader@mis/x", "oracledb", "oracle"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it were not there: it is, because other tests need it.
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=re.escape(f"Install it with: pip install 'syncd[{extra}]'.")):
        Mis(url)


def test_unsupported_driver_is_named_with_the_supported_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no driver for mssql\+pymssql.*or write mssql\+mssqlpython://"):
        Mis("mssql+pymssql://reader@mis/x")


def test_unknown_database_make_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no driver for paradox\. SQLite, PostgreSQL"):
        Mis("paradox://reader@mis/x")
