"""How a real MIS is read: without writing, without waiting for ever, and with nothing left behind."""

import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from syncd.errors import MisUnreachable
from syncd.mis import Mis

_ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "postgresql": "SELECT COUNT(*) FROM generate_series(1, 1000000000000) AS n(i)",
    "mariadb": "SELECT SUM(SLEEP(0.05)) FROM seq_1_to_1000000",
}
_WRITING = {
    "sqlite": [
        "WITH p AS (SELECT 1) DELETE FROM person RETURNING code",
        "DELETE FROM person RETURNING code",
        "DELETE FROM person",
        "CREATE TABLE other (code TEXT)",
    ],
    "postgresql": [
        "WITH gone AS (DELETE FROM person RETURNING code) SELECT code FROM gone",
        "SELECT nextval('numbers')",
        "SELECT lo_create(0)",
    ],
    "mariadb": ["DELETE FROM person RETURNING code", "DELETE FROM person", "CREATE TABLE other (code TEXT)"],
}


@pytest.fixture
def people(url: str) -> Iterator[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (code VARCHAR(20))"))
        connection.execute(text("INSERT INTO person VALUES ('L1'), ('L2')"))
        if connection.dialect.name == "postgresql":
            connection.execute(text("CREATE SEQUENCE numbers"))
    yield url
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM person")) == 2


def test_a_query_that_writes_is_refused(people: str, make: str) -> None:
    refusal = r"^The feed learners .*(read.?only|only read|READ ONLY|syntax|must not contain data-modifying)"
    for query in _WRITING[make]:
        with (
            pytest.raises(MisUnreachable, match=refusal) as failure,
            Mis(people).read("learners", query) as rows,
        ):
            list(rows.stream)
        assert "L1" not in str(failure.value)
    with Mis(people).read("learners", "SELECT code FROM person ORDER BY code") as rows:
        assert [tuple(row) for row in rows.stream] == [("L1",), ("L2",)]


def test_statement_over_the_timeout_is_stopped_and_names_the_setting(people: str, make: str) -> None:
    with (
        pytest.raises(
            MisUnreachable,
            match=r"the database stopped it, .* source\.timeout_seconds \(0\.3\)\. Make the query faster",
        ),
        Mis(people, timeout_seconds=0.3).read("learners", _ENDLESS[make]) as rows,
    ):
        list(rows.stream)


def test_a_reader_that_takes_its_time_is_not_stopped(people: str, make: str) -> None:
    with Mis(people).read("learners", "SELECT code FROM person ORDER BY code") as rows:
        first = next(rows.stream)
        # Whoever writes meanwhile need not wait, and is not seen in the middle.
        engine = create_engine(people, poolclass=NullPool)
        if make != "sqlite":
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO person VALUES ('L0')"))
        assert [tuple(row) for row in (first, *rows.stream)] == [("L1",), ("L2",)]
    if make != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM person WHERE code = 'L0'"))


@pytest.mark.parametrize("enough", [0, 1, 1500])
def test_feed_not_read_to_its_end_leaves_no_open_transaction(people: str, make: str, enough: int) -> None:
    many = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n",
        "postgresql": "SELECT i FROM generate_series(1, 5000) AS n(i), person",
        "mariadb": "SELECT seq FROM seq_1_to_5000, person",
    }
    mis = Mis(people)
    with mis.read("learners", many[make]) as rows:
        assert sum(1 for _ in islice(rows.stream, enough)) == enough
    engine = create_engine(people, poolclass=NullPool)
    with engine.begin() as connection:
        # Were anything of it left, this would wait for it.
        connection.execute(text("ALTER TABLE person ADD COLUMN surname VARCHAR(20)"))


@pytest.mark.parametrize("rows_before", [0, 1000, 1500])
@pytest.mark.parametrize("server", ["postgres_url", pytest.param("mariadb_url", marks=pytest.mark.mariadb)])
def test_lost_connection_is_reported_and_the_next_read_reconnects(
    server: str, rows_before: int, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(server)
    query = {
        "postgresql": "SELECT i, repeat('a', 2000) FROM generate_series(1, 50000) AS n(i)",
        "mysql": "SELECT seq, REPEAT('a', 2000) FROM seq_1_to_50000",
    }[make_url(url).get_backend_name()]
    mis = Mis(url)
    with mis.read("learners", query) as rows:
        assert sum(1 for _ in islice(rows.stream, rows_before)) == rows_before
        _end_all_others(url)
        with pytest.raises(MisUnreachable, match=r"^The feed learners .*: the connection was lost \("):
            list(rows.stream)
    with mis.read("learners", query) as rows:
        assert sum(1 for _ in rows.stream) == 50_000


def _end_all_others(url: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            return
        others = text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        for other in connection.scalars(others).all():
            connection.exec_driver_sql(f"KILL {other}")


_TWO = "SELECT 1 AS MISID; SELECT 2 AS MISID"


def test_two_selects_are_no_feed(people: str) -> None:
    with pytest.raises(MisUnreachable, match=r"^The feed learners .*\.$"), Mis(people).read("learners", _TWO) as rows:
        list(rows.stream)


@pytest.mark.mariadb
def test_a_procedure_is_a_feed_if_it_gives_one_result(mariadb_url: str) -> None:
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE PROCEDURE one() BEGIN SELECT seq AS MISID FROM seq_1_to_3; END")
        connection.exec_driver_sql("CREATE PROCEDURE two() BEGIN SELECT 1 AS MISID; SELECT 2 AS MISID; END")
        connection.exec_driver_sql("CREATE PROCEDURE none() BEGIN DECLARE x INT; SET x = 1; END")
    mis = Mis(mariadb_url)
    with mis.read("learners", "CALL one()") as rows:
        assert list(rows.stream) == [(1,), (2,), (3,)]
    with pytest.raises(MisUnreachable, match="more than one result"), mis.read("learners", "CALL two()") as rows:
        list(rows.stream)
    with (
        pytest.raises(MisUnreachable, match="returns no rows; it must be one SELECT"),
        mis.read("learners", "CALL none()"),
    ):
        pass


def test_a_sqlite_file_that_may_not_be_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mis.db"
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE person AS SELECT 'L1' AS code")
    before = file.read_bytes()
    file.chmod(0o444)
    with Mis(f"sqlite:///{file}").read("learners", "SELECT code FROM person") as rows:
        assert list(rows.stream) == [("L1",)]
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["mis.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="the rights of a folder are those of POSIX")
def test_wal_mode_in_a_folder_without_write_access_is_explained() -> None:
    # pytest's own folders may be entered by their owner only.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mis.db")
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE person AS SELECT 'L1' AS code")
        connection.commit()
        connection.close()
        Path(folder).chmod(0o555)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
            with (
                pytest.raises(MisUnreachable, match=r"is in WAL mode.* may not write to this folder\. Let the user"),
                Mis(f"sqlite:///{file}").read("learners", "SELECT code FROM person") as rows,
            ):
                list(rows.stream)
        finally:
            os.seteuid(user)
            Path(folder).chmod(0o700)
        with Mis(f"sqlite:///{file}").read("learners", "SELECT code FROM person") as rows:
            assert list(rows.stream) == [("L1",)]
