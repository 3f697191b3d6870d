from typing import Any

import pytest

from syncd.simulator import MisidFilter
from tests.support.clocks import Clock
from tests.support.onefile import CLASSROOM, ORGANISATION, PLACEMENT

from .conftest import Client, Open, assessor, employer, learner

ALL_FIELDS: dict[str, dict[str, Any]] = {
    "Classroom": {
        "Name": "Café studies",
        "MISID": "C1",
        "StartOn": "2026-09-01T00:00:00",
        "Archive": False,
        "CompletionMessage": "Well done.\nGoodbye.",
        "SendCompletionMessage": True,
        "IVFinalSignOff": True,
    },
    "Placement": {
        "Name": "Café",
        "MISID": "P1",
        "Address": "1 High Street\nYork",
        "Active": True,
        "Contact": "Ann",
        "Email": "cafe@example.org",
        "Fax": "01904 1",
        "Telephone": "01904 2",
        "Web": "https://cafe.example",
    },
}
FLAG = {"Classroom": "Archive", "Placement": "Active"}


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("Classroom", {"ID": 15379, "Name": "Business Admin L2", "MISID": "BAD1"}),
        ("Placement", {"ID": 18928, "Name": "Default Placement", "MISID": "DEF"}),
    ],
)
def test_the_default_world_has_one_of_each(client: Client, kind: str, row: dict[str, object]) -> None:
    assert client.search(f"/{kind}/Search", OrganisationID=ORGANISATION) == [row]
    assert client.search(f"/{kind}/Search/1/10", Name=row["Name"]) == [row]
    assert client.get(f"/{kind}/{row['ID']}").json()["Name"] == row["Name"]


@pytest.mark.parametrize("kind", ["Classroom", "Placement"])
def test_a_create_answers_a_bare_integer_and_an_update_204(client: Client, kind: str) -> None:
    number = client.post(f"/{kind}", {"OrganisationID": ORGANISATION, "Name": "Café"}).json()
    assert isinstance(number, int)

    assert client.post(f"/{kind}/{number}", {"MISID": "C1", "OrganisationID": 1}).status_code == 204

    assert client.search(f"/{kind}/Search", MISID="C1") == [{"ID": number, "Name": "Café", "MISID": "C1"}]
    assert client.get(f"/{kind}/{number}").json()["OrganisationID"] == ORGANISATION


@pytest.mark.parametrize("kind", ["Classroom", "Placement"])
def test_what_cannot_be_is_refused(client: Client, kind: str) -> None:
    assert client.post(f"/{kind}", {"OrganisationID": ORGANISATION}).status_code == 400
    assert client.post(f"/{kind}", {"Name": "Nowhere"}).status_code == 400
    assert client.post(f"/{kind}", {"Name": "Elsewhere", "OrganisationID": 1}).status_code == 403
    assert client.post(f"/{kind}", {"Name": "X", "OrganisationID": ORGANISATION, "Shoe": 44}).status_code == 400
    assert client.get(f"/{kind}/1").status_code == 404
    assert client.post(f"/{kind}/1", {"Name": "X"}).status_code == 404


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_a_place_read_by_id_has_every_field_it_was_given(client: Client, kind: str) -> None:
    fields = ALL_FIELDS[kind]
    number = client.post(f"/{kind}", {"OrganisationID": ORGANISATION, **fields}).json()

    assert client.get(f"/{kind}/{number}").json() == {"ID": number, "OrganisationID": ORGANISATION, **fields}

    changes = {FLAG[kind]: not fields[FLAG[kind]], "Name": "Renamed", "MISID": "X1"}
    assert client.post(f"/{kind}/{number}", changes).status_code == 204
    assert client.get(f"/{kind}/{number}").json() == {
        "ID": number,
        "OrganisationID": ORGANISATION,
        **fields,
        **changes,
    }


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_flags_are_booleans_and_by_a_switch_are_read_as_texts(open_onefile: Open, kind: str) -> None:
    for is_on, read in ((False, [True, False]), (True, ["true", "false"])):
        client = open_onefile(flags_as_text=is_on)
        fields = {"OrganisationID": ORGANISATION, "Name": "X"}
        assert client.post(f"/{kind}", fields | {FLAG[kind]: "true"}).status_code == 400

        numbers = [client.post(f"/{kind}", fields | {FLAG[kind]: flag}).json() for flag in (True, False)]

        assert [client.get(f"/{kind}/{number}").json()[FLAG[kind]] for number in numbers] == read


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_names_and_misids_need_not_be_unique(open_onefile: Open, kind: str) -> None:
    client = open_onefile(refuse_duplicate_misid=True)
    fields = {"OrganisationID": ORGANISATION, "Name": "Twice", "MISID": "T"}

    first, second = (client.post(f"/{kind}", fields).json() for _ in range(2))

    assert [row["ID"] for row in client.search(f"/{kind}/Search", Name="Twice", MISID="T")] == [first, second]


def test_a_placement_with_people_can_be_made_inactive_and_a_class_archived(client: Client) -> None:
    client.create(employer())
    number = client.create(learner(client.create(assessor())))

    assert client.post(f"/Placement/{PLACEMENT}", {"Active": False}).status_code == 204
    assert client.post(f"/Classroom/{CLASSROOM}", {"Archive": True}).status_code == 204

    assert client.get(f"/Placement/{PLACEMENT}").json()["Active"] is False
    assert [row["ID"] for row in client.search("/Placement/Search", OrganisationID=ORGANISATION)] == [PLACEMENT]
    assert client.get(f"/User/{number}").json()["PlacementID"] == PLACEMENT


@pytest.mark.parametrize("kind", ALL_FIELDS)
@pytest.mark.parametrize("nothing", [None, ""])
def test_clearing_a_places_field_is_ignored_unless_switched_on(
    open_onefile: Open, kind: str, nothing: str | None
) -> None:
    for is_on in (False, True):
        client = open_onefile(clearing=is_on)
        number = client.post(f"/{kind}", {"OrganisationID": ORGANISATION, **ALL_FIELDS[kind]}).json()

        assert client.post(f"/{kind}/{number}", {"MISID": nothing}).status_code == 204

        assert ("MISID" in client.get(f"/{kind}/{number}").json()) is not is_on
        assert client.post(f"/{kind}/{number}", {"Name": nothing}).status_code == (400 if is_on else 204)


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_a_new_place_is_found_only_after_the_lag_but_can_be_read_at_once(
    open_onefile: Open, clock: Clock, kind: str
) -> None:
    client = open_onefile(search_lag_seconds=30)
    number = client.post(f"/{kind}", {"OrganisationID": ORGANISATION, "Name": "New"}).json()
    clock.go_on(seconds=29)
    assert client.search(f"/{kind}/Search", Name="New") == []
    assert len(client.search(f"/{kind}/Search")) == 1
    assert client.get(f"/{kind}/{number}").status_code == 200

    clock.go_on(seconds=1)

    assert [row["ID"] for row in client.search(f"/{kind}/Search", Name="New")] == [number]


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_the_misid_filter_of_places_may_be_a_prefix_or_ignored(open_onefile: Open, kind: str) -> None:
    found = {}
    for how in MisidFilter:
        client = open_onefile(misid_filter=how)
        for misid in ("P1", "P11"):
            client.post(f"/{kind}", {"OrganisationID": ORGANISATION, "Name": misid, "MISID": misid})
        found[how] = len(client.search(f"/{kind}/Search", MISID="P1"))

    assert found == {
        MisidFilter.EXACT: 1,
        MisidFilter.ANY_CASE: 1,
        MisidFilter.PREFIX: 2,
        MisidFilter.IGNORED: 3,
    }


@pytest.mark.parametrize("kind", ALL_FIELDS)
def test_places_know_no_date_of_change_and_no_type(client: Client, kind: str) -> None:
    answer = client.post(f"/{kind}/Search", {"OrganisationID": ORGANISATION, "LastModified": "2026-01-01T00:00:00Z"})

    assert answer.status_code == 400
    assert "LastModified" not in client.get(f"/{kind}/{client.search(f'/{kind}/Search')[0]['ID']}").json()
    assert client.post(f"/{kind}", {"OrganisationID": ORGANISATION, "Name": "X", "Type": "Branch"}).status_code == 400
