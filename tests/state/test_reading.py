"""Reading waits for nobody, sees one moment, and changes nothing."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from syncd.errors import StateUnusable
from syncd.state import resync_requests
from syncd.state.db.store import Store
from syncd.state.db.tables import resync_request
from tests.support.sessions import session_on

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_COUNT = select(func.count()).select_from(resync_request)


def test_reader_sees_the_store_as_it_began_despite_concurrent_writes(store: Store) -> None:
    with store.reading() as reader:
        assert reader.scalar(_COUNT) == 0
        with store.begin() as writer:
            resync_requests.add(session_on(writer, 5740, _NOW), "jo")
            with store.reading() as another:
                assert another.scalar(_COUNT) == 0
        assert reader.scalar(_COUNT) == 0
    with store.reading() as later:
        assert later.scalar(_COUNT) == 1


def test_what_only_reads_cannot_write(store: Store) -> None:
    with pytest.raises(StateUnusable, match=r"(?i)read-?only"), store.reading() as reader:
        resync_requests.add(session_on(reader, 5740, _NOW), "jo")
    with store.begin() as writer:
        resync_requests.add(session_on(writer, 5740, _NOW), "jo")
        assert writer.scalar(_COUNT) == 1
