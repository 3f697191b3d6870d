from typing import Any

import pytest

from syncd.simulator import MisidFilter, MisidForm, NameFilter, OverCap
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION

from .conftest import Client, Open, assessor


def _crowd(size: int) -> dict[str, Any]:
    return {
        "users": [
            {
                "OrganisationID": ORGANISATION,
                "Role": 5,
                "FirstName": "Ann",
                "LastName": f"No {number}",
                "MISID": f"A{number}",
            }
            for number in range(1, size + 1)
        ]
    }


def test_a_row_has_four_fields_and_no_misid_when_there_is_none(client: Client) -> None:
    named, nameless = client.create(assessor()), client.create(assessor(MISID=""))

    assert client.search("/User/Search/1/10", OrganisationID=ORGANISATION, Role=5) == [
        {"ID": named, "FirstName": "Ann", "LastName": "Example", "MISID": "A1"},
        {"ID": nameless, "FirstName": "Ann", "LastName": "Example"},
    ]


def test_paged_searches_can_give_full_rows(open_onefile: Open) -> None:
    client = open_onefile(full_rows=True)
    client.create(assessor())

    assert "Email" in client.search("/User/Search/1/10")[0]
    assert "Email" not in client.search("/User/Search")[0]


@pytest.mark.parametrize("path", ["/User/Search", "/User/Search/1/10", "/Classroom/Search", "/Placement/Search"])
def test_a_search_that_finds_nothing_is_204_without_a_body(client: Client, path: str) -> None:
    answer = client.post(path, {"OrganisationID": ORGANISATION, "MISID": "nobody"})

    assert (answer.status_code, answer.content) == (204, b"")


def test_pages_start_at_1_and_end_with_a_204(open_onefile: Open) -> None:
    client = open_onefile(seed=_crowd(5))

    pages = [client.search(f"/User/Search/{page}/2", Role=5) for page in (1, 2, 3, 4)]

    assert [[row["MISID"] for row in page] for page in pages] == [["A1", "A2"], ["A3", "A4"], ["A5"], []]
    assert client.post("/User/Search/0/2", {}).status_code == 400
    assert client.post("/User/Search/1/0", {}).status_code == 400


def test_unpaged_search_returns_all_users_despite_the_page_cap(open_onefile: Open) -> None:
    assert len(open_onefile(seed=_crowd(120)).search(Role=5)) == 120


def test_a_page_over_the_cap_is_refused_or_silently_smaller(open_onefile: Open) -> None:
    refusing = open_onefile(seed=_crowd(120))
    clamping, cutting = (open_onefile(seed=_crowd(120), over_cap=how) for how in (OverCap.CLAMP, OverCap.CUT))

    assert refusing.post("/User/Search/1/101", {}).status_code == 400
    assert len(clamping.search("/User/Search/1/101")) == len(cutting.search("/User/Search/1/101")) == 100
    assert len(clamping.search("/User/Search/2/101")) == 20
    assert [row["MISID"] for row in cutting.search("/User/Search/2/105")] == [f"A{n}" for n in range(106, 121)]


def test_the_misid_filter_is_exact_or_a_prefix_or_ignored(open_onefile: Open) -> None:
    found = {
        how: [row["MISID"] for row in open_onefile(seed=_crowd(11), misid_filter=how).search(Role=5, MISID="A1")]
        for how in MisidFilter
    }

    assert found[MisidFilter.EXACT] == ["A1"]
    assert found[MisidFilter.PREFIX] == ["A1", "A10", "A11"]
    assert len(found[MisidFilter.IGNORED]) == 11


def test_the_misid_filter_may_find_a_misid_in_any_letter_case(open_onefile: Open) -> None:
    client = open_onefile(seed=_crowd(2), misid_filter=MisidFilter.ANY_CASE)
    assert [row["MISID"] for row in client.search(Role=5, MISID="a1")] == ["A1"]


def test_the_name_filters_are_exact_loose_a_prefix_ignored_or_refused(open_onefile: Open) -> None:
    people = [("Zoë", "Lee"), ("ZOE", "Lee"), ("Zoëlle", "Leeds"), ("Zoë", "Other")]
    seed = {
        "users": [
            {"OrganisationID": ORGANISATION, "Role": 5, "FirstName": first, "LastName": last} for first, last in people
        ]
    }
    clients = {how: open_onefile(seed=seed, name_filter=how) for how in NameFilter}

    found = {
        how: [row["FirstName"] for row in client.search(Role=5, FirstName="Zoë", LastName="Lee")]
        for how, client in clients.items()
        if how is not NameFilter.REFUSED
    }

    assert found == {
        NameFilter.EXACT: ["Zoë"],
        NameFilter.LOOSE: ["Zoë", "ZOE"],
        NameFilter.PREFIX: ["Zoë", "Zoëlle"],
        NameFilter.IGNORED: ["Zoë", "ZOE", "Zoëlle", "Zoë"],
    }
    assert clients[NameFilter.REFUSED].post("/User/Search", {"Role": 5, "FirstName": "Zoë"}).status_code == 400


def test_filters_on_names_email_and_placement_must_all_fit(client: Client) -> None:
    number = client.create(assessor(LastName="Other", Email="Other@example.org"))
    client.create(assessor())

    assert [row["ID"] for row in client.search(FirstName="Ann", LastName="Other")] == [number]
    assert [row["ID"] for row in client.search(Email="other@EXAMPLE.org")] == [number]
    assert client.search(PlacementID=18928) == []
    assert client.post("/User/Search", {"Shoe": "44"}).status_code == 400


def test_last_modified_finds_what_changed_since_then_inclusive(client: Client, clock: Clock) -> None:
    number = client.create(assessor())
    clock.go_on(seconds=3600)
    client.create(assessor())
    assert len(client.search(LastModified="2026-01-15T12:00:00Z")) == 2
    assert len(client.search(LastModified="2026-01-15T12:00:01Z")) == 1

    client.post(f"/User/{number}/Archive")

    assert len(client.search(LastModified="2026-01-15T13:00:00+00:00")) == 2


def test_archived_users_leave_searches_by_role_and_no_others(client: Client, open_onefile: Open) -> None:
    number = client.create(assessor())
    client.post(f"/User/{number}/Archive")

    assert client.search(OrganisationID=ORGANISATION, Role=5, MISID="A1") == []
    assert [row["ID"] for row in client.search(MISID="A1")] == [number]

    showing = open_onefile(archived_in_searches=True)
    showing.post(f"/User/{showing.create(assessor())}/Archive")
    assert len(showing.search(Role=5)) == 1


def test_a_new_user_is_found_only_after_the_lag_but_can_be_read_at_once(open_onefile: Open, clock: Clock) -> None:
    client = open_onefile(seed=_crowd(1), search_lag_seconds=30)
    number = client.create(assessor(MISID="new"))
    clock.go_on(seconds=29)
    assert client.search(MISID="new") == []
    assert len(client.search(Role=5)) == 1
    assert client.get(f"/User/{number}").status_code == 200

    clock.go_on(seconds=1)

    assert len(client.search(MISID="new")) == 1


def test_searches_can_give_misids_of_digits_as_numbers(open_onefile: Open) -> None:
    client = open_onefile(misid_form=MisidForm.NUMBER)
    for misid in ("00123", "A1", ""):
        client.create(assessor(MISID=misid))

    assert [row.get("MISID") for row in client.search()] == [123, "A1", None]
    assert client.search(MISID="123") == []
    assert [row["MISID"] for row in client.search(MISID="00123")] == [123]


def test_shuffled_searches_give_the_same_rows_in_other_orders(open_onefile: Open) -> None:
    client = open_onefile(seed=_crowd(20), shuffle=True)

    first, second = client.search(Role=5), client.search(Role=5)

    assert first != second
    assert sorted(row["ID"] for row in first) == sorted(row["ID"] for row in second)


def test_organisations_show_their_keychain_settings(open_onefile: Open) -> None:
    client = open_onefile(keychain=True)

    [row] = client.search("/Organisation/Search", CustomerID=2070)

    assert row == {
        "ID": ORGANISATION,
        "Name": "Example Organisation - Business",
        "KeychainCreationForNewUserActive": True,
        "KeychainEmailSuppression": False,
    }
    assert client.get(f"/Organisation/{ORGANISATION}").json() == row
