"""What a verify stores for the next one."""

from datetime import UTC, datetime, timedelta

import pytest

from syncd.core.run import RunState, Trigger
from syncd.state import runs
from syncd.state.db.store import Store
from syncd.state.runs import VerifyScope
from syncd.state.views import run_list

_HERE, _THERE = 5740, 5741
_NOW = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)


def _verify(
    store: Store,
    scope: VerifyScope | None,
    state: RunState = RunState.FINISHED,
    *,
    trigger: Trigger = Trigger.VERIFY,
    organisation_id: int = _HERE,
) -> int:
    with store.begin() as connection:
        number = runs.start(connection, organisation_id, trigger, _NOW)
        runs.finish(connection, number, state, _NOW)
        if scope is not None:
            runs.record_verify(connection, number, scope)
    return number


def _scope(days: int, still_different: frozenset[int] | None = frozenset(), *, is_full: bool = False) -> VerifyScope:
    return VerifyScope(is_full, _NOW + timedelta(days=days), still_different)


@pytest.mark.parametrize("still_different", [frozenset(), frozenset({7, 12}), None])
def test_a_scope_is_read_as_it_was_stored(store: Store, still_different: frozenset[int] | None) -> None:
    number = _verify(store, _scope(0, still_different))
    with store.begin() as connection:
        found = run_list.find(connection, [_HERE], number)
        assert found is not None
        assert found.verify_scope == runs.last_verify(connection, _HERE, Trigger.VERIFY) == _scope(0, still_different)


def test_the_newest_full_verify_is_found_behind_newer_ones(store: Store) -> None:
    _verify(store, _scope(0, is_full=True))
    _verify(store, _scope(1, is_full=True))
    _verify(store, _scope(2))
    with store.begin() as connection:
        assert runs.last_verify(connection, _HERE, Trigger.VERIFY) == _scope(2)
        assert runs.last_verify(connection, _HERE, Trigger.VERIFY, only_full=True) == _scope(1, is_full=True)


def test_only_finished_verifies_with_a_scope_count(store: Store) -> None:
    _verify(store, _scope(0, is_full=True))
    _verify(store, _scope(1), RunState.INTERRUPTED)
    _verify(store, None)
    _verify(store, _scope(2), trigger=Trigger.SCHEDULE)
    _verify(store, _scope(3), organisation_id=_THERE)
    with store.begin() as connection:
        assert runs.last_verify(connection, _HERE, Trigger.VERIFY) == _scope(0, is_full=True)
        assert runs.last_verify(connection, _THERE, Trigger.VERIFY, only_full=True) is None
