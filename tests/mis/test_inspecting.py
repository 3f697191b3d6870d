"""What an MIS has is listed as far as its login may see it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import URL, Inspector, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from syncd.mis import Mis
from syncd.setup.inspector import SchemaInspector
from tests.support.databases import encoded_postgres


@pytest.fixture
def office(url: str) -> Iterator[Mis]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE course (id INTEGER PRIMARY KEY)"))
        connection.execute(
            text(
                "CREATE TABLE learner (id INTEGER PRIMARY KEY, course INTEGER,"
                " FOREIGN KEY (course) REFERENCES course (id))"
            )
        )
        connection.execute(text("INSERT INTO course VALUES (1)"))
    yield Mis(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE learner"))


@pytest.mark.parametrize("problem", [OperationalError("SELECT 1", {}, Exception("denied")), KeyError("course")])
@pytest.mark.parametrize("unreadable", ["get_multi_foreign_keys", "get_multi_pk_constraint"])
def test_tables_are_listed_without_the_keys_that_cannot_be_read(
    office: Mis, unreadable: str, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise problem

    whole_schema = SchemaInspector(office)
    whole = {table.name: table for table in whole_schema.tables}
    assert whole["learner"].references
    monkeypatch.setattr(Inspector, unreadable, fail)
    part_schema = SchemaInspector(office)
    part = {table.name: table for table in part_schema.tables}
    assert part.keys() == whole.keys()
    assert part["learner"].columns == whole["learner"].columns
    assert bool(part["learner"].references) == (unreadable != "get_multi_foreign_keys")
    assert whole_schema.unread == ()
    [note] = part_schema.unread
    assert note.startswith("foreign keys (" if unreadable == "get_multi_foreign_keys" else "primary keys (")
    assert "denied" not in note


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgresql_with_another_encoding_is_inspected(postgres_server: URL, encoding: str) -> None:
    with encoded_postgres(postgres_server, encoding) as url:
        engine = create_engine(url, poolclass=NullPool, connect_args={"client_encoding": "utf8"})
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE learner AS SELECT 1 AS id, CAST('Ann' AS text) AS forename")
        [table] = (schema := SchemaInspector(Mis(url))).tables
        assert [column.name for column in schema.profiled(table).columns] == ["id", "forename"]
