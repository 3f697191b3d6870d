"""A session is one transaction, for one organisation after the other."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from syncd.errors import StateUnusable
from syncd.state import resync_requests
from syncd.state.db.store import Store
from syncd.state.session import reading_session, writing_session

_NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def _requested_at(store: Store, organisation_id: int) -> list[datetime]:
    with reading_session(store, organisation_id, lambda: _NOW) as session:
        return [each.requested_at for each in resync_requests.waiting(session)]


def test_each_organisation_of_a_session_has_its_own_rows_in_one_commit(store: Store) -> None:
    times = iter((_NOW, _NOW + timedelta(seconds=1)))

    with writing_session(store, 1, lambda: next(times)) as session:
        resync_requests.add(session, "jo")
        resync_requests.add(session.for_organisation(2), "jo")

    assert [_requested_at(store, each) for each in (1, 2, 3)] == [[_NOW], [_NOW + timedelta(seconds=1)], []]


def test_nothing_of_a_session_is_stored_if_its_block_raises(store: Store) -> None:
    with suppress(ZeroDivisionError), writing_session(store, 1, lambda: _NOW) as session:
        resync_requests.add(session, "jo")
        resync_requests.add(session.for_organisation(2), "jo")
        raise ZeroDivisionError

    assert _requested_at(store, 1) == _requested_at(store, 2) == []


def test_a_reading_session_cannot_write(store: Store) -> None:
    with pytest.raises(StateUnusable), reading_session(store, 1, lambda: _NOW) as session:
        resync_requests.add(session, "jo")

    assert _requested_at(store, 1) == []
