"""An action that OneFile refuses for record after record is suspended; the rest stays queued."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from syncd.core.alerts import Alert, AlertKind
from syncd.core.fields import Role
from syncd.core.run import RunState
from syncd.core.scope import Scope
from syncd.core.suspension import SUSPENDED_AFTER
from syncd.errors import OneFileUnreachable
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, held_records, plan_steps, suspensions
from syncd.state.conditions import current_conditions
from syncd.state.suspensions import Suspension
from syncd.state.views import lag
from tests.support.college import College, Found
from tests.support.guard import FixedLimits
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .whole import Whole

SEATS = 100
IN_FLIGHT = 8


def _misids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def _approve(college: College) -> None:
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "Ann")


def _suspended(college: College) -> list[Suspension]:
    with college.context.store.reading() as connection:
        return suspensions.listing(session_on(connection, ORGANISATION))


def _set(college: College, **switches: Any) -> None:
    world = college.onefile.world
    world.switches = replace(world.switches, **switches)


def _learners(college: College) -> int:
    return sum(user.role == 1 for user in college.onefile.world.users.values())


@pytest.fixture
def events() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as events:
        yield events


def _names(events: list[Any], *wanted: str) -> list[str]:
    return [event["event"] for event in events if event["event"] in wanted]


@pytest.mark.slow
def test_missing_seats_refuse_five_and_queue_the_rest_until_there_are_seats(found: Found, events: list[Any]) -> None:
    college = found(is_new=True, seats=SEATS)
    college.with_policy(max_in_flight=IN_FLIGHT)
    college.enrol(*_misids("L", 400))
    assert college.run().state is RunState.AWAITING_APPROVAL
    _approve(college)

    first = college.run()

    assert first.state is RunState.FINISHED
    assert _learners(college) == SEATS
    assert SUSPENDED_AFTER <= first.refused <= SUSPENDED_AFTER + IN_FLIGHT
    assert first.queued == 400 - SEATS - first.refused
    assert set(college.held.values()) == {"refused"}
    assert not first.is_in_sync
    (suspended,) = _suspended(college)
    assert str(suspended.kind) == "creates of learners"
    assert suspended.queued == first.queued

    for _ in range(3):
        college.clock.go_on(minutes=15)
        later = college.run()
        assert (later.state, later.refused, later.queued) == (RunState.FINISHED, 1, first.queued)
    assert _names(events, "action_suspended", "action_resumed") == ["action_suspended"]

    _set(college, seats=1000)
    college.clock.go_on(minutes=15)
    resumed = college.run()

    assert (resumed.state, resumed.sent, resumed.queued) == (RunState.FINISHED, first.queued, 0)
    assert _names(events, "action_suspended", "action_resumed") == ["action_suspended", "action_resumed"]
    assert _suspended(college) == []
    # Those who were refused before are sent by the next run, under the same approval.
    assert college.run().is_in_sync
    assert _learners(college) == 400


@pytest.fixture
def full(found: Found) -> College:
    """A college whose first run was approved, with 12 learners and 4 seats; it sends one call at a time."""
    college = found(is_new=True, seats=4)
    college.with_policy(max_in_flight=1)
    college.enrol(*_misids("L", 12))
    college.run()
    _approve(college)
    done = college.run()
    assert (done.sent, done.refused, done.queued) == (4, 5, 3)
    return college


def _created(college: College) -> list[str]:
    """The MISIDs of the creates since this was last asked."""
    return [body["MISID"] for path, body in college.writes() if path.endswith("/User")]


def test_each_run_tries_another_record_and_holds_none(full: College) -> None:
    full.writes()
    tried = []
    for _ in range(4):
        assert full.run().queued == 3
        tried += _created(full)
    assert tried == ["L9", "L10", "L11", "L9"]
    assert len(full.held) == 5


def test_two_reasons_in_turn_do_not_suspend(found: Found) -> None:
    college = found(strict=True)
    college.with_policy(max_in_flight=1)
    for number in range(12):
        college.enrol(f"L{number}", **{("forename", "surname")[number % 2]: "W" * 60})
    done = college.run()
    assert (done.refused, done.queued) == (12, 0)
    assert _suspended(college) == []


def test_a_success_in_between_begins_the_count_again(found: Found) -> None:
    college = found(strict=True)
    college.with_policy(max_in_flight=1)
    for number in range(12):
        college.enrol(f"L{number:02}", surname="W" * 60 if number % 5 else "Short")
    done = college.run()
    assert (done.sent, done.refused, done.queued) == (3, 9, 0)


def test_refusals_in_a_row_are_counted_over_runs(found: Found) -> None:
    college = found(strict=True)
    for number in range(SUSPENDED_AFTER):
        assert _suspended(college) == []
        college.enrol(f"L{number}", surname="W" * 60)
        college.run()
    # One of the five is queued, so that the next run has one to try.
    assert [each.queued for each in _suspended(college)] == [1]
    assert len(college.held) == 4
    college.enrol("N1", surname="W" * 60)
    done = college.run()
    assert (done.refused, done.queued, "N1" in college.held) == (1, 2, False)


def test_one_of_the_refused_records_is_tried_if_none_is_queued(found: Found) -> None:
    college = found(strict=True)
    college.enrol(*_misids("L", 5), surname="W" * 60)
    assert college.run().refused == 5
    assert college.run().refused == 1
    _set(college, strict=False)
    assert college.run().sent == 1
    assert college.run().is_in_sync


def test_updates_are_sent_while_creates_are_suspended(full: College) -> None:
    full.correct("L0", surname="Changed")
    done = full.run()
    assert (done.sent, done.refused, done.queued) == (1, 1, 3)
    assert [each.kind.action for each in _suspended(full)] == ["create"]


def test_updates_are_suspended_while_creates_are_sent(found: Found) -> None:
    college = found(strict=True)
    college.with_policy(max_in_flight=1)
    college.enrol(*_misids("L", 8))
    college.run()
    for number in range(8):
        college.correct(f"L{number}", surname="W" * 60)
    college.enrol("N1")
    done = college.run()
    assert (done.sent, done.refused, done.queued) == (1, 5, 3)
    assert [str(each.kind) for each in _suspended(college)] == ["updates of learners"]
    _set(college, strict=False)
    college.run()
    assert college.run().is_in_sync


def test_what_is_queued_follows_the_mis(full: College) -> None:
    full.withdraw("L9")
    full.correct("L10", surname="Corrected")
    assert full.run().queued == 2
    _set(full, seats=0)
    full.writes()
    assert full.run().sent == 2
    assert {body["MISID"]: body["LastName"] for _, body in full.writes()} == {
        "L10": "Corrected",
        "L11": "Example-L11",
    }
    assert full.run().is_in_sync
    assert "L9" not in {user.misid for user in full.onefile.world.users.values()}


def test_a_queued_record_that_changed_is_not_covered_by_the_approval(full: College) -> None:
    full.with_policy(limits=FixedLimits(0))
    full.correct("L10", surname="Corrected")
    done = full.run()
    assert done.state is RunState.AWAITING_APPROVAL
    assert (done.waiting, done.queued) == (1, 2)
    _set(full, seats=0)
    full.writes()
    full.run()
    assert sorted(_created(full)) == ["L11", "L9"]


def test_after_a_day_what_is_queued_waits_for_another_approval(full: College) -> None:
    full.with_policy(limits=FixedLimits(0))
    full.clock.go_on(hours=23)
    assert full.run().refused == 1
    full.clock.go_on(hours=2)
    full.writes()
    done = full.run()
    assert (done.state, done.waiting) == (RunState.AWAITING_APPROVAL, 3)
    assert full.writes() == []
    _set(full, seats=0)
    _approve(full)
    assert full.run().sent == 3


def test_a_run_about_one_record_tries_that_one(full: College) -> None:
    _set(full, seats=0)
    full.writes()
    done = full.run(scope=Scope.of(["L11"]))
    assert (done.sent, _created(full)) == (1, ["L11"])
    assert _suspended(full) == []
    # The refused ones are released, and all are sent under the approval.
    full.with_policy(limits=FixedLimits(0))
    assert full.run().sent == 7
    assert full.run().is_in_sync


def test_retry_puts_the_refused_records_into_the_queue(full: College) -> None:
    with full.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, full.clock()))
    done = full.run()
    assert (done.refused, done.queued, full.held) == (1, 8, {})
    _set(full, seats=0)
    assert full.run().sent == 8


def test_a_run_that_is_approved_beforehand_covers_what_it_leaves_queued(full: College) -> None:
    full.clock.go_on(hours=25)
    full.with_policy(limits=FixedLimits(0))
    assert full.run(approved_by="Ann").queued == 3
    full.clock.go_on(hours=20)
    _set(full, seats=0)
    assert full.run().sent == 3


def test_a_suspension_ends_when_nothing_is_left_of_it(full: College, events: list[Any]) -> None:
    full.withdraw(*(f"L{number}" for number in range(4, 12)))
    full.run()
    assert _suspended(full) == []
    (event,) = (each for each in events if each["event"] == "action_resumed")
    assert event["reason"] == "nothing is left of it"


def test_only_the_steps_that_are_tried_are_stored_while_suspended(full: College) -> None:
    number = full.run().run
    with full.context.store.reading() as connection:
        assert len(list(plan_steps.each_step(session_on(connection, ORGANISATION), number))) == 1


def test_learners_of_a_queued_assessor_are_queued_and_not_held(found: Found) -> None:
    college = found(strict=True)
    college.with_policy(max_in_flight=1)
    whole = Whole(college)
    whole.add(Role.PLACEMENT, "P1", Address="1 High Street")
    whole.add(Role.CLASSROOM, "C1")
    for number in range(8):
        whole.add(Role.ASSESSOR, f"T{number}", LastName="W" * 60)
        whole.learner(f"L{number}", DefaultAssessorMISID=f"T{number}", DefaultEmployerMISID=None)
    done = whole.run()
    assert (done.refused, done.queued) == (5, 6)
    assert {college.held.get(f"L{number}") for number in range(5)} == {"reference_not_found"}
    assert not {f"L{number}" for number in range(5, 8)} & college.held.keys()
    _set(college, strict=False)
    whole.run()
    assert whole.run().is_in_sync


def test_an_unreachable_onefile_suspends_nothing(found: Found) -> None:
    college = found()
    college.enrol(*_misids("L", 30))
    college.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User", times=None, retry_after_seconds=600))
    with pytest.raises(OneFileUnreachable):
        college.run()
    assert _suspended(college) == []


def test_what_is_queued_counts_as_unsent_and_as_a_condition(full: College) -> None:
    with full.context.store.reading() as connection:
        session = session_on(connection, ORGANISATION, full.clock())
        (since,) = (each.since for each in suspensions.listing(session))
        assert lag.oldest(connection, ORGANISATION)[lag.UnsentChange.QUEUED] == since
        condition = current_conditions(session)[Alert(AlertKind.SUSPENDED, "creates of learners")]
    assert "creates of learners are suspended" in condition.reason
    assert "3 are queued" in condition.reason
    assert "Example" not in condition.reason
