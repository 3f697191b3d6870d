"""How much of the guard's limits is used: changes that no approval covered, of one organisation, in two windows."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from syncd.core.accounts import Known, Status
from syncd.core.fields import Role
from syncd.core.guard import DAY, WEEK, Counts, Usage
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, Trigger
from syncd.state import accounts, changes, complete_readings, guard_usage, runs
from syncd.state.db.store import Store
from tests.support.guard import let_create
from tests.support.sessions import session_on

_HERE, _THERE = 5740, 5741
_NOW: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def _sent(
    store: Store,
    action: Action = Action.UPDATE,
    *,
    ago: timedelta = timedelta(0),
    outcome: Outcome = Outcome.APPLIED,
    is_approved: bool = False,
    organisation_id: int = _HERE,
) -> None:
    with store.begin() as connection:
        session = session_on(connection, organisation_id, _NOW - ago)
        number = changes.record_intent(
            session,
            runs.start(session, Trigger.SCHEDULE),
            Key(organisation_id, Role.LEARNER, "L1"),
            action,
            {},
            user_id=7,
            feed="learners",
            fingerprint="",
            is_approved=is_approved,
        )
        if outcome is not Outcome.PENDING:
            changes.record_outcome(session, number, outcome)


def _left(store: Store, leavers: int, *, ago: timedelta) -> None:
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOW - ago)
        runs.record_unapproved_leavers(session, runs.start(session, Trigger.SCHEDULE), leavers)


def _usage(store: Store) -> Usage:
    with store.reading() as connection:
        return guard_usage.usage(session_on(connection, _HERE, _NOW))


def _account(store: Store, misid: str, role: Role = Role.LEARNER) -> None:
    with store.begin() as connection:
        accounts.save(
            session_on(connection, _HERE, _NOW),
            Key(_HERE, role, misid),
            user_id=int(misid),
            feed="feed",
            accepted={"MISID": misid},
            fingerprint="",
        )


def test_new_store_has_used_nothing_and_created_nobody(store: Store) -> None:
    assert _usage(store) == Usage(0, 0, has_created=False)


def test_each_action_counts_for_its_kind(store: Store) -> None:
    for action in Action:
        _sent(store, action)

    used = Counts(creates=1, updates=len(Action) - 2, archivings=1)
    assert (_usage(store).day, _usage(store).week) == (used, used)


@pytest.mark.parametrize(
    ("ago", "day", "week"),
    [(DAY - _SECOND, 1, 1), (DAY, 0, 1), (WEEK - _SECOND, 0, 1), (WEEK, 0, 0), (-timedelta(days=20), 1, 1)],
    ids=["a day less a second", "a day", "a week less a second", "a week", "by a clock that was ahead"],
)
def test_changes_and_leavers_count_for_exactly_a_day_and_a_week(
    store: Store, ago: timedelta, day: int, week: int
) -> None:
    _sent(store, ago=ago)
    _left(store, 3, ago=ago)

    used = _usage(store)

    assert used.day == Counts(updates=day, leavers=3 * day)
    assert used.week == Counts(updates=week, leavers=3 * week)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_may_have_changed_something_counts(store: Store, outcome: Outcome) -> None:
    _sent(store, outcome=outcome)

    assert _usage(store).day == Counts(updates=outcome not in {Outcome.REFUSED, Outcome.NOT_DONE})


def test_neither_approved_changes_nor_those_of_others_count(store: Store) -> None:
    _sent(store, is_approved=True)
    _sent(store, organisation_id=_THERE)

    assert _usage(store).week == Counts()


def test_accounts_created_without_approval_do_not_raise_the_limits(store: Store) -> None:
    for number in range(10):
        _account(store, str(number))
    _account(store, "10", Role.CLASSROOM)
    for _ in range(3):
        _sent(store, Action.CREATE)
    for _ in range(3):
        _sent(store, Action.CREATE, is_approved=True)

    assert (_usage(store).accounts, _usage(store).people) == (8, 10)


def test_create_in_doubt_is_used_but_no_account_to_leave_out(store: Store) -> None:
    _account(store, "1")
    _sent(store, Action.CREATE, outcome=Outcome.IN_DOUBT)

    assert (_usage(store).accounts, _usage(store).day) == (1, Counts(creates=1))


@pytest.mark.parametrize("outcome", Outcome)
def test_organisation_has_created_once_a_create_was_accepted(store: Store, outcome: Outcome) -> None:
    _sent(store, Action.CREATE, ago=timedelta(days=9999), outcome=outcome)
    _sent(store, Action.CREATE, organisation_id=_THERE)

    assert _usage(store).has_created is (outcome in {Outcome.APPLIED, Outcome.ACCEPTED})


def test_tests_can_let_an_organisation_create(store: Store) -> None:
    with store.begin() as connection:
        let_create(session_on(connection, _HERE, _NOW))

    assert _usage(store).has_created


def test_complete_readings_are_counted_by_days(store: Store) -> None:
    counted: list[int] = []
    for hours in (0, 1, 19, 20, 24, 40, 20 * 24, 41, 45):
        with store.begin() as connection:
            session = session_on(connection, _HERE, _NOW + timedelta(hours=hours))
            complete_readings.count(session)
            counted.append(complete_readings.days(session))

    # The clock is ahead for one reading: that one counts, and the next one by the right clock.
    assert counted == [1, 1, 1, 2, 2, 3, 4, 5, 5]


def test_days_gone_are_the_readings_since_the_record_was_missed(store: Store) -> None:
    _account(store, "1")
    _account(store, "2")
    for day in range(3):
        with store.begin() as connection:
            session = session_on(connection, _HERE, _NOW + timedelta(days=day))
            complete_readings.count(session)
            if day == 0:
                from_then = Key(_HERE, Role.LEARNER, "1")
                accounts.set_status(session, from_then, Status.LEAVER, session.now)
    with store.reading() as connection:
        known: dict[Key, Known] = accounts.known(session_on(connection, _HERE, _NOW))

    assert {key.misid: one.days_gone for key, one in known.items()} == {"1": 2, "2": 0}
