"""Every migration keeps the data: one step up and one step down, on full tables, whatever steps there are."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias
from zlib import crc32

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, MetaData, Table, create_engine

from syncd.resources import shipped
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import metadata

_Rows: TypeAlias = dict[str, list[dict[str, Any]]]
"""The rows of every table, in the order of their primary keys."""

_BASE: Final = "base"
_VERSION: Final = "alembic_version"

#: A value of each type that depends on a number; no two columns that are not keys are given the same ones.
_SAMPLES: Final[Mapping[type, Callable[[int], object]]] = {
    bool: lambda number: number % 2 == 0,
    int: lambda number: number,
    float: lambda number: number + 0.5,
    Decimal: Decimal,
    str: lambda number: f"{number} Ynys Môn",
    bytes: lambda number: f"{number}".encode(),
    date: lambda number: date(2026, 1, 1) + timedelta(days=number % 1000),
    datetime: lambda number: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
    # What SQLAlchemy says of JSON.
    object: lambda number: {"MISIDs": [f"L{number}", None]},
}


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    config.attributes["connection"] = connection
    return config


def _steps() -> Iterator[tuple[str, str]]:
    """Every revision with the one before it, the oldest first."""
    scripts = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    scripts.append(_BASE)
    return zip(scripts[:0:-1], scripts[-2::-1], strict=True)


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database without a table; on SQLite nobody enforces references, so that any table may be rebuilt."""
    engine = create_engine(request.getfixturevalue(request.param))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(("older", "newer"), list(_steps()))
def test_a_step_up_and_down_again_keeps_every_row(engine: Engine, older: str, newer: str) -> None:
    _migrate(command.upgrade, engine, older)
    before = _fill(engine, range(1, 4))

    _migrate(command.upgrade, engine, newer)
    _assert_kept(before, _rows(engine))

    # What a step adds is not to be in the way of its own undoing.
    grown = _fill(engine, range(4, 7))
    _migrate(command.downgrade, engine, older)
    shrunk = _rows(engine)
    assert shrunk.keys() == before.keys()
    _assert_kept(grown, shrunk)

    # And once more as an operator's syncd does it.
    store = Store(engine.url.render_as_string(hide_password=False), ValueCipher())
    store.upgrade()
    assert store.is_current
    _assert_kept(shrunk, _rows(engine))
    with store.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    store.close()


def _migrate(direction: Callable[[Config, str], None], engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        direction(_config(connection), revision)


def _fill(engine: Engine, numbers: range) -> _Rows:
    """Give every table a row for each number, the last with all left empty that may be; gives all rows there are."""
    with engine.begin() as connection:
        for table in _tables(connection):
            for number in numbers:
                is_sparse = number == numbers[-1]
                row = {
                    column.name: _sample(column, number)
                    for column in table.columns
                    if not (is_sparse and column.nullable)
                }
                connection.execute(table.insert(), row)
    return _rows(engine)


def _sample(column: Column[Any], number: int) -> object:
    """A value for a column in the row of this number; whatever is a key has the number itself, so that all fit."""
    is_key = column.primary_key or column.foreign_keys
    sample = _SAMPLES[column.type.python_type](number if is_key else number + (crc32(column.name.encode()) >> 2))
    return sample[: getattr(column.type, "length", None)] if isinstance(sample, str) else sample


def _rows(engine: Engine) -> _Rows:
    with engine.begin() as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(table.select().order_by(*table.primary_key)).mappings()
            ]
            for table in _tables(connection)
        }


def _tables(connection: Connection) -> list[Table]:
    """The tables as they are, those that others refer to first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != _VERSION]


def _assert_kept(before: _Rows, after: _Rows) -> None:
    """Nothing has changed in the columns that are there before and after."""
    for name in before.keys() & after.keys():
        shared = before[name][0].keys() & after[name][0].keys() if before[name] and after[name] else set()
        assert _only(shared, before[name]) == _only(shared, after[name]), name


def _only(columns: set[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in columns} for row in rows]
