"""A PostgreSQL store behind a connection pooler: syncd works if that pools by session, and says so if it does not."""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from syncd.errors import StateUnreachable, StateUnusable
from syncd.operations.doctor import Check, State, of_store
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store, unusable
from tests.support.bouncers import bounced

_REMEDY = "A connection pooler must pool by session: set pool_mode = session in PgBouncer for this database"


@pytest.fixture
def direct(postgres_url: str) -> Iterator[Store]:
    store = Store(postgres_url, ValueCipher())
    yield store
    store.close()


def test_store_without_pooler_shares_no_session(direct: Store) -> None:
    for _ in range(20):
        direct.check_pooling()


def test_store_in_a_file_has_no_pooler(sqlite_url: str) -> None:
    Store(sqlite_url, ValueCipher()).check_pooling()


@pytest.mark.pgbouncer
@pytest.mark.parametrize(
    "settings",
    [
        {"pool_mode": "transaction"},
        {"pool_mode": "transaction", "default_pool_size": 1},
        {"pool_mode": "transaction", "server_round_robin": 1, "default_pool_size": 2},
        {"pool_mode": "statement"},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "in use"])
def test_doctor_names_a_pooler_that_shares_sessions(
    direct: Store, postgres_url: str, settings: dict[str, object], *, is_new: bool
) -> None:
    if not is_new:
        direct.upgrade()
    with bounced(postgres_url, **settings) as url:
        store = Store(url, ValueCipher())
        finding = Check("state store", lambda: of_store(store, upgrades_itself=True)).finding()
        store.close()
    assert finding.state is State.FAILED
    if settings["pool_mode"] == "transaction":
        assert "behind a connection pooler that pools by transaction" in finding.found
        assert finding.advice.startswith(_REMEDY)


@pytest.mark.pgbouncer
def test_pooler_that_others_use_at_the_same_time_is_named(direct: Store, postgres_url: str) -> None:
    is_over = Event()

    def use(url: str) -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            while not is_over.is_set():
                connection.execute("SELECT pg_sleep(0.001)", prepare=False)

    with bounced(postgres_url, pool_mode="transaction", default_pool_size=6) as url, ExitStack() as stack:
        others = [Thread(target=use, args=(url,)) for _ in range(4)]
        for each in others:
            each.start()
            stack.callback(each.join)
        stack.callback(is_over.set)
        store = Store(url, ValueCipher())
        stack.callback(store.close)
        for _ in range(20):
            with pytest.raises(StateUnusable, match="pools by transaction") as caught:
                store.check_pooling()
            assert not isinstance(caught.value, StateUnreachable)


@pytest.mark.pgbouncer
def test_store_behind_a_pooler_of_sessions_works(postgres_url: str) -> None:
    with bounced(postgres_url, pool_mode="session") as url:
        store = Store(url, ValueCipher())
        store.upgrade()
        with locked(store, 5740, Purpose.WRITING) as lock:
            store.check_pooling()
            assert lock.is_held()
        assert of_store(store, upgrades_itself=True).state is State.OK
        store.close()


@pytest.mark.parametrize("sqlstate", ["42P05", "26000"])
def test_prepared_statement_of_another_session_names_the_pooler(direct: Store, sqlstate: str) -> None:
    problem = DBAPIError("SELECT 1", None, psycopg.errors.lookup(sqlstate)('prepared statement "_pg3_1" …'))
    said = str(unusable(direct, problem))
    assert f'failed: prepared statement "_pg3_1" …. {_REMEDY}' in said
    assert said.endswith(".")
