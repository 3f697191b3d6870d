"""Leavers and returners: reported, archived after their grace, and back again."""

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState
from syncd.operations.rekey import restore
from tests.support.college import College, Found

_DAY = 86_400


@pytest.fixture
def college(found: Found) -> College:
    college = found()
    college.enrol("L1", "L2", "L3")
    assert college.run().is_in_sync
    college.with_policy(archives_leavers=True)
    college.withdraw("L1")
    college.run()
    college.writes()
    return college


def _is_archived(college: College, misid: str) -> bool:
    return college.in_onefile(misid)[0].is_archived


def test_a_leaver_is_archived_when_the_grace_is_over_and_not_before(college: College) -> None:
    user_id = college.known_id("L1")
    college.pass_days(13)
    college.clock.sleep(_DAY - 60)
    college.run()
    assert college.writes() == []

    # The reading of the last day counts from the next run on.
    college.clock.sleep(120)
    assert college.run().is_in_sync

    assert college.writes() == [(f"/User/{user_id}/Archive", None)]
    assert _is_archived(college, "L1")
    assert college.run().calls == 0


def test_by_default_a_leaver_is_only_reported(college: College) -> None:
    college.with_policy(archives_leavers=False)
    college.pass_days(20)
    assert college.run().left == 1
    assert college.writes() == []


def test_protected_leaver_is_not_archived(college: College) -> None:
    college.with_policy(protected=frozenset({"L1"}))
    college.pass_days(20)
    assert college.writes() == []


def test_a_returner_within_the_grace_starts_a_new_one_when_leaving_again(college: College) -> None:
    college.pass_days(10)
    college.enrol("L1")
    assert college.run().is_in_sync
    college.withdraw("L1")
    college.run()
    college.pass_days(10)
    assert college.writes() == []


def test_archived_returner_is_unarchived_then_updated(college: College) -> None:
    user_id = college.known_id("L1")
    college.pass_days(15)
    college.writes()
    college.enrol("L1", surname="Married")

    assert college.run().is_in_sync

    assert college.writes() == [(f"/User/{user_id}/Unarchive", None), (f"/User/{user_id}", {"LastName": "Married"})]
    assert not _is_archived(college, "L1")


def test_restore_unarchives_leaver_and_restarts_grace_period(college: College) -> None:
    college.pass_days(15)
    college.writes()

    assert restore(college.context, "L1", Role.LEARNER).done.is_in_sync

    assert not _is_archived(college, "L1")
    college.pass_days(14)
    assert not _is_archived(college, "L1")


def test_leavers_by_the_dozen_are_stopped_before_any_is_archived(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(40)))
    college.run()
    college.with_policy(archives_leavers=True, limits=Limits(percent=10, floor=5))
    college.withdraw(*(f"L{number}" for number in range(10)))
    college.writes()
    for _ in range(3):
        assert college.run().state is RunState.AWAITING_APPROVAL
        college.clock.sleep(20 * _DAY)
    assert college.writes() == []
