from typing import Any

import pytest

from syncd.simulator import Seed, SeedRefused, Simulator
from tests.support.onefile import ORGANISATION, PLACEMENT

from .conftest import Client, Open, assessor, employer, learner


def test_another_process_can_read_the_journal_the_users_and_the_state(open_onefile: Open) -> None:
    client = open_onefile(keychain=True)
    client.post("/User", assessor())

    [call] = client.control("GET", "/journal").json()
    [user] = client.control("GET", "/users").json()
    state = client.control("GET", "/state").json()

    assert (call["path"], call["status"], call["is_write"]) == ("/User", 200, True)
    assert (user["MISID"], user["Archived"], user["Emails"]) == ("A1", False, 1)
    assert (state["users"], state["emails"], state["calls"], state["switches"]["keychain"]) == (1, 1, 1, True)


def test_control_returns_the_assignments_to_another_process(client: Client) -> None:
    staff, boss = client.create(assessor()), client.create(employer())
    number = client.create(learner(staff))
    client.post(f"/User/{staff}/Assign", {"LearnerID": number, "Level": 2, "UnitID": "KS_COMM1"})
    client.post(f"/User/{boss}/Assign", {"LearnerID": number, "Level": 1})
    client.post(f"/User/{boss}/AssignPlacement/{PLACEMENT}/true")

    assert client.control("GET", "/assignments").json() == {
        "people": [
            {"UserID": staff, "LearnerID": number, "Level": 2, "UnitID": "KS_COMM1"},
            {"UserID": boss, "LearnerID": number, "Level": 1},
        ],
        "placements": [{"UserID": boss, "PlacementID": PLACEMENT, "GrantAccess": True}],
    }


def test_another_process_can_add_a_seed(client: Client) -> None:
    seed: dict[str, Any] = {
        "organisations": [
            {"ID": ORGANISATION, "KeychainCreationForNewUserActive": True},
            {"ID": 6000, "Name": "Second"},
        ],
        "classrooms": [{"organisationid": 6000, "name": "Second class"}],
        "users": [{"OrganisationID": 6000, "Role": 1, "misid": "dirt", "Archived": True}],
    }

    assert client.control("POST", "/seed", seed).status_code == 204

    assert [row["KeychainCreationForNewUserActive"] for row in client.search("/Organisation/Search")] == [True, False]
    assert [row["Name"] for row in client.search("/Classroom/Search", OrganisationID=6000)] == ["Second class"]
    [user] = client.onefile.world.users_with_misid("dirt")
    assert user.is_archived
    assert client.get(f"/User/{user.id}").status_code == 200


def test_another_process_can_order_faults_and_take_them_back(client: Client) -> None:
    order = {"faults": [{"kind": "unavailable", "times": None}], "rate": 0.5, "seed": 1, "kinds": ["throttle"]}
    assert client.control("POST", "/faults", order).status_code == 204
    assert client.get("/Customer").status_code == 503

    assert client.control("DELETE", "/faults").status_code == 204

    assert {client.get("/Customer").status_code for _ in range(20)} == {200}


@pytest.mark.parametrize("order", [{"faults": [{"kind": "flood"}]}, {"faults": [{"x": 1}]}, {"rate": 7}, [], None])
def test_a_malformed_order_of_faults_is_400_with_a_sentence(client: Client, order: object) -> None:
    answer = client.control("POST", "/faults", order)

    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize(
    "seed",
    [
        [],
        {"people": []},
        {"users": {}},
        {"users": ["Ann"]},
        {"users": [{"Role": 1}]},
        {"users": [{"OrganisationID": ORGANISATION}]},
        {"users": [{"OrganisationID": ORGANISATION, "Role": 1, "ID": 0}]},
        {"organisations": [{"ID": "five"}]},
        {"organisations": [{"ID": ORGANISATION, "LearnerStatuses": ["Active"]}]},
        {"organisations": [{"ID": ORGANISATION, "LearnerStatuses": {"Name": "Active"}}]},
        {"organisations": [{"ID": ORGANISATION, "LearnerStatuses": [{"ID": 1}]}]},
        {"organisations": [{"ID": ORGANISATION, "LearnerStatuses": [{"ID": 0, "Name": "None"}]}]},
        {"organisations": [{"ID": ORGANISATION, "LearnerStatuses": [{"ID": 1, "Name": "A"}, {"ID": 1, "Name": "B"}]}]},
        {"classrooms": [{"OrganisationID": ORGANISATION}]},
        {"classrooms": [{"OrganisationID": ORGANISATION, "Name": "Twice", "ID": 15379}]},
    ],
    ids=str,
)
def test_a_malformed_seed_is_400_with_a_sentence(client: Client, seed: object) -> None:
    answer = client.control("POST", "/seed", seed)

    assert answer.status_code == 400
    assert answer.json()["message"]


def test_seed_with_its_own_organisations_starts_without_the_default_world() -> None:
    with Simulator(seed=Seed(organisations=({"ID": 1, "Name": "Only"},))) as onefile:
        onefile.sow({"users": [{"OrganisationID": 1, "Role": 5}]})
        assert list(onefile.world.organisations.by_id) == [1]
        assert not onefile.world.classrooms.by_id
        assert len(onefile.world.users) == 1

        with pytest.raises(SeedRefused):
            onefile.sow({"users": [{}]})
