import pytest

from tests.simulator.conftest import ORGANISATION, Client


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
