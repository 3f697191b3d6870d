"""Places, staff, employers and learners in one pass, and what happens when one of them changes."""

from datetime import timedelta

import pytest

from syncd.cli.plan import Shown, print_plan
from syncd.core.fields import Referent, Role
from syncd.core.records import Code
from syncd.core.run import Trigger
from syncd.operations.rekey import Move, rekey_plan
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.state import changes
from syncd.sync.decide import decide
from syncd.sync.planner import make_plan
from syncd.sync.run import execute
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .whole import Whole


@pytest.fixture
def whole(found: Found) -> Whole:
    whole = Whole(found())
    whole.add_everything()
    return whole


def test_first_run_creates_places_and_people_in_dependency_order(whole: Whole) -> None:
    done = whole.run()

    assert done.is_in_sync
    assert [path for path, _ in whole.told] == ["/Placement", "/Classroom", "/User", "/User", "/User", "/User"]
    (learner,) = whole.college.in_onefile("L1")
    assert learner.values["DefaultAssessorID"] == whole.id_of(Role.ASSESSOR, "A9")
    assert learner.values["DefaultEmployerID"] == whole.id_of(Role.EMPLOYER, "E1")
    assert learner.values["ClassroomID"] == whole.id_of(Role.CLASSROOM, "C1")
    assert learner.values["PlacementID"] == whole.id_of(Role.PLACEMENT, "P1")


def test_the_next_pass_has_nothing_to_do_and_touches_no_account(whole: Whole) -> None:
    whole.run()

    done = whole.run()

    assert (done.calls, done.unchanged, done.is_in_sync) == (0, 6, True)


def test_refused_assessor_holds_only_its_learners_until_corrected(found: Found) -> None:
    whole = Whole(found(strict=True))
    whole.add_everything()
    assessor = whole.add(Role.ASSESSOR, "A8", LastName="Longest" * 10)
    whole.learner("L2", DefaultAssessorMISID="A8")
    whole.learner("L3", DefaultAssessorMISID="A8")

    whole.run()

    assert whole.college.held == {"A8": "refused", "L2": "reference_not_found", "L3": "reference_not_found"}
    assert all("A8" in whole.college.detail(misid) for misid in ("L2", "L3"))
    assert whole.run().sent == 0, "nothing has changed"
    assessor["LastName"] = "Long"
    assert whole.told[-1][1]["MISID"] == "L1"
    done = whole.run()

    assert done.is_in_sync
    first, *others = [body["MISID"] for _, body in whole.told]
    assert (first, sorted(others)) == ("A8", ["L2", "L3"])


@pytest.mark.parametrize(
    ("column", "field", "role", "misid"),
    [
        ("DefaultAssessorMISID", "DefaultAssessorID", Role.ASSESSOR, "A7"),
        ("ClassroomMISID", "ClassroomID", Role.CLASSROOM, "C7"),
        ("PlacementMISID", "PlacementID", Role.PLACEMENT, "P7"),
        ("DefaultEmployerMISID", "DefaultEmployerID", Role.EMPLOYER, "E7"),
    ],
)
def test_another_reference_is_an_update_of_one_field(
    whole: Whole, column: str, field: str, role: Role, misid: str
) -> None:
    whole.add(role, misid, **({"PlacementMISID": "P1"} if role is Role.EMPLOYER else {}))
    whole.run()
    whole.forget()

    whole.people[Role.LEARNER][0][column] = misid
    done = whole.run()

    learner = whole.id_of(Role.LEARNER, "L1")
    assert whole.told == [(f"/User/{learner}", {field: whole.id_of(role, misid)})]
    assert done.calls == 1
    assert whole.run().calls == 0


@pytest.mark.parametrize("role", [Role.CLASSROOM, Role.PLACEMENT])
def test_so_is_another_one_that_is_given_by_its_name(whole: Whole, role: Role) -> None:
    row = whole.people[Role.LEARNER][0]
    row |= {f"{role}MISID": None, f"{role}Name": f"{role} {row[f'{role}MISID']}"}
    whole.add(role, "X7")
    whole.run()
    whole.forget()

    row[f"{role}Name"] = f"{role} X7"
    done = whole.run()

    learner = whole.id_of(Role.LEARNER, "L1")
    assert whole.told == [(f"/User/{learner}", {f"{role}ID": whole.id_of(role, "X7")})]
    assert done.calls == 1


def test_a_place_that_is_only_renamed_changes_nothing_of_its_learners(whole: Whole) -> None:
    row = whole.people[Role.LEARNER][0]
    del row["ClassroomMISID"]
    row["ClassroomName"] = "Classroom C1"
    whole.run()
    whole.forget()

    whole.people[Role.CLASSROOM][0]["Name"] = row["ClassroomName"] = "Bricklaying, evenings"
    done = whole.run()

    classroom = whole.id_of(Role.CLASSROOM, "C1")
    assert whole.told == [(f"/Classroom/{classroom}", {"Name": "Bricklaying, evenings"})]
    assert done.is_in_sync
    assert whole.run().calls == 0


def test_places_that_onefile_has_already_are_linked_by_their_name(whole: Whole) -> None:
    world = whole.college.onefile.world
    place = world.placements.create({"OrganisationID": ORGANISATION, "Name": "Placement P1"})

    done = whole.run()

    assert done.is_in_sync
    assert whole.id_of(Role.PLACEMENT, "P1") == place.id
    assert (f"/Placement/{place.id}", {"MISID", "Name", "Address"}) in [(path, {*body}) for path, body in whole.told]


def test_place_with_ambiguous_name_is_held_with_its_learners(whole: Whole) -> None:
    world = whole.college.onefile.world
    for _ in range(2):
        world.classrooms.create({"OrganisationID": ORGANISATION, "Name": "Classroom C1"})

    whole.run()

    assert whole.college.held == {"C1": "ambiguous", "L1": "reference_not_found"}


def test_an_answer_lost_to_the_making_of_a_place_does_not_make_it_twice(whole: Whole) -> None:
    whole.college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/Placement", times=1))

    whole.run()
    assert whole.college.in_doubt == 1
    done = whole.run()

    assert done.is_in_sync
    places = [place.values["Name"] for place in whole.college.onefile.world.placements.by_id.values()]
    assert places.count("Placement P1") == 1
    assert whole.run().calls == 0


def test_role_change_creates_new_account_and_reassigns_learners(whole: Whole) -> None:
    whole.people[Role.TRAINEE_ASSESSOR] = whole.people.pop(Role.ASSESSOR)
    whole.add(Role.ASSESSOR, "A8")
    whole.run()
    before = whole.id_of(Role.TRAINEE_ASSESSOR, "A9")
    whole.forget()

    whole.add(Role.TRAINEE_ASSESSOR, "A5")
    whole.people[Role.ASSESSOR] += [row for row in whole.people[Role.TRAINEE_ASSESSOR] if row["MISID"] == "A9"]
    whole.people[Role.TRAINEE_ASSESSOR] = [row for row in whole.people[Role.TRAINEE_ASSESSOR] if row["MISID"] != "A9"]
    done = whole.run(approved_by="a test")

    after = whole.id_of(Role.ASSESSOR, "A9")
    learner = whole.id_of(Role.LEARNER, "L1")
    assert after != before
    assert (f"/User/{learner}", {"DefaultAssessorID": after}) in whole.told
    assert done.left == 1
    assert whole.run().calls == 0


def test_plan_and_history_show_role_changes_and_plan_counts_default_uses(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.add(Role.TRAINEE_ASSESSOR, "T1")
    whole.add(Role.TRAINEE_ASSESSOR, "T2")
    whole.run()
    whole.people[Role.ASSESSOR].append(whole.people[Role.TRAINEE_ASSESSOR].pop())
    for misid in ("L2", "L3"):
        whole.learner(misid, PlacementMISID=None)
    whole.college.with_policy(defaults={"PlacementID": Code(Referent.PLACEMENT, "MISID", "P1")})
    whole.write()

    print_plan(
        Shown(ORGANISATION, decide(whole.college.context, make_plan(whole.college.context), Trigger.COMMAND), 4.9, 300)
    )

    said = capsys.readouterr().out
    assert "T2 was Trainee Assessor and is now Assessor" in said
    assert "2 learners would use the default placement." in said
    whole.run()
    with whole.college.context.store.begin() as connection:
        messages = [row.message for row in changes.history(session_on(connection, ORGANISATION), "T2")]
    assert messages == ["", "was Trainee Assessor until now: another role is another account"]


def test_a_learner_status_is_given_by_its_name(found: Found) -> None:
    whole = Whole(found())
    whole.add_everything()
    organisation = whole.college.onefile.world.organisations.by_id[ORGANISATION]
    whole.people[Role.LEARNER][0]["LearnerStatusName"] = "Withdrawn"

    whole.run()

    (learner,) = whole.college.in_onefile("L1")
    assert organisation.learner_statuses[learner.values["LearnerStatusID"]] == "Withdrawn"
    whole.people[Role.LEARNER][0]["LearnerStatusName"] = "No such status"
    whole.run()
    assert whole.college.held == {}
    assert whole.college.warnings == {"L1": ("reference_not_found", "LearnerStatusID")}


def test_place_edited_by_hand_is_drift_and_verify_fix_restores_it(whole: Whole) -> None:
    whole.run()
    whole.forget()
    classroom = whole.id_of(Role.CLASSROOM, "C1")
    whole.college.onefile.world.classrooms.by_id[classroom].values["Name"] = "Renamed by hand"

    verified = verify_once(whole.college.context, Trigger.VERIFY, fix=True)

    assert [(one.key.role, one.key.misid, one.fields) for one in verified.drift] == [(Role.CLASSROOM, "C1", ("Name",))]
    assert verified.left == ()
    assert whole.told == [(f"/Classroom/{classroom}", {"Name": "Classroom C1"})]
    assert whole.run().calls == 0


def test_place_with_new_misid_is_held_as_rekeyed_and_keeps_id_on_rekey(whole: Whole) -> None:
    whole.add(Role.CLASSROOM, "C2")
    whole.run()
    before = whole.id_of(Role.CLASSROOM, "C2")

    whole.people[Role.CLASSROOM][1]["MISID"] = "C2-2026"
    whole.run()
    assert whole.college.held == {"C2-2026": "rekeyed?"}
    whole.forget()
    move = Move(Role.CLASSROOM, "C2", "C2-2026")
    execute(whole.college.context, Trigger.REKEY, rekey_plan([move]))

    assert whole.told == [(f"/Classroom/{before}", {"MISID": "C2-2026"})]
    assert whole.run().is_in_sync
    assert whole.id_of(Role.CLASSROOM, "C2-2026") == before


def test_a_place_that_is_gone_from_the_mis_is_never_archived(whole: Whole) -> None:
    whole.add(Role.PLACEMENT, "P2")
    whole.run()
    whole.college.with_policy(archives_leavers=True, grace=timedelta())
    whole.forget()

    whole.people[Role.PLACEMENT].pop()
    for _ in range(2):
        done = whole.run()

    assert (done.left, whole.told) == (1, [])
