from typing import Any

import pytest

from syncd.simulator import Fault, FaultKind
from syncd.simulator.models import Assignment
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION, PLACEMENT

from .conftest import Client, Open, assessor, employer, learner, observer

ELSEWHERE: dict[str, Any] = {
    "organisations": [{"ID": 6000, "Name": "Elsewhere"}],
    "placements": [{"OrganisationID": 6000, "ID": 2, "Name": "There"}],
    "users": [
        {"OrganisationID": 6000, "Role": 1, "ID": 1, "FirstName": "Other", "LastName": "Learner"},
        {"OrganisationID": 6000, "Role": 5, "ID": 2, "FirstName": "Other", "LastName": "Assessor"},
    ],
}

LEVEL: dict[int, dict[str, object]] = {
    1: {"Level": 1},
    2: {"Level": 2, "UnitID": "KS_COMM1"},
    3: {"Level": 3, "StandardID": 17},
}


def _pair(client: Client, staff: dict[str, Any] | None = None) -> tuple[int, int]:
    """A learner, and somebody to be assigned to it."""
    number = client.create(learner(client.create(assessor())))
    return client.create(staff or assessor(MISID="A2")), number


@pytest.mark.parametrize(("level", "part"), [(1, {}), (2, {"unit_id": "KS_COMM1"}), (3, {"standard_id": 17})])
def test_the_one_in_the_path_is_assigned_to_the_learner_in_the_body(
    client: Client, level: int, part: dict[str, Any]
) -> None:
    staff, number = _pair(client)

    answer = client.post(f"/User/{staff}/Assign", {"LearnerID": number, **LEVEL[level]})

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.onefile.world.assignments == {Assignment(staff, number, level, **part)}


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize(
    ("staff", "levels"),
    [
        (assessor(Role=4), {1, 2, 3}),
        (assessor(Role=5), {1, 2, 3}),
        (assessor(Role=10), {1, 2, 3}),
        (employer(), {1}),
        (observer(), {1}),
    ],
    ids=["trainee assessor", "assessor", "IQA", "employer", "observer"],
)
def test_each_level_is_for_some_roles(client: Client, level: int, staff: dict[str, Any], levels: set[int]) -> None:
    assignee, number = _pair(client, staff)

    answer = client.post(f"/User/{assignee}/Assign", {"LearnerID": number, **LEVEL[level]})

    assert answer.status_code == (204 if level in levels else 400)
    assert len(client.onefile.world.assignments) == (level in levels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"LearnerID": None},
        {"LearnerID": "1"},
        {"LearnerID": 999},
        {"LearnerID": 1},
        {"LearnerID": 2},
        {"Level": None},
        {"Level": 0},
        {"Level": 4},
        {"Level": "1"},
        {"Level": True},
        {"Level": 2},
        {"Level": 3},
        {"Level": 2, "UnitID": 17},
        {"Level": 2, "StandardID": 17},
        {"Level": 3, "StandardID": "KS_COMM1"},
        {"Level": 3, "UnitID": "KS_COMM1", "StandardID": 17},
        {"Level": 1, "UnitID": "KS_COMM1"},
        {"Role": 5},
    ],
    ids=str,
)
def test_an_assign_that_cannot_be_is_400_and_changes_nothing(client: Client, wrong: dict[str, object]) -> None:
    client.onefile.sow(ELSEWHERE)
    staff, number = _pair(client)

    answer = client.post(f"/User/{staff}/Assign", {"LearnerID": number, "Level": 1} | wrong)

    assert answer.status_code == 400
    assert client.onefile.world.assignments == set()


def test_an_assignee_is_an_active_user_of_the_learners_organisation(client: Client) -> None:
    client.onefile.sow(ELSEWHERE)
    staff, number = _pair(client)
    client.post(f"/User/{staff}/Archive")
    body = {"LearnerID": number, "Level": 1}

    assert client.post(f"/User/{staff}/Assign", body).status_code == 400
    assert client.post("/User/2/Assign", body).status_code == 400
    assert client.post("/User/999/Assign", body).status_code == 404
    assert client.onefile.world.assignments == set()


def test_assignment_to_an_archived_learner_is_refused(client: Client) -> None:
    staff, number = _pair(client)
    client.post(f"/User/{number}/Archive")

    assert client.post(f"/User/{staff}/Assign", {"LearnerID": number, "Level": 1}).status_code == 400


def test_the_learner_can_be_the_one_in_the_path_by_a_switch(open_onefile: Open) -> None:
    client = open_onefile(learner_in_assign_path=True)
    staff, number = _pair(client)

    assert client.post(f"/User/{staff}/Assign", {"LearnerID": number, "Level": 1}).status_code == 400
    assert client.post(f"/User/{number}/Assign", {"LearnerID": staff, "Level": 1}).status_code == 204

    assert client.onefile.world.assignments == {Assignment(staff, number, level=1)}


@pytest.mark.parametrize("is_on", [False, True])
def test_one_id_in_both_places_is_400_in_either_reading(open_onefile: Open, is_on: bool) -> None:
    client = open_onefile(learner_in_assign_path=is_on)

    for number in _pair(client):
        assert client.post(f"/User/{number}/Assign", {"LearnerID": number, "Level": 1}).status_code == 400


def test_an_assign_can_be_repeated_and_is_a_call_each_time(client: Client, clock: Clock) -> None:
    staff, number = _pair(client)
    body = {"LearnerID": number, "Level": 1}
    client.onefile.journal.clear()
    assert client.post(f"/User/{staff}/Assign", body).status_code == 204
    changed = client.get(f"/User/{number}").json()["LastModified"]
    clock.go_on(seconds=60)

    assert client.post(f"/User/{staff}/Assign", body).status_code == 204

    assert len(client.onefile.world.assignments) == 1
    assert [call.status for call in client.onefile.journal.writes] == [204, 204]
    assert client.get(f"/User/{number}").json()["LastModified"] == changed


def test_a_form_and_names_in_any_case_work_too(client: Client) -> None:
    staff, number = _pair(client)

    answer = client.send_form(f"/user/{staff}/assign", {"learnerID": str(number), "level": "3", "standardid": "17"})

    assert answer.status_code == 204
    assert client.onefile.world.assignments == {Assignment(staff, number, 3, standard_id=17)}


@pytest.mark.parametrize(("grant", "grants_access"), [("true", True), ("False", False)])
def test_an_employer_gets_a_placement_beside_its_own(client: Client, grant: str, grants_access: bool) -> None:
    number = client.create(employer())
    other = client.post("/Placement", {"OrganisationID": ORGANISATION, "Name": "Second site"}).json()

    answer = client.post(f"/User/{number}/AssignPlacement/{other}/{grant}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.onefile.world.placement_access == {(number, other): grants_access}
    assert client.get(f"/User/{number}").json()["PlacementID"] == PLACEMENT


def test_what_was_said_last_of_an_employer_and_a_placement_holds(client: Client, clock: Clock) -> None:
    number = client.create(employer())
    path = f"/User/{number}/AssignPlacement/{PLACEMENT}"
    clock.go_on(seconds=60)
    assert client.post(f"{path}/false").status_code == 204
    assert client.post(f"{path}/true").status_code == 204
    clock.go_on(seconds=60)
    assert client.post(f"{path}/true").status_code == 204

    assert client.onefile.world.placement_access == {(number, PLACEMENT): True}
    assert client.get(f"/User/{number}").json()["LastModified"] == "2026-01-15T12:01:00"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/{PLACEMENT}/yes", 400),
        (f"/{PLACEMENT}/1", 400),
        (f"/{PLACEMENT}", 404),
        ("/999/true", 404),
        ("/2/true", 400),
    ],
)
def test_an_assign_of_a_placement_that_cannot_be_is_refused(client: Client, path: str, status: int) -> None:
    client.onefile.sow(ELSEWHERE)
    number = client.create(employer())

    assert client.post(f"/User/{number}/AssignPlacement{path}").status_code == status
    assert client.onefile.world.placement_access == {}


def test_an_unknown_placement_can_be_400(open_onefile: Open) -> None:
    client = open_onefile(unknown_id_status=400)
    number = client.create(employer())

    assert client.post(f"/User/{number}/AssignPlacement/999/true").status_code == 400


def test_placements_are_assigned_to_active_employers_only(client: Client) -> None:
    staff = client.create(assessor())
    for number in (staff, client.create(learner(staff)), client.create(observer()), client.create(employer())):
        client.post(f"/User/{number}/Archive")
        assert client.post(f"/User/{number}/AssignPlacement/{PLACEMENT}/true").status_code == 400, number
    assert client.post(f"/User/{client.create(observer())}/AssignPlacement/{PLACEMENT}/true").status_code == 400
    assert client.post(f"/User/999/AssignPlacement/{PLACEMENT}/true").status_code == 404


@pytest.mark.parametrize("status", [200, 204])
def test_the_answer_to_what_was_done_is_204_or_else_200_without_a_body(open_onefile: Open, status: int) -> None:
    client = open_onefile(done_status=status)
    boss, number = _pair(client, employer())

    answers = [
        client.post(f"/User/{boss}/Assign", {"LearnerID": number, "Level": 1}),
        client.post(f"/User/{boss}/AssignPlacement/{PLACEMENT}/true"),
        client.post(f"/User/{number}/Archive"),
        client.post(f"/User/{number}/Unarchive"),
    ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(status, b"")] * 4
    assert client.post(f"/User/{number}", {"MISID": "L2"}).status_code == 204


def test_a_default_employer_needs_no_assignment_unless_switched_on(client: Client, open_onefile: Open) -> None:
    boss, number = _pair(client, employer())
    assert client.post(f"/User/{number}", {"DefaultEmployerID": boss}).status_code == 204

    strict = open_onefile(employer_must_be_assigned=True)
    boss, number = _pair(strict, employer())
    other = strict.create(learner(strict.create(assessor())))
    strict.post(f"/User/{boss}/Assign", {"LearnerID": other, "Level": 1})
    assert strict.post(f"/User/{number}", {"DefaultEmployerID": boss}).status_code == 400
    assert strict.post("/User", learner(boss - 1, DefaultEmployerID=boss)).status_code == 400
    assert strict.post(f"/User/{number}", {"Telephone": "1"}).status_code == 204

    strict.post(f"/User/{boss}/Assign", {"LearnerID": number, "Level": 1})

    assert strict.post(f"/User/{number}", {"DefaultEmployerID": boss}).status_code == 204


@pytest.mark.parametrize(
    ("kind", "is_done"), [(FaultKind.ERROR_BEFORE, False), (FaultKind.ERROR_AFTER, True), (FaultKind.THROTTLE, False)]
)
@pytest.mark.parametrize("what", ["Assign", f"AssignPlacement/{PLACEMENT}/true"])
def test_faults_strike_assignments_too(client: Client, kind: FaultKind, is_done: bool, what: str) -> None:
    boss, number = _pair(client, employer())
    client.onefile.faults.add(Fault(kind, path="/User/*/Assign*"))

    assert client.post(f"/User/{boss}/{what}", {"LearnerID": number, "Level": 1}).status_code in {429, 500}

    world = client.onefile.world
    assert bool(world.assignments or world.placement_access) is is_done
    assert client.onefile.journal.calls[-1].fault == kind.value


def test_assignment_calls_need_a_session_and_count_to_the_rate_limit(open_onefile: Open) -> None:
    client = open_onefile(calls_per_minute=1)

    def answers() -> set[int]:
        return {
            client.post("/User/1/Assign", {}).status_code,
            client.post(f"/User/1/AssignPlacement/{PLACEMENT}/true").status_code,
            client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses").status_code,
        }

    assert answers() == {429}
    client.onefile.expire_sessions()
    assert answers() == {401}
