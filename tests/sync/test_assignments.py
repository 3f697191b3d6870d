"""Employers with their placements, and who is assigned to a learner: each step made once, in order, and remembered."""

from typing import Any

import pytest

from syncd.core.fields import Referent, Role
from syncd.core.records import Code
from syncd.simulator import Fault, FaultKind
from syncd.state import held_records
from syncd.state.held_records import Selection
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .whole import Whole


@pytest.fixture
def whole(found: Found) -> Whole:
    """A OneFile that lets nobody be the default employer who is not assigned, as its own pages do (§11)."""
    return _college(found, employer_must_be_assigned=True)


def _college(found: Found, **switches: Any) -> Whole:
    whole = Whole(found(**switches))
    whole.add_everything()
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
    whole.links = {Role.EMPLOYER: [("L1", "E1")], Role.IQA: [("L1", "Q1")]}
    return whole


def test_every_step_is_made_in_the_order_that_onefile_wants(whole: Whole) -> None:
    done = whole.run()

    assert done.is_in_sync
    placement, employer = whole.id_of(Role.PLACEMENT, "P1"), whole.id_of(Role.EMPLOYER, "E1")
    iqa, learner = whole.id_of(Role.IQA, "Q1"), whole.id_of(Role.LEARNER, "L1")
    told = whole.told
    create = next(body for _, body in told if body.get("MISID") == "L1")
    assert "DefaultEmployerID" not in create
    steps = [(path, body) for path, body in told if path not in {"/User", "/Placement", "/Classroom"}]
    assert steps[0] == (f"/User/{employer}/AssignPlacement/{placement}/false", {})
    assert sorted(steps[1:3]) == sorted(
        (f"/User/{user}/Assign", {"LearnerID": learner, "Level": 1}) for user in (employer, iqa)
    )
    assert steps[3:] == [(f"/User/{learner}", {"DefaultEmployerID": employer})]


def test_what_is_assigned_is_remembered_and_not_sent_again(whole: Whole) -> None:
    whole.run()

    assert whole.run().calls == 0
    # OneFile knows no way to take an assignment back, so that one which comes back is there still.
    whole.links[Role.IQA].clear()
    done = whole.run()
    assert (done.calls, done.warnings) == (0, 1)
    whole.links[Role.IQA] = [("L1", "Q1")]
    done = whole.run()
    assert (done.calls, done.warnings) == (0, 0)


def test_new_placement_is_sent_to_the_employer_and_access_granted_again(whole: Whole) -> None:
    whole.add(Role.PLACEMENT, "P2")
    whole.run()
    whole.forget()

    whole.people[Role.EMPLOYER][0]["PlacementMISID"] = "P2"
    whole.run()

    employer, placement = whole.id_of(Role.EMPLOYER, "E1"), whole.id_of(Role.PLACEMENT, "P2")
    assert whole.told == [
        (f"/User/{employer}", {"PlacementID": placement}),
        (f"/User/{employer}/AssignPlacement/{placement}/false", {}),
    ]
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "yes"
    whole.run()
    assert whole.told == [(f"/User/{employer}/AssignPlacement/{placement}/true", {})]
    assert whole.run().calls == 0


def test_another_employer_is_assigned_before_it_is_the_default(whole: Whole) -> None:
    whole.add(Role.EMPLOYER, "E2", PlacementMISID="P1")
    whole.run()
    whole.forget()

    whole.people[Role.LEARNER][0] |= {"DefaultEmployerMISID": "E2", "LastName": "Married"}
    whole.links[Role.EMPLOYER].append(("L1", "E2"))
    whole.run()

    learner, employer = whole.id_of(Role.LEARNER, "L1"), whole.id_of(Role.EMPLOYER, "E2")
    assert whole.told == [
        (f"/User/{employer}/Assign", {"LearnerID": learner, "Level": 1}),
        (f"/User/{learner}", {"LastName": "Married", "DefaultEmployerID": employer}),
    ]


@pytest.mark.parametrize("path", ["/User/*/Assign", "/User/*/AssignPlacement/*", "/User/300???"])
@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER])
def test_lost_step_is_repeated_by_the_next_run_before_the_later_steps(whole: Whole, kind: FaultKind, path: str) -> None:
    whole.college.onefile.faults.add(Fault(kind, path=path, times=3))

    whole.run()
    done = whole.run()
    done = whole.run() if not done.is_in_sync else done

    assert done.is_in_sync
    world = whole.college.onefile.world
    learner, employer = whole.id_of(Role.LEARNER, "L1"), whole.id_of(Role.EMPLOYER, "E1")
    assert world.users[learner].values["DefaultEmployerID"] == employer
    assert {each.user_id for each in world.assignments} == {employer, whole.id_of(Role.IQA, "Q1")}
    assert world.placement_access == {(employer, whole.id_of(Role.PLACEMENT, "P1")): False}
    assert whole.run().calls == 0


def test_refused_assignment_is_held_and_its_default_employer_left_out(whole: Whole) -> None:
    whole.run()
    whole.forget()
    world = whole.college.onefile.world
    whole.add(Role.EMPLOYER, "E2", PlacementMISID="P1")
    whole.run()
    world.users[whole.id_of(Role.EMPLOYER, "E2")].is_archived = True
    whole.forget()

    whole.people[Role.LEARNER][0]["DefaultEmployerMISID"] = "E2"
    whole.links[Role.EMPLOYER].append(("L1", "E2"))
    done = whole.run()

    assert (done.refused, whole.college.held) == (1, {"L1": "refused"})
    assert "E2" in whole.college.detail("L1")
    whole.forget()
    assert whole.run().calls == 0, "it is not sent again by itself"
    world.users[whole.id_of(Role.EMPLOYER, "E2")].is_archived = False
    with whole.college.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, whole.college.clock()), Selection(["L1"]))
    assert whole.run().is_in_sync
    learner, employer = whole.id_of(Role.LEARNER, "L1"), whole.id_of(Role.EMPLOYER, "E2")
    assert [path for path, _ in whole.told] == [f"/User/{employer}/Assign", f"/User/{learner}"]


def test_assignment_of_an_unknown_person_is_held_and_others_are_made(whole: Whole) -> None:
    whole.links[Role.IQA] += [("L1", "Q8"), ("L1", "Q9"), ("L404", "Q1")]

    whole.run()

    held = whole.college.held
    assert held == {"L1": "reference_not_found", "L404": "reference_not_found"}
    assert all(misid in whole.college.detail("L1") for misid in ("Q8", "Q9"))
    assert {each.user_id for each in whole.college.onefile.world.assignments} >= {whole.id_of(Role.IQA, "Q1")}


def test_the_learner_may_be_in_the_path(found: Found) -> None:
    whole = _college(found, learner_in_assign_path=True)
    whole.college.with_policy(learner_in_assign_path=True)

    assert whole.run().is_in_sync

    assert len(whole.college.onefile.world.assignments) == 2


def test_a_default_stands_in_where_the_mis_says_nothing(found: Found) -> None:
    whole = Whole(found())
    whole.add_everything()
    whole.add(Role.PLACEMENT, "AT-COLLEGE", Name="At college")
    whole.learner("L2", PlacementMISID=None)
    whole.college.with_policy(defaults={"PlacementID": Code(Referent.PLACEMENT, "Name", "At college")})

    assert whole.run().is_in_sync

    placed = [whole.college.in_onefile(misid)[0].values["PlacementID"] for misid in ("L1", "L2")]
    assert placed == [whole.id_of(Role.PLACEMENT, "P1"), whole.id_of(Role.PLACEMENT, "AT-COLLEGE")]


def test_default_assessor_may_be_an_account_created_by_the_same_run(found: Found) -> None:
    whole = Whole(found())
    whole.add_everything()
    whole.learner("L2", DefaultAssessorMISID=None)
    whole.college.with_policy(defaults={"DefaultAssessorID": Code(Referent.ASSESSOR, "Name", "Ann Example-A9")})

    assert whole.run().is_in_sync

    (learner,) = whole.college.in_onefile("L2")
    assert learner.values["DefaultAssessorID"] == whole.id_of(Role.ASSESSOR, "A9")
    assert whole.run().calls == 0
    whole.add(Role.ASSESSOR, "A8", LastName="Example-A9")
    whole.learner("L3", DefaultAssessorMISID=None)
    whole.run()
    assert whole.college.held == {"L2": "ambiguous", "L3": "ambiguous"}
