"""The schema is what the migrations say, and the migrations say what the tables are."""

from concurrent.futures import ProcessPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from syncd.errors import StateUnusable
from syncd.resources import shipped
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.schema import NEWEST
from syncd.state.db.store import Store
from syncd.state.db.tables import metadata
from tests.support.forking import CONTEXT


def test_the_migrations_lead_to_the_tables(store: Store) -> None:
    with store.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert store.is_current


def test_newest_migration_is_the_expected_one_and_numbers_are_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert scripts[0] == NEWEST
    assert scripts == sorted(scripts, reverse=True)


def test_upgrading_what_is_current_changes_nothing(store: Store) -> None:
    before = store.revision()
    assert store.upgrade() == before
    assert store.revision() == before


def _upgrade(url: str) -> str | None:
    store = Store(url, ValueCipher())
    try:
        return store.upgrade()
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
def test_of_processes_that_upgrade_at_once_one_does_and_all_succeed(request: pytest.FixtureRequest, kind: str) -> None:
    url = request.getfixturevalue(kind)
    with ProcessPoolExecutor(6, mp_context=CONTEXT) as pool:
        found = list(pool.map(_upgrade, [url] * 6))
    assert sorted(found, key=str) == [NEWEST] * 5 + [None]
    assert Store(url, ValueCipher()).is_current


def test_a_store_of_a_newer_syncd_is_refused_and_left_alone(store: Store) -> None:
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StateUnusable, match=r"newer syncd.*9999"):
        store.upgrade()

    assert store.revision() == "9999"
    assert not store.is_current
