"""Reading feeds from databases that are real: as a stream, as they are, and with errors that quote nobody."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import monotonic

import pytest
from sqlalchemy import create_engine, text

from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.mis.cursors import PAGE_SIZE


@pytest.fixture
def people(url: str) -> Iterator[str]:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE person (code VARCHAR(20), surname VARCHAR(50), born DATE, fee NUMERIC(8, 2))")
        )
        connection.execute(
            text("INSERT INTO person VALUES ('L1', 'O''Brien', '1999-02-28', 12.5), ('L2', NULL, NULL, NULL)")
        )
    yield url
    engine.dispose()


def test_rows_come_as_the_database_has_them(people: str) -> None:
    query = "SELECT code AS MISID, surname AS LastName, born AS DOB, fee FROM person ORDER BY code"
    with Mis(people).read("learners", query) as rows:
        assert [column.lower() for column in rows.columns] == ["misid", "lastname", "dob", "fee"]
        first, second = rows.stream
    assert tuple(first)[:2] == ("L1", "O'Brien")
    assert str(first[2]) == str(date(1999, 2, 28))
    assert Decimal(str(first[3])) == Decimal("12.5")
    assert tuple(second) == ("L2", None, None, None)


@pytest.mark.parametrize("tail", ["", ";", " ;\n", "\n-- who: everybody\n"])
def test_the_query_is_sent_as_it_stands(people: str, tail: str) -> None:
    query = f"SELECT code, '10%:x %s %(y)s ?' AS odd FROM person WHERE surname LIKE 'O%'{tail}"
    with Mis(people).read("learners", query) as rows:
        assert [tuple(row) for row in rows.stream] == [("L1", "10%:x %s %(y)s ?")]


def test_what_the_database_says_of_a_query_names_things(people: str) -> None:
    for query, named in [("SELECT nobody FROM person", "nobody"), ("SELECT 1 FROM persons_of_2019", "persons_of_2019")]:
        with pytest.raises(MisUnreachable, match=f"feed learners.*{named}"), Mis(people).read("learners", query):
            pass


def test_a_statement_that_gives_no_rows_is_no_feed(people: str) -> None:
    with pytest.raises(MisUnreachable, match="feed learners"), Mis(people).read("learners", "DELETE FROM person"):
        pass
    with Mis(people).read("learners", "SELECT code FROM person") as rows:
        assert len(list(rows.stream)) == 2


def test_a_database_that_chokes_on_a_value_does_not_get_to_quote_it(postgres_url: str) -> None:
    query = """
        SELECT CAST(CASE WHEN i > 2500 THEN 'Zz-Surname' ELSE '1' END AS INTEGER) FROM generate_series(1, 3000) AS n(i)
    """
    with pytest.raises(MisUnreachable) as failure, Mis(postgres_url).read("learners", query) as rows:
        list(rows.stream)
    assert "Zz-Surname" not in str(failure.value)
    assert "learners" in str(failure.value)
    assert "22P02" in str(failure.value)


def test_postgresql_makes_the_next_page_while_this_one_is_looked_at(postgres_url: str) -> None:
    query = (
        f"SELECT i, CASE WHEN i > {PAGE_SIZE} THEN pg_sleep(3)::text END AS slow"
        f" FROM generate_series(1, {PAGE_SIZE + 1}) i"
    )
    watching = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    told = text(
        "SELECT state, wait_event FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    with Mis(postgres_url).read("learners", query) as rows, watching.connect() as watcher:
        assert len(rows.take(PAGE_SIZE)) == PAGE_SIZE

        until = monotonic() + 2.5
        while monotonic() < until and ("active", "PgSleep") not in map(tuple, watcher.execute(told)):
            pass
        assert ("active", "PgSleep") in map(tuple, watcher.execute(told))
    # What was asked for and is no longer wanted has kept nobody from letting go.
    with watching.connect() as watcher:
        until = monotonic() + 30
        while watcher.execute(told).all() and monotonic() < until:
            pass
        assert watcher.execute(told).all() == []
    watching.dispose()


def test_the_clock_of_a_server_is_read_in_the_zone_of_its_session(url: str, make: str) -> None:
    zone = {
        "postgresql": "options=-c%20timezone%3DAsia/Kolkata",
        "mariadb": "init_command=SET%20time_zone%3D'%2B05:30'",
    }
    clock = Mis(f"{url}{'&' if '?' in url else '?'}{zone[make]}" if make in zone else url).clock()
    if make == "sqlite":
        assert clock is None
        return
    assert clock is not None
    assert abs(clock.utc - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert abs(clock.local - clock.utc - timedelta(hours=5.5)) < timedelta(seconds=1)
