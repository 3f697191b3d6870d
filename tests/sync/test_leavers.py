"""Leavers and returners: reported, archived after their grace, and back again."""

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.errors import NothingToSettle
from syncd.operations.rekey import restore_plan
from syncd.sync.run import execute
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
    college.clock.sleep(14 * _DAY - 60)
    college.run()
    assert college.writes() == []

    college.clock.sleep(120)
    assert college.run().is_in_sync

    assert college.writes() == [(f"/User/{user_id}/Archive", None)]
    assert _is_archived(college, "L1")
    assert college.run().calls == 0


def test_by_default_a_leaver_is_only_reported(college: College) -> None:
    college.with_policy(archives_leavers=False)
    college.clock.sleep(100 * _DAY)
    assert college.run().left == 1
    assert college.writes() == []


def test_protected_leaver_is_not_archived(college: College) -> None:
    college.with_policy(protected=frozenset({"L1"}))
    college.clock.sleep(100 * _DAY)
    college.run()
    assert college.writes() == []


def test_a_returner_within_the_grace_starts_a_new_one_when_leaving_again(college: College) -> None:
    college.clock.sleep(10 * _DAY)
    college.enrol("L1")
    assert college.run().is_in_sync
    college.withdraw("L1")
    college.run()
    college.clock.sleep(10 * _DAY)
    college.run()
    assert college.writes() == []


def test_archived_returner_is_unarchived_then_updated(college: College) -> None:
    user_id = college.known_id("L1")
    college.clock.sleep(15 * _DAY)
    college.run()
    college.writes()
    college.enrol("L1", surname="Married")

    assert college.run().is_in_sync

    assert college.writes() == [(f"/User/{user_id}/Unarchive", None), (f"/User/{user_id}", {"LastName": "Married"})]
    assert not _is_archived(college, "L1")


def test_restore_unarchives_leaver_and_restarts_grace_period(college: College) -> None:
    college.clock.sleep(15 * _DAY)
    college.run()
    college.writes()

    assert execute(college.context, Trigger.RESTORE, restore_plan("L1", Role.LEARNER)).is_in_sync

    assert not _is_archived(college, "L1")
    college.clock.sleep(1 * _DAY)
    college.run()
    college.clock.sleep(13 * _DAY)
    college.run()
    assert not _is_archived(college, "L1")
    with pytest.raises(NothingToSettle, match="not archived"):
        execute(college.context, Trigger.RESTORE, restore_plan("L2", Role.LEARNER))


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
