"""An approval covers exactly the changes that were shown."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from syncd.core.alerts import Alert, AlertKind
from syncd.core.decisions import Decision, Part
from syncd.core.guard import Counts
from syncd.core.run import RunState, Trigger
from syncd.core.scope import Scope
from syncd.errors import NothingToSettle, OneFileUnreachable
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, held_records, plan_steps, runs
from syncd.state.approvals import Settled
from syncd.state.conditions import current_conditions
from syncd.state.db.tables import plan_step
from syncd.state.held_records import Selection
from syncd.state.plan_steps import StepFilter
from syncd.state.views.documents import status_document
from syncd.state.views.status import status_by_organisation
from syncd.sync.run import RunResult
from tests.support.college import College, Found
from tests.support.guard import FixedLimits
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

FEW = 3


@pytest.fixture
def college(found: Found) -> College:
    """Ten learners in step, and a guard that lets three changes of a kind pass."""
    college = found()
    college.enrol(*_misids("L", 10))
    assert college.run().is_in_sync
    college.with_policy(limits=FixedLimits(FEW), max_in_flight=1)
    college.writes()
    return college


def _misids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def _approve(college: College, number: int | None = None, reason: str = "", **chosen: Any) -> Settled:
    with college.context.store.begin() as connection:
        session = session_on(connection, ORGANISATION, college.clock())
        return approvals.approve(session, number, "Ann", StepFilter(**chosen), reason)


def _reject(college: College, number: int | None = None, reason: str = "") -> Settled:
    with college.context.store.begin() as connection:
        return approvals.reject(session_on(connection, ORGANISATION, college.clock()), number, "Ann", reason)


def _sent(college: College) -> list[str]:
    """The MISIDs of the creates, and the surnames of the updates, since this was last asked."""
    return sorted(str(body.get("MISID") or body.get("LastName") or body) for _, body in college.writes() if body)


def _is_stopped(done: RunResult, sent: int = 0) -> bool:
    return (done.state, done.sent) == (RunState.AWAITING_APPROVAL, sent)


def _waiting(college: College) -> int | None:
    with college.context.store.begin() as connection:
        waiting = runs.waiting(session_on(connection, ORGANISATION))
    return waiting.id if waiting else None


def _steps(college: College) -> int:
    with college.context.store.begin() as connection:
        return connection.scalar(select(func.count()).select_from(plan_step)) or 0


def test_other_updates_than_those_approved_are_not_sent(college: College) -> None:
    for number in range(4):
        college.correct(f"L{number}", surname="Shown")
    assert _is_stopped(college.run())
    _approve(college)
    for number in range(4):
        college.correct(f"L{number}", surname=f"Example-L{number}")
        college.correct(f"L{number + 5}", surname="Another")

    done = college.run()

    assert _is_stopped(done)
    assert _sent(college) == []
    assert "4 updates where 3 are allowed in one run" in done.reason
    assert "4 of these 4 changes were not in the plan approved on 15 Jan 2026" in done.reason


def test_unused_approval_does_not_cover_other_people(college: College) -> None:
    college.enrol(*_misids("A", 8))
    college.run()
    _approve(college)
    college.enrol(*_misids("B", 20))
    first = college.run()
    assert _is_stopped(first, sent=8)
    _reject(college)
    college.withdraw(*_misids("B", 20))
    college.enrol(*_misids("C", 8))
    college.writes()

    done = college.run()

    assert _is_stopped(done)
    assert _sent(college) == []


def test_settling_a_newer_run_ends_an_older_approval(college: College) -> None:
    college.enrol(*_misids("A", 8))
    college.run()
    _approve(college)
    college.enrol(*_misids("B", 8))
    with college.context.store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, college.clock()), Trigger.SCHEDULE, is_full=True)
        session = session_on(connection, ORGANISATION, college.clock())
        runs.stop(session, number, "too many", onefile=None, totals={})
    _reject(college)

    assert _is_stopped(college.run())
    assert _sent(college) == []


def test_approved_and_still_wanted_is_sent_with_what_the_limits_allow(college: College) -> None:
    college.enrol(*_misids("A", 6))
    assert _is_stopped(college.run())
    assert _approve(college).counts == Counts(creates=6)
    college.withdraw("A0")
    college.correct("A1", surname="Changed")
    college.enrol("B0", "B1")

    done = college.run()

    # New are A1, with another name, B0 and B1.
    assert done.is_in_sync
    assert _sent(college) == ["A1", "A2", "A3", "A4", "A5", "B0", "B1"]


def test_status_counts_what_still_waits_after_a_part_was_approved(college: College) -> None:
    college.enrol(*_misids("A", 6))
    for number in range(4):
        college.correct(f"L{number}", surname="Changed")
    number = college.run().run
    _approve(college, part=Part.CREATES)
    with college.context.store.reading() as connection:
        session = session_on(connection, ORGANISATION, college.clock())
        document = status_document(status_by_organisation(session, [ORGANISATION]))
        condition = current_conditions(session)[Alert(AlertKind.APPROVAL)]
    waiting = document["awaiting_approval"]
    assert (waiting["run"], waiting["creates"], waiting["updates"]) == (number, 0, 4)
    assert "0 creates and 4 updates" in condition.reason


def test_one_change_more_than_the_limit_waits_and_the_approved_are_sent(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.run()
    _approve(college)
    college.enrol(*_misids("B", FEW + 1))

    done = college.run()

    assert _is_stopped(done, sent=6)
    assert done.waiting == FEW + 1
    assert _sent(college) == _misids("A", 6)
    assert _approve(college).counts == Counts(creates=FEW + 1)
    assert college.run().is_in_sync
    assert _sent(college) == _misids("B", FEW + 1)


def test_approval_of_a_part_leaves_the_rest_waiting(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.withdraw("L0")
    college.correct("L1", surname="Changed")
    stopped = college.run()
    settled = _approve(college, stopped.run, "checked with admissions", part=Part.CREATES)

    assert (settled.counts, settled.waiting) == (Counts(creates=6), 2)
    done = college.run()
    assert (done.state, done.sent, done.waiting, done.is_in_sync) == (RunState.FINISHED, 6, 2, False)
    assert _sent(college) == _misids("A", 6)
    assert _waiting(college) == stopped.run
    assert (college.run().sent, college.run().waiting) == (0, 2)

    assert _approve(college, field="LastName").counts == Counts(updates=1)
    assert college.run().waiting == 1
    assert _sent(college) == ["Changed"]
    _reject(college)
    assert _waiting(college) is None
    done = college.run()
    assert (done.waiting, done.sent, college.held) == (0, 0, {"L0": "rejected"})
    with college.context.store.begin() as connection:
        given = approvals.of_run(session_on(connection, ORGANISATION), stopped.run)
        run = runs.last(session_on(connection, ORGANISATION))
    assert [(each.part, each.field, each.approved_by, each.reason) for each in given] == [
        ("creates", "", "Ann", "checked with admissions"),
        ("", "LastName", "Ann", ""),
    ]
    assert run is not None


def test_approval_of_nothing_is_refused(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.run()
    with pytest.raises(NothingToSettle, match="no step of this kind"):
        _approve(college, part=Part.LEAVERS)
    assert _approve(college, role="Learner").waiting == 0


def test_rejected_change_stays_away_until_its_record_changes_or_it_is_asked_for(college: College) -> None:
    college.enrol(*_misids("A", 6))
    stopped = college.run()
    _reject(college, reason="they are last year's")
    assert _waiting(college) is None
    for _ in range(2):
        done = college.run()
        assert (done.state, done.sent, done.held) == (RunState.FINISHED, 0, 6)
    assert set(college.held.values()) == {"rejected"}

    college.correct("A1", surname="Changed")
    assert college.run().sent == 1
    with college.context.store.begin() as connection:
        session = session_on(connection, ORGANISATION, college.clock())
        assert held_records.retry(session, Selection(["A2"])) == 1
    assert college.run().sent == 1
    assert _sent(college) == ["A1", "A2"]
    assert sorted(college.held) == ["A0", "A3", "A4", "A5"]
    with college.context.store.begin() as connection:
        found = runs.waiting(session_on(connection, ORGANISATION))
        counts = plan_steps.counts_by_decision(session_on(connection, ORGANISATION), stopped.run)
    assert found is None
    assert counts == {Decision.REJECTED: 6}


def test_rejected_leaver_is_found_again_by_every_poll(college: College) -> None:
    college.withdraw(*_misids("L", FEW + 1))
    college.run()
    _reject(college)
    for _ in range(3):
        done = college.run()
        assert (done.counts.leavers, done.held) == (0, FEW + 1)
    college.enrol("L0")
    assert college.run().held == FEW


def test_approved_leavers_of_an_empty_feed_are_left_and_nothing_else(college: College) -> None:
    college.withdraw(*_misids("L", 10))
    stopped = college.run()
    assert "feed learners returned no rows" in stopped.reason
    _approve(college)
    done = college.run()
    assert (done.state, done.left) == (RunState.FINISHED, 10)


def test_rest_of_an_approved_run_is_sent_after_it_was_cut_short(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.run()
    _approve(college)
    college.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User", skip=2, times=None, retry_after_seconds=1))
    with pytest.raises(OneFileUnreachable):
        college.run()
    college.onefile.faults.clear()
    assert len(_sent(college)) > 2

    assert college.run().is_in_sync
    assert [len(college.in_onefile(misid)) for misid in _misids("A", 6)] == [1] * 6


def test_step_that_was_sent_is_not_approved_a_second_time(college: College) -> None:
    for number in range(FEW + 1):
        college.correct(f"L{number}", surname="Shown")
    college.run()
    _approve(college)
    college.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User/*", skip=FEW, times=None, retry_after_seconds=1))
    with pytest.raises(OneFileUnreachable):
        college.run()
    college.onefile.faults.clear()
    for number in range(FEW):
        college.correct(f"L{number}", surname="Other")
    assert college.run(scope=Scope.of(["L0", "L1", "L2"])).sent == FEW
    for number in range(FEW):
        college.correct(f"L{number}", surname="Shown")
    college.correct("L9", surname="One too many")

    done = college.run()

    assert _is_stopped(done, sent=1)
    assert done.waiting == FEW + 1


def test_finished_run_about_everybody_ends_the_approval(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.run()
    _approve(college)
    college.withdraw(*_misids("A", 6))
    assert college.run().is_in_sync
    college.enrol(*_misids("A", 6))
    assert _is_stopped(college.run())


def test_plan_of_a_later_poll_is_not_stored_again_if_it_is_the_same(college: College) -> None:
    college.enrol(*_misids("A", 6))
    first = college.run()
    assert _steps(college) == 16
    second = college.run()
    assert _steps(college) == 16
    # A page that was opened before the second poll is as good.
    settled = _approve(college, first.run)
    assert settled.run.id == second.run
    assert college.run().is_in_sync


def test_replaced_plan_is_deleted(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.run()
    college.enrol("A6")
    college.run()
    assert _steps(college) == 10 + 7


def test_quiet_poll_stores_no_plan(college: College) -> None:
    before = _steps(college)
    for _ in range(2):
        assert college.run().is_in_sync
    college.clock.sleep(timedelta(days=1).total_seconds())
    assert college.run().is_in_sync
    assert _steps(college) == before


def test_expired_approval_of_a_part_is_asked_for_again(college: College) -> None:
    college.enrol(*_misids("A", 6))
    college.withdraw("L0")
    college.run()
    _approve(college, part=Part.CREATES)
    college.clock.sleep(timedelta(hours=25).total_seconds())

    assert _is_stopped(college.run())
    assert _approve(college).counts == Counts(creates=6, leavers=1)
    assert (college.run().sent, college.run().waiting) == (6, 0)
