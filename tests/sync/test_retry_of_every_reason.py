"""'syncd retry MISID' does what the advice for a held record's reason says."""

from datetime import timedelta

import pytest

from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason
from syncd.core.run import Trigger
from syncd.simulator import Fault, FaultKind
from syncd.state import held_records
from syncd.state.held_records import Selection
from syncd.sync.reasons import HELD
from syncd.sync.run import run_once
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)


def _retry(college: College, selection: Selection) -> int:
    with college.context.store.begin() as connection:
        return held_records.retry(
            session_on(connection, ORGANISATION, cipher=college.context.store.cipher, at=college.clock.now), selection
        )


@pytest.mark.parametrize("reason", HELD)
def test_retry_by_misid_works_for_just_the_reasons_that_advise_it(found: Found, reason: Reason) -> None:
    college = found()
    college.with_policy(longest_search_lag=timedelta(days=1))
    if reason is Reason.IN_DOUBT:
        college.enrol("L1")
        college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, method="POST", path="/User"))
        college.run()
        college.run()
    else:
        with college.context.store.begin() as connection:
            session = session_on(connection, ORGANISATION, cipher=college.context.store.cipher)
            hold = Held(
                *Key(ORGANISATION, Role.LEARNER, "L1"), "learners", reason, "", "a test", fingerprint="f", user_id=9
            )
            held_records.hold(session, hold)
    assert college.held == {"L1": reason}

    retried = _retry(college, Selection(["L1"]))

    assert retried == int("'syncd retry MISID'" in HELD[reason].remedy)


@pytest.mark.parametrize("trigger", [Trigger.COMMAND, Trigger.SCHEDULE])
@pytest.mark.parametrize("selection", [Selection(["L1"]), Selection(reason=Reason.SEARCH_MISMATCH)])
def test_retry_of_a_search_mismatch_makes_the_search_again(
    found: Found, selection: Selection, trigger: Trigger
) -> None:
    college = found()
    college.enrol(*(f"K{number}" for number in range(60)))
    college.run()
    names = {"FirstName": "Ann", "LastName": "Example-L1", "Email": "ann@example.org"}
    ids = {"DefaultAssessorID": ASSESSOR, "ClassroomID": CLASSROOM, "PlacementID": PLACEMENT}
    account = {"ID": 400_000, "OrganisationID": ORGANISATION, "Role": 1, "MISID": "L1", **names, **ids}
    college.onefile.sow({"users": [account]})
    college.enrol("L1")
    row = {"ID": 400_001, "FirstName": "Cy", "LastName": "Other", "MISID": "L7"}
    college.onefile.faults.add(Fault(FaultKind.ANSWER, path="/User/Search/*", body=[row]))
    college.run()
    assert (college.held, _retry(college, Selection())) == ({"L1": "search_mismatch"}, 0)

    assert _retry(college, selection) == 1

    assert run_once(college.context, trigger).is_in_sync
    assert college.known_id("L1") == 400_000
