"""The audit trail is read page by page, in the order of time, whoever's changes lie between."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Trigger
from syncd.state import changes, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import metadata
from syncd.state.views import audit
from tests.support.sessions import session_on

_NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
_HERE, _THERE, _ELSEWHERE = 5740, 5741, 5742
_Made = tuple[int, int, str]
"""A change: minutes after noon, organisation, MISID."""


def _fill(store: Store, made: Sequence[_Made]) -> None:
    with store.begin() as connection:
        run = runs.start(session_on(connection, _HERE, _NOON), Trigger.SCHEDULE)
        for minutes, organisation_id, misid in made:
            changes.record_intent(
                session_on(connection, at=_NOON + timedelta(minutes=minutes), cipher=store.cipher),
                run,
                Key(organisation_id, Role.LEARNER, misid),
                Action.UPDATE,
                {},
                user_id=int(misid.removeprefix("L")),
                feed="learners",
                fingerprint="",
            )


def _between(store: Store, since: int, until: int, misid: str | None = None) -> list[_Made]:
    span = (_NOON + timedelta(minutes=since), _NOON + timedelta(minutes=until))
    return [
        (round((row.at - _NOON).total_seconds() / 60), row.organisation_id, row.misid)
        for row in audit.between(store, [_HERE, _THERE], *span, misid)
    ]


def test_the_oldest_is_first_and_the_end_is_not_in_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE_ROWS", 2)
    _fill(store, [(0, _HERE, "L1"), (1, _THERE, "L2"), (1, _HERE, "L1"), (2, _HERE, "L3"), (3, _HERE, "L1")])
    assert _between(store, 0, 3) == [(0, _HERE, "L1"), (1, _THERE, "L2"), (1, _HERE, "L1"), (2, _HERE, "L3")]
    assert _between(store, 1, 9, "L1") == [(1, _HERE, "L1"), (3, _HERE, "L1")]


def test_writer_does_not_wait_for_a_slow_reader(store: Store) -> None:
    _fill(store, [(0, _HERE, "L1"), (1, _HERE, "L2")])
    reader = audit.between(store, [_HERE], _NOON, _NOON + timedelta(days=1))
    next(reader)
    _fill(store, [(2, _HERE, "L3")])
    assert next(reader).misid == "L2"


_minutes = st.integers(0, 5)
_made = st.lists(
    st.tuples(_minutes, st.sampled_from([_HERE, _THERE, _ELSEWHERE]), st.sampled_from(["L1", "L2"])), max_size=12
)


@given(_made, _minutes, _minutes, st.sampled_from([None, "L1"]), st.integers(1, 4))
def test_every_change_of_the_time_is_in_it_once(
    made: list[_Made], since: int, until: int, misid: str | None, page: int
) -> None:
    store = Store("sqlite://", ValueCipher())
    metadata.create_all(store.engine)
    _fill(store, made)
    expected = [
        one
        for one in sorted(made, key=lambda one: one[0])
        if since <= one[0] < until and one[1] != _ELSEWHERE and misid in {None, one[2]}
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "PAGE_ROWS", page)
        assert _between(store, since, until, misid) == expected
    store.close()


def _record(store: Store, minutes: int, misid: str, action: Action, user_id: int | None, role: Role) -> None:
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOON + timedelta(minutes=minutes), cipher=store.cipher)
        run = runs.start(session, Trigger.SCHEDULE)
        key = Key(_HERE, role, misid)
        changes.record_intent(session, run, key, action, {}, user_id=user_id, feed="", fingerprint="")


def test_the_history_of_an_account_has_all_its_misids(store: Store) -> None:
    learner, assessor = Role.LEARNER, Role.ASSESSOR
    _record(store, 0, "OLD", Action.CREATE, None, learner)  # refused
    _record(store, 1, "OLD", Action.CREATE, None, assessor)
    _record(store, 2, "OLD", Action.CREATE, 7, learner)
    _record(store, 3, "NEW", Action.REKEY, 7, learner)
    _record(store, 4, "OLD", Action.CREATE, None, learner)  # the next owner's, refused
    _record(store, 5, "OLD", Action.CREATE, 8, learner)
    _record(store, 6, "NEW", Action.UPDATE, 7, learner)
    _record(store, 7, "NEWER", Action.REKEY, 7, learner)

    def minutes(misid: str) -> list[int]:
        with store.reading() as connection:
            found = changes.history(session_on(connection, _HERE, cipher=store.cipher), misid)
        assert [each[0] for each in _between(store, 0, 99, misid)] == [(row.at - _NOON).seconds // 60 for row in found]
        return [(row.at - _NOON).seconds // 60 for row in found]

    assert minutes("NEW") == minutes("NEWER") == [0, 2, 3, 6, 7]
    assert minutes("OLD") == [*range(8)], "both accounts had it"
