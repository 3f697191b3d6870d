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

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_COUNT = select(func.count()).select_from(resync_request)


def _is_waited_for(connection: Connection) -> bool:
    """Whether a commit waits until it is on the disk."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    return connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_only_what_is_fleeting_is_not_waited_for_whatever_the_connection_did_before(store: Store) -> None:
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


def test_what_is_fleeting_is_seen_by_everybody_once_it_is_committed_and_undone_when_it_raises(store: Store) -> None:
    with store.begin(relaxed_durability=True) as writer:
        resync_requests.add(writer, 5740, "jo", _NOW)
        with store.reading() as reader:
            assert reader.scalar(_COUNT) == 0
    with pytest.raises(NothingToSettle), store.begin(relaxed_durability=True) as writer:
        approvals.approve(writer, 5740, resync_requests.add(writer, 5740, "jo", _NOW), "jo", _NOW)
    with store.reading() as reader:
        assert reader.scalar(_COUNT) == 1


def test_a_store_is_tidied_whatever_its_connection_did_before(store: Store) -> None:
    with store.begin() as writer:
        for _ in range(500):
            resync_requests.add(writer, 5740, "jo", _NOW)
    with store.reading() as reader:
        assert len(resync_requests.waiting(reader, 5740)) == 500
    vacuum(store, _NOW)
    with pytest.raises(StateUnusable, match=r"(?i)read-?only"), store.reading() as reader:
        resync_requests.add(reader, 5740, "jo", _NOW)


def test_a_lock_that_was_let_go_is_free_at_once_and_its_connection_serves_on(store: Store) -> None:
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
