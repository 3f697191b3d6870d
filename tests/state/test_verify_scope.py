"""What a verify stores for the next one."""

from datetime import UTC, datetime, timedelta

import pytest

from syncd.core.drift import Drift, DriftKind
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import RunState, Trigger
from syncd.state import runs
from syncd.state.db.store import Store
from syncd.state.runs import VerifyScope
from syncd.state.views import run_list
from tests.support.sessions import session_on

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
        number = runs.start(session_on(connection, organisation_id, _NOW), trigger)
        runs.finish(session_on(connection, at=_NOW), number, state)
        if scope is not None:
            runs.record_verify(session_on(connection), number, scope)
    return number


def _scope(days: int, still_different: tuple[Drift, ...] | None = (), *, is_full: bool = False) -> VerifyScope:
    return VerifyScope(is_full, _NOW + timedelta(days=days), still_different)


def _drift(role: Role, user_id: int, *fields: str, kind: DriftKind = DriftKind.CHANGED) -> Drift:
    return Drift(Key(_HERE, role, f"M{user_id}"), user_id, kind, fields)


_DRIFT = (
    _drift(Role.LEARNER, 7, "FirstName", "archived"),
    _drift(Role.PLACEMENT, 8, "Name"),
    _drift(Role.ASSESSOR, 12, kind=DriftKind.MISSING),
)


@pytest.mark.parametrize("still_different", [(), _DRIFT, None])
def test_a_scope_is_read_as_it_was_stored(store: Store, still_different: tuple[Drift, ...] | None) -> None:
    number = _verify(store, _scope(0, still_different))
    with store.begin() as connection:
        found = run_list.find(connection, [_HERE], number)
        assert found is not None
        assert (
            found.verify_scope
            == runs.last_verify(session_on(connection, _HERE), Trigger.VERIFY)
            == _scope(0, still_different)
        )


def test_the_newest_full_verify_is_found_behind_newer_ones(store: Store) -> None:
    _verify(store, _scope(0, is_full=True))
    _verify(store, _scope(1, is_full=True))
    _verify(store, _scope(2))
    with store.begin() as connection:
        assert runs.last_verify(session_on(connection, _HERE), Trigger.VERIFY) == _scope(2)
        assert runs.last_verify(session_on(connection, _HERE), Trigger.VERIFY, only_full=True) == _scope(
            1, is_full=True
        )


def test_only_finished_verifies_with_a_scope_count(store: Store) -> None:
    _verify(store, _scope(0, is_full=True))
    _verify(store, _scope(1), RunState.INTERRUPTED)
    _verify(store, None)
    _verify(store, _scope(2), trigger=Trigger.SCHEDULE)
    _verify(store, _scope(3), organisation_id=_THERE)
    with store.begin() as connection:
        assert runs.last_verify(session_on(connection, _HERE), Trigger.VERIFY) == _scope(0, is_full=True)
        assert runs.last_verify(session_on(connection, _THERE), Trigger.VERIFY, only_full=True) is None


def test_last_drift_of_an_account_is_that_of_the_last_verify(store: Store) -> None:
    _verify(store, _scope(0, _DRIFT, is_full=True))
    with store.begin() as connection:
        session = session_on(connection, _HERE)
        learner, missing = runs.last_drift(session, Role.LEARNER, 7), runs.last_drift(session, Role.ASSESSOR, 12)
        assert runs.last_drift(session, Role.LEARNER, 8) is None, "that is a placement's id"
        assert runs.last_drift(session, Role.LEARNER, 9) is None
        assert runs.last_drift(session, Role.LEARNER, None) is None
    assert learner is not None
    assert (learner.at, learner.in_words) == (_NOW, "FirstName, archived in OneFile")
    assert missing is not None
    assert missing.in_words == "OneFile no longer has the account"

    _verify(store, _scope(1, None))
    with store.begin() as connection:
        unknown = runs.last_drift(session_on(connection, _HERE), Role.LEARNER, 9)
    assert unknown is not None
    assert unknown.drift is None
    _verify(store, _scope(2))
    with store.begin() as connection:
        assert runs.last_drift(session_on(connection, _HERE), Role.LEARNER, 7) is None
