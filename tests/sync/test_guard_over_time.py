"""The guard over several runs: what was sent without approval counts for a day and a week."""

from datetime import timedelta
from typing import Final

import pytest

from syncd.core.guard import Limits
from syncd.core.run import Action, RunState
from syncd.core.scope import Scope
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, guard_usage
from syncd.sync.run import RunResult
from tests.support.college import College, Found
from tests.support.guard import FixedLimits
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

#: Of a hundred: 10 in a run, 15 in a day, 25 in a week.
_SHARES: Final = Limits(floor=0)
_POLL: Final = timedelta(minutes=15)


def _people(first: int, count: int) -> list[str]:
    return [f"L{number:03}" for number in range(first, first + count)]


@pytest.fixture
def college(found: Found) -> College:
    """A hundred people in step, and the usual shares without a floor."""
    college = found()
    college.enrol(*_people(0, 100))
    assert college.run().is_in_sync
    # The run had no limits and no approval: it is out of the way after a week.
    college.clock.go_on(days=7)
    college.with_policy(limits=_SHARES)
    college.writes()
    return college


def _approve(college: College, stopped: RunResult) -> None:
    assert stopped.state is RunState.AWAITING_APPROVAL
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), stopped.run, "Ann")


def _archived(college: College) -> int:
    return sum(user.is_archived for user in college.onefile.world.users.values())


def _learners(college: College) -> int:
    return sum(user.role == 1 for user in college.onefile.world.users.values())


def test_ten_percent_more_in_each_poll_are_stopped_in_the_second(college: College) -> None:
    ends: list[RunResult] = []
    for poll in range(6):
        college.enrol(*_people(100 + 10 * poll, 10))
        ends.append(college.run())
        college.clock.now += _POLL

    assert [done.state for done in ends] == [RunState.FINISHED, *[RunState.AWAITING_APPROVAL] * 5]
    assert ends[1].objections == (
        "10 creates where 15 are allowed in 24 hours without approval, of which 10 are used",
    ), "those who were created do not raise the limits"
    assert _learners(college) == 110


def test_no_poll_archives_ten_percent_after_another(college: College) -> None:
    college.with_policy(archives_leavers=True, grace=timedelta())
    left = 100
    for _ in range(12):
        gone = left // 10
        college.withdraw(*_people(left - gone, gone))
        left -= gone
        college.run()
        college.clock.now += _POLL

    assert _archived(college) == 10


def test_small_college_does_not_lose_its_people_in_three_steps(found: Found) -> None:
    college = found()
    college.enrol(*_people(0, 60))
    college.run()
    college.clock.go_on(days=7)
    college.with_policy(limits=Limits(), archives_leavers=True, grace=timedelta())
    for first, gone in ((0, 29), (29, 15), (44, 8)):
        college.withdraw(*_people(first, gone))
        stopped = college.run()
        assert stopped.state is RunState.AWAITING_APPROVAL
        college.clock.now += _POLL

    assert stopped.objections[:1] == ("52 leavers where 15 are allowed in one run without approval",)
    assert _archived(college) == 0


def test_leavers_that_fall_due_together_wait_for_approval(college: College) -> None:
    college.with_policy(archives_leavers=True, grace=timedelta(days=14))
    college.withdraw(*_people(0, 30))
    # Leaving was approved; to be archived two weeks later is another matter.
    _approve(college, college.run())
    assert college.run().state is RunState.FINISHED
    college.pass_days(14)
    college.clock.go_on(days=1)

    stopped = college.run()

    assert stopped.objections == ("30 archivings where 10 are allowed in one run without approval",)
    assert stopped.counts.archivings == 30
    assert _archived(college) == 0
    _approve(college, stopped)
    college.run()
    assert _archived(college) == 30


def test_clock_that_is_wrong_for_one_run_archives_nobody(college: College) -> None:
    college.with_policy(archives_leavers=True, grace=timedelta(days=14))
    college.withdraw("L001")
    college.run()
    college.clock.go_on(days=20)
    college.run()
    college.clock.go_on(days=-20)
    college.run()

    assert _archived(college) == 0
    college.pass_days(13)
    assert _archived(college) == 0
    college.pass_days(2)
    assert _archived(college) == 1


@pytest.mark.parametrize("people", [1, 5])
def test_first_run_that_creates_waits_for_approval(found: Found, people: int) -> None:
    college = found(is_new=True)
    college.enrol(*_people(0, people))

    stopped = college.run()

    assert stopped.state is RunState.AWAITING_APPROVAL
    assert "it is the first run to create accounts in this organisation" in stopped.objections[0]
    assert college.writes() == []
    _approve(college, stopped)
    assert college.run().is_in_sync
    # Only the first one always waits.
    college.enrol("NEW")
    assert college.run().is_in_sync


@pytest.mark.parametrize(
    ("people", "sentence"),
    [
        (1, "for the new accounts OneFile e-mails 1 person, and its link works for 72 hours"),
        (3, "for the new accounts OneFile e-mails 3 people, and the link in each e-mail works for 72 hours"),
    ],
)
@pytest.mark.parametrize("keychain", [False, True])
def test_run_that_waits_says_how_many_people_onefile_emails(
    found: Found, people: int, sentence: str, *, keychain: bool
) -> None:
    college = found(is_new=True, keychain=keychain)
    college.enrol(*_people(0, people))

    assert (sentence in college.run().reason) is keychain
    assert "e-mail" not in "; ".join(college.run().objections)


@pytest.mark.parametrize("keychain", [False, True])
def test_after_a_part_was_approved_only_those_who_wait_are_e_mailed(found: Found, *, keychain: bool) -> None:
    college = found(is_new=True, keychain=keychain)
    college.enrol(*_people(0, 2))
    _approve(college, college.run())
    college.enrol(*_people(2, 3))
    college.with_policy(limits=FixedLimits(1))

    done = college.run()

    assert (done.state, done.sent) == (RunState.AWAITING_APPROVAL, 2)
    assert ("OneFile e-mails 3 people" in done.reason) is keychain


def test_run_waits_although_onefile_cannot_be_asked_about_emails(found: Found) -> None:
    college = found(is_new=True)
    college.enrol(*_people(0, 2))
    _approve(college, college.run())
    college.enrol(*_people(2, 3))
    college.with_policy(limits=FixedLimits(1))
    # The run reads the organisation before it sends, and again when it stops.
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, path="/Organisation/*", skip=1, times=None))

    done = college.run()

    assert (done.state, done.sent) == (RunState.AWAITING_APPROVAL, 2)
    assert "it is not known whether OneFile e-mails 3 people for the new accounts" in done.reason
    college.onefile.faults.clear()
    _approve(college, done)
    assert college.run().is_in_sync


def test_first_run_of_one_misid_waits_as_well(found: Found) -> None:
    college = found(is_new=True)
    college.enrol("L1", "L2")

    assert college.run(scope=Scope.of(["L1"])).state is RunState.AWAITING_APPROVAL
    assert college.run(approved_by="Ann").is_in_sync


def test_what_an_approval_covers_uses_nothing_of_the_limits(college: College) -> None:
    for misid in _people(0, 60):
        college.correct(misid, phone="020 7946 0000")
    _approve(college, college.run())
    assert college.run().applied == {Action.UPDATE: 60}

    for misid in _people(60, 10):
        college.correct(misid, phone="020 7946 0000")
    assert college.run().applied == {Action.UPDATE: 10}

    with college.context.store.begin() as connection:
        assert guard_usage.usage(session_on(connection, ORGANISATION, college.clock())).day.updates == 10


def test_run_that_is_approved_beforehand_uses_nothing_of_the_limits(college: College) -> None:
    for misid in _people(0, 10):
        college.correct(misid, phone="020 7946 0000")
    assert college.run(approved_by="Ann").applied == {Action.UPDATE: 10}

    for misid in _people(10, 10):
        college.correct(misid, phone="020 7946 0000")
    assert college.run().applied == {Action.UPDATE: 10}


def test_limits_of_a_day_and_a_week_end_exactly_then(college: College) -> None:
    sent = 0

    def update(count: int) -> RunState:
        nonlocal sent
        for misid in _people(sent, count):
            college.correct(misid, phone="020 7946 0000")
        done = college.run()
        if done.state is RunState.FINISHED:
            sent += count
        return done.state

    begin = college.clock.now
    assert update(10) is RunState.FINISHED
    college.clock.now = begin + timedelta(hours=23, minutes=59)
    assert update(10) is RunState.AWAITING_APPROVAL
    college.clock.now = begin + timedelta(hours=24, seconds=1)
    assert update(10) is RunState.FINISHED
    college.clock.now = begin + timedelta(days=3)
    assert update(5) is RunState.FINISHED
    college.clock.now = begin + timedelta(days=5)
    assert update(1) is RunState.AWAITING_APPROVAL
    college.clock.now = begin + timedelta(days=7, seconds=1)
    assert update(10) is RunState.FINISHED


def test_one_value_for_everybody_waits_for_approval(college: College) -> None:
    for misid in _people(0, 6):
        college.correct(misid, email="office@college.example")

    stopped = college.run()

    assert stopped.objections == ("Email would be the same for 6 people where 5 are allowed",)
    assert college.writes() == []
    _approve(college, stopped)
    assert college.run().applied == {Action.UPDATE: 6}
