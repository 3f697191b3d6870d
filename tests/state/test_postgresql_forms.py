"""PostgreSQL as state store with other forms of values, or another isolation, than syncd works with by default."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import NullPool, create_engine, make_url, select, text

from syncd.core.run import RunState, Trigger
from syncd.state import runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.state.db.tables import run
from syncd.state.session import reading_session, writing_session

NOW = datetime(2026, 2, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "settings",
    [
        {"DateStyle": "SQL, DMY"},
        {"DateStyle": "German"},
        {"DateStyle": "Postgres, MDY", "IntervalStyle": "iso_8601"},
        {"client_encoding": "LATIN1"},
        {"TimeZone": "<+03>-03"},
        {"extra_float_digits": "-5"},
        {"default_transaction_isolation": "serializable"},
        {"default_transaction_isolation": "repeatable read"},
    ],
    ids=str,
)
def test_store_works_with_any_default_form_of_a_database(postgres_url: str, settings: dict[str, str]) -> None:
    administrator = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with administrator.connect() as connection:
        for name, value in settings.items():
            connection.exec_driver_sql(f"ALTER DATABASE \"{make_url(postgres_url).database}\" SET {name} = '{value}'")
    store = Store(postgres_url, ValueCipher())
    store.upgrade()
    with writing_session(store, 5740, lambda: NOW) as session:
        number = runs.start(session, Trigger.COMMAND, "Łucja")
        # Another writer, whose change this transaction must see once it is committed.
        with locked(store, 5740, Purpose.WRITING), writing_session(store, 5740, lambda: NOW) as other:
            second = runs.start(other, Trigger.COMMAND, "")
            runs.finish(other, second, RunState.FINISHED)
        runs.finish(session, number, RunState.FINISHED)

    with reading_session(store, 5740, lambda: NOW) as session:
        found = session.connection.execute(select(run.c.started_at, run.c.asked_by).order_by(run.c.id)).all()
        isolation = session.connection.scalar(text("SHOW transaction_isolation"))
    assert [tuple(row) for row in found] == [(NOW, "Łucja"), (NOW, "")]
    assert isolation == "repeatable read"
    with store.begin() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
    store.close()
