"""What is committed lasts, and what is fleeting is not waited for; a lock is given back at once."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, event, func, select

from syncd.errors import NothingToSettle, StateUnusable
from syncd.state import approvals, resync_requests
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.maintenance import vacuum
from syncd.state.db.store import Store
from syncd.state.db.tables import resync_request
from tests.support.sessions import session_on

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_COUNT = select(func.count()).select_from(resync_request)


def _is_waited_for(connection: Connection) -> bool:
    """Whether a commit waits until it is on the disk."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    return connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_only_commits_with_relaxed_durability_skip_the_wait_for_the_disk(store: Store) -> None:
    if store.url.get_backend_name() == "postgresql":
        # Of itself the server of the tests waits for no disk.
        with store.begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {store.url.database} SET synchronous_commit = on")
        store.engine.dispose()
    waited_for = []
    for relaxed_durability in (False, True, True, False, False, True, False):
        with store.begin(relaxed_durability=relaxed_durability) as connection:
            waited_for.append(_is_waited_for(connection))
        with store.reading():
            pass
    assert waited_for == [True, False, False, True, True, False, True]


def test_relaxed_write_is_visible_once_committed_and_undone_on_an_error(store: Store) -> None:
    with store.begin(relaxed_durability=True) as writer:
        resync_requests.add(session_on(writer, 5740, _NOW), "jo")
        with store.reading() as reader:
            assert reader.scalar(_COUNT) == 0
    with pytest.raises(NothingToSettle), store.begin(relaxed_durability=True) as writer:
        approvals.approve(
            session_on(writer, 5740, _NOW), resync_requests.add(session_on(writer, 5740, _NOW), "jo"), "jo"
        )
    with store.reading() as reader:
        assert reader.scalar(_COUNT) == 1


def test_vacuum_works_after_earlier_use_and_reading_stays_read_only(store: Store) -> None:
    with store.begin() as writer:
        for _ in range(500):
            resync_requests.add(session_on(writer, 5740, _NOW), "jo")
    with store.reading() as reader:
        assert len(resync_requests.waiting(session_on(reader, 5740))) == 500
    vacuum(store, _NOW)
    with pytest.raises(StateUnusable, match=r"(?i)read-?only"), store.reading() as reader:
        resync_requests.add(session_on(reader, 5740, _NOW), "jo")


def test_released_lock_is_free_at_once_and_its_connection_is_reused(store: Store) -> None:
    connected = Counter[str]()
    event.listen(store.engine, "connect", lambda _connection, _record: connected.update(["anew"]))
    for _ in range(20):
        with locked(store, 5740, Purpose.WRITING) as lock:
            assert lock.is_held()
    assert connected["anew"] <= 1


def test_letting_one_lock_go_keeps_the_others(store: Store) -> None:
    with locked(store, 5740, Purpose.LEADING) as lead:
        with locked(store, 5740, Purpose.WRITING), locked(store, 5741, Purpose.WRITING):
            pass
        with locked(store, 5741, Purpose.WRITING) as another:
            assert lead.is_held()
            assert another.is_held()
