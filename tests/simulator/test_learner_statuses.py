from typing import Any

import pytest

from tests.support.onefile import ORGANISATION

from .conftest import Client, Open, assessor, learner

TWO_CENTRES: dict[str, Any] = {
    "organisations": [
        {"ID": ORGANISATION, "Name": "Here", "LearnerStatuses": [{"Name": "Active"}, {"ID": 7, "Name": "Withdrawn"}]},
        {"ID": 6000, "Name": "Elsewhere", "LearnerStatuses": [{"Name": "On hold"}, {"Name": "Active"}]},
        {"ID": 6001, "Name": "Without"},
    ],
    "classrooms": [
        {"OrganisationID": number, "ID": 15379 + number - ORGANISATION, "Name": "Class"}
        for number in (ORGANISATION, 6001)
    ],
    "placements": [
        {"OrganisationID": number, "ID": 18928 + number - ORGANISATION, "Name": "Site"}
        for number in (ORGANISATION, 6001)
    ],
}


def _learner_without_a_list(client: Client) -> dict[str, Any]:
    staff = client.create(assessor(OrganisationID=6001))
    return learner(staff, OrganisationID=6001, ClassroomID=15379 + 261, PlacementID=18928 + 261)


def test_each_organisation_has_its_own_list_with_its_own_numbers(open_onefile: Open) -> None:
    client = open_onefile(seed=TWO_CENTRES)

    here = client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses")
    there = client.get("/organisation/6000/learnerstatuses")
    nowhere = client.get("/Organisation/6001/LearnerStatuses")

    assert here.status_code == 200
    assert here.json() == [{"ID": 1, "Name": "Active"}, {"ID": 7, "Name": "Withdrawn"}]
    assert there.json() == [{"ID": 1, "Name": "On hold"}, {"ID": 2, "Name": "Active"}]
    assert (nowhere.status_code, nowhere.json()) == (200, [])
    assert client.get("/Organisation/1/LearnerStatuses").status_code == 403
    assert client.onefile.journal.writes == []


def test_the_default_world_has_the_statuses_that_one_centre_was_seen_with(client: Client) -> None:
    rows = client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses").json()

    assert [row["Name"] for row in rows][:3] == ["Active", "Active - Cause for Concern", "Withdrawn"]


@pytest.mark.parametrize(("status", "answer"), [(7, 204), (0, 204), (2, 400), (-1, 400), ("7", 400)])
def test_a_learner_can_have_a_status_of_its_own_organisation_or_none(
    open_onefile: Open, status: object, answer: int
) -> None:
    client = open_onefile(seed=TWO_CENTRES)
    staff = client.create(assessor())
    number = client.create(learner(staff))

    updated = client.post(f"/User/{number}", {"LearnerStatusID": status})
    created = client.post("/User", learner(staff, LearnerStatusID=status))

    assert updated.status_code == answer
    assert created.status_code == (200 if answer == 204 else 400)
    assert client.get(f"/User/{number}").json().get("LearnerStatusID") == (status if answer == 204 else None)


def test_without_a_list_there_is_no_status_but_none(open_onefile: Open) -> None:
    client = open_onefile(seed=TWO_CENTRES)
    fields = _learner_without_a_list(client)

    assert client.post("/User", fields | {"LearnerStatusID": 1}).status_code == 400
    assert client.post("/User", fields | {"LearnerStatusID": 0}).status_code == 200


def test_a_later_seed_replaces_the_list_or_leaves_it(client: Client) -> None:
    before = client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses").json()

    client.onefile.sow({"organisations": [{"ID": ORGANISATION, "Name": "Renamed"}]})
    assert client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses").json() == before

    client.onefile.sow({"organisations": [{"ID": ORGANISATION, "LearnerStatuses": [{"ID": 40, "Name": "Left"}]}]})
    assert client.get(f"/Organisation/{ORGANISATION}/LearnerStatuses").json() == [{"ID": 40, "Name": "Left"}]
