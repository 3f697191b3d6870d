"""A person whose MISID changes keeps the account."""

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.core.scope import Scope
from syncd.errors import NothingToSettle
from syncd.operations.rekey import Move, rekey_plan
from syncd.simulator import Fault, FaultKind
from syncd.state import held_records
from syncd.state.held_records import Selection
from syncd.sync.run import RunResult, execute
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, born AS DOB,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN = "9276308686"


@pytest.fixture
def college(found: Found) -> College:
    college = found()
    college.add_columns("uln", "born")
    college.with_feed(_FEED)
    college.enrol("OLD", surname="Pryce", uln=_ULN, born="1999-02-28")
    college.enrol("L2", surname="Lee")
    assert college.run().is_in_sync
    college.writes()
    return college


def _rekey(college: College, *moves: tuple[str, str], approved_by: str = "") -> RunResult:
    plan = rekey_plan([Move(Role.LEARNER, old, new) for old, new in moves])
    return execute(college.context, Trigger.REKEY, plan, approved_by=approved_by)


@pytest.mark.parametrize(
    "now",
    [
        {"uln": _ULN, "born": None, "forename": "Siân", "surname": "Married"},
        {"uln": None, "born": "1999-02-28", "surname": "PRYCE"},
    ],
    ids=["the same ULN", "the same names and day of birth"],
)
def test_new_record_that_matches_leaver_is_held_naming_both_misids(
    college: College, now: dict[str, str | None]
) -> None:
    college.withdraw("OLD")
    college.enrol("NEW", **now)

    for _ in range(2):
        assert not college.run().is_in_sync
        assert college.held == {"NEW": "rekeyed?"}
    assert "rekey OLD NEW" in college.detail("NEW")
    assert college.writes() == []


def test_a_rekey_is_one_call_and_carries_account_and_history_over(college: College) -> None:
    user_id = college.known_id("OLD")
    college.withdraw("OLD")
    college.enrol("NEW", surname="Married", uln=_ULN, born="1999-02-28")
    college.run()

    assert _rekey(college, ("OLD", "NEW")).is_in_sync

    assert college.writes() == [(f"/User/{user_id}", {"MISID": "NEW"})]
    assert (college.known_id("OLD"), college.known_id("NEW")) == (None, user_id)
    assert college.run().is_in_sync
    assert college.writes() == [(f"/User/{user_id}", {"LastName": "Married", "Email": "NEW@students.example.org"})]
    assert college.held == {}


def test_held_record_confirmed_as_new_by_retry_gets_own_account(college: College) -> None:
    college.withdraw("OLD")
    college.enrol("NEW", uln=_ULN)
    college.run()
    with college.context.store.begin() as connection:
        assert held_records.retry(session_on(connection, ORGANISATION, college.clock.now), Selection(["NEW"])) == 1

    assert college.run().is_in_sync

    assert len(college.in_onefile("NEW")) == 1
    assert college.known_id("OLD") != college.known_id("NEW")
    assert college.run().calls == 0


def test_new_record_that_matches_current_learner_is_created(college: College) -> None:
    college.enrol("NEW", surname="Pryce", uln=_ULN, born="1999-02-28")
    assert college.run().is_in_sync
    assert len(college.in_onefile("NEW")) == 1


def test_leaver_that_may_be_rekeyed_is_not_archived(college: College) -> None:
    college.with_policy(archives_leavers=True)
    college.withdraw("OLD")
    college.enrol("NEW", uln=_ULN)
    college.run()
    college.clock.sleep(30 * 86_400)
    college.run()
    assert not college.in_onefile("OLD")[0].is_archived


def test_a_rekey_whose_answer_was_lost_is_not_taken_for_a_second_account(college: College) -> None:
    user_id = college.known_id("OLD")
    college.withdraw("OLD")
    college.enrol("NEW", surname="Pryce", uln=_ULN, born="1999-02-28")
    college.onefile.faults.add(Fault(FaultKind.ERROR_AFTER, path=f"/User/{user_id}", times=3))
    assert _rekey(college, ("OLD", "NEW")).in_doubt == 1
    assert college.in_onefile("NEW")

    assert college.run().is_in_sync

    assert (college.known_id("OLD"), college.known_id("NEW")) == (None, user_id)
    assert [user.id for user in college.in_onefile("NEW")] == [user_id]


def test_known_account_found_under_another_misid_is_not_linked_twice(college: College) -> None:
    college.onefile.world.users[college.known_id("L2") or 0].values["MISID"] = "L3"
    college.enrol("L3", surname="Somebody", forename="Else")
    assert not college.run().is_in_sync
    assert college.held == {"L3": "ambiguous"}
    assert "L2" in college.detail("L3")


@pytest.mark.parametrize(
    ("moves", "sentence"),
    [
        ([("NOBODY", "NEW")], "no account for the Learner NOBODY"),
        ([("old", "NEW")], "no account for the Learner old; did you mean OLD?"),
        ([("OLD", "L2")], "L2 is the MISID of another account"),
        ([("OLD", "GONE")], "No feed has the Learner GONE"),
        ([("OLD", "0new")], "No feed has the Learner 0new; did you mean NEW?"),
        ([("OLD", "TAKEN")], "UserID 400000"),
        ([("OLD", "NEW"), ("L2", "NEW")], "NEW is listed 2 times"),
        ([("OLD", "NEW"), ("OLD", "NEW2")], "OLD is listed 2 times"),
    ],
)
def test_a_rekey_that_cannot_be_meant_changes_nothing(
    college: College, moves: list[tuple[str, str]], sentence: str
) -> None:
    college.onefile.sow({"users": [{"ID": 400_000, "OrganisationID": ORGANISATION, "Role": 1, "MISID": "TAKEN"}]})
    college.enrol("NEW", "TAKEN")
    with pytest.raises(NothingToSettle, match=sentence):
        _rekey(college, *moves)
    assert college.writes() == []


def test_mass_misid_change_is_stopped_and_rekeyed_in_one_approved_run(found: Found) -> None:
    college = found()
    college.add_columns("uln", "born")
    college.with_feed(_FEED)
    people = [(f"OLD{number}", f"NEW{number}") for number in range(30)]
    for number, (old, _) in enumerate(people):
        college.enrol(old, surname=f"Pryce{number}", born="1999-02-28")
    assert college.run().is_in_sync
    ids = {new: college.known_id(old) for old, new in people}
    college.with_policy(limits=Limits(percent=10, floor=5))
    for number, (old, new) in enumerate(people):
        college.withdraw(old)
        college.enrol(new, surname=f"Pryce{number}", born="1999-02-28", email=f"{old}@students.example.org")
    college.writes()

    assert college.run().state is RunState.AWAITING_APPROVAL
    assert college.writes() == []
    assert _rekey(college, *people).state is RunState.AWAITING_APPROVAL
    assert _rekey(college, *people, approved_by="an officer").is_in_sync

    assert len(college.writes()) == 30
    assert college.run().is_in_sync
    assert college.writes() == []
    assert {new: college.known_id(new) for _, new in people} == ids


@pytest.mark.parametrize("polls", [0, 2])
@pytest.mark.parametrize("fault", [FaultKind.ERROR_AFTER, FaultKind.DROP_BEFORE])
def test_interrupted_rekey_of_several_people_is_completed_by_a_second_one(
    college: College, fault: FaultKind, polls: int
) -> None:
    moves = [("OLD", "NEW"), ("L2", "N2"), ("L3", "N3")]
    college.enrol("L3", surname="Third")
    college.run()
    ids = {new: college.known_id(old) for old, new in moves}
    for old, new in moves:
        college.execute("UPDATE person SET misid = :new WHERE misid = :old", {"old": old, "new": new})
    college.onefile.faults.add(Fault(fault, path=f"/User/{ids['N2']}", times=3))
    first = _rekey(college, *moves)
    assert first.in_doubt == 1 or first.state is not RunState.FINISHED
    college.onefile.faults.clear()
    for _ in range(polls):
        college.run()

    for _ in range(2):
        assert _rekey(college, *moves).is_in_sync

    assert {new: college.known_id(new) for new in ids} == ids
    assert [college.known_id(old) for old, _ in moves] == [None] * 3


def test_a_run_for_the_new_misid_alone_makes_no_second_account_either(college: College) -> None:
    college.withdraw("OLD")
    college.enrol("NEW", surname="Pryce", uln=_ULN, born="1999-02-28")

    college.run(scope=Scope.of(["NEW"]))

    assert college.held == {"NEW": "rekeyed?"}
    assert college.writes() == []
