"""What a run has found by name, kept for the next one."""

from datetime import UTC, datetime, timedelta

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.scope import Scope
from syncd.state import likely_accounts
from syncd.state.db.store import Store
from syncd.state.likely_accounts import LikelyAccounts
from tests.support.sessions import session_on

HERE, ELSEWHERE = 5740, 5741
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ONE, OTHER = Key(HERE, Role.LEARNER, "L1"), Key(HERE, Role.ASSESSOR, "L1")
FOUND = {ONE: LikelyAccounts((7, 9), "of L1", NOW), OTHER: LikelyAccounts((8,), "of A1", NOW)}


def test_what_a_run_has_found_is_kept_until_the_next_has_found_it(store: Store) -> None:
    with store.begin() as connection:
        session = session_on(connection, HERE, NOW)
        likely_accounts.replace(session, FOUND)
        assert likely_accounts.stored(session) == FOUND
        changed = {ONE: LikelyAccounts((9, 10), "of L1", NOW + timedelta(hours=1))}
        likely_accounts.replace(session, changed)
        assert likely_accounts.stored(session) == changed
        assert likely_accounts.stored(session_on(connection, ELSEWHERE, NOW)) == {}


def test_a_run_for_some_records_keeps_what_is_known_of_others(store: Store) -> None:
    third = Key(HERE, Role.LEARNER, "L3")
    with store.begin() as connection:
        session = session_on(connection, HERE, NOW)
        likely_accounts.replace(session, FOUND | {third: LikelyAccounts((5,), "of L3", NOW)})
        likely_accounts.replace(session, {}, Scope.of(["L3"]))
        assert likely_accounts.stored(session) == FOUND


def test_what_was_found_is_recent_for_an_hour() -> None:
    found = FOUND[ONE]
    assert found.is_recent(NOW + timedelta(minutes=59))
    assert not found.is_recent(NOW + timedelta(hours=1))
