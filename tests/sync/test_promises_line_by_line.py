"""Lines that keep a promise by themselves: without one of them, a test here fails."""

import pytest

from syncd.core.guard import Limits
from syncd.core.run import RunState
from syncd.errors import AnotherRun, OneFileUnreachable
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals
from syncd.state.db.lock import Purpose, locked
from syncd.sync.run import RunResult
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_HOUR = 3600


@pytest.fixture
def approved(found: Found) -> College:
    """A college whose plan of two creates was too large, and has just been approved."""
    college = found()
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L1", "L2")
    assert college.run().state is RunState.AWAITING_APPROVAL
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "a person")
    college.writes()
    return college


def _assert_nothing_was_sent(college: College, done: RunResult) -> None:
    assert done.state is RunState.AWAITING_APPROVAL
    assert college.writes() == []


def test_an_approval_covers_no_more_than_the_run_it_names_had(approved: College) -> None:
    approved.enrol("L3", "L4")
    done = approved.run()

    assert (done.state, done.sent) == (RunState.AWAITING_APPROVAL, 2)
    assert [len(approved.in_onefile(misid)) for misid in ("L1", "L2", "L3", "L4")] == [1, 1, 0, 0]


def test_what_was_sent_under_an_approval_is_no_longer_covered_by_it(approved: College) -> None:
    approved.with_policy(max_in_flight=1)
    approved.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User", skip=1, times=None, retry_after_seconds=1))
    with pytest.raises(OneFileUnreachable):
        approved.run()
    assert [len(approved.in_onefile(misid)) for misid in ("L1", "L2")] == [1, 0]
    approved.onefile.faults.clear()
    approved.writes()

    approved.enrol("L3", "L4")
    done = approved.run()
    assert (done.state, done.sent) == (RunState.AWAITING_APPROVAL, 1)
    assert [len(approved.in_onefile(misid)) for misid in ("L2", "L3", "L4")] == [1, 0, 0]


def test_an_approval_holds_for_a_day(approved: College) -> None:
    approved.clock.sleep(23 * _HOUR)
    assert approved.run().is_in_sync


def test_an_approval_lapses_after_a_day(approved: College) -> None:
    approved.clock.sleep(24 * _HOUR)
    _assert_nothing_was_sent(approved, approved.run())


def test_second_writer_of_organisation_is_refused_until_first_finishes(found: Found) -> None:
    store = found().context.store
    with locked(store, ORGANISATION, Purpose.WRITING):
        with (
            pytest.raises(AnotherRun, match="Another run is in progress"),
            locked(store, ORGANISATION, Purpose.WRITING),
        ):
            pytest.fail("there are two of them")
        with locked(store, ORGANISATION + 1, Purpose.WRITING):
            pass
    with locked(store, ORGANISATION, Purpose.WRITING):
        pass
