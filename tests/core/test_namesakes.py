"""Accounts and places in OneFile that may be those of new records."""

import pytest

from syncd.core.fields import Role
from syncd.core.namesakes import Namesakes, Unlinked
from syncd.core.records import Reason
from tests.support.records import College, key, person, place


def _found(namesakes: Namesakes, misid: str = "N1", first: str = "Ann Marie", last: str = "Nowak") -> list[int]:
    record = person(misid, Role.LEARNER, FirstName=first, LastName=last)
    return sorted(one.onefile_id for one in namesakes.of(record))


@pytest.mark.parametrize(
    ("first", "last", "is_one"),
    [
        ("Ann Marie", "Nowak", True),
        ("ann-marie", "NOWAK", True),
        ("AnnMarie", "Nowak", True),
        ("Nowak", "Ann Marie", True),
        ("Marie", "Ann Nowak", True),
        ("Ann", "Nowak", True),
        ("Annie", "Nowak", False),
        ("Ann Marie", "Nowak-Smith", True),
        ("Ann Marie", "Smith", False),
        ("Annette", "Nowak-Smith", False),
        ("Ann Marie", "", False),
        ("", "", False),
        ("?", "-", False),
    ],
)
def test_namesakes_have_names_that_fit_in_any_case_and_order(first: str, last: str, is_one: bool) -> None:
    assert _found(Namesakes([Unlinked.user(7, "", first, last)])) == ([7] if is_one else [])


def test_other_values_of_the_record_do_not_contradict_equal_names() -> None:
    record = person("N1", Role.LEARNER, FirstName="Ann", LastName="Nowak", DOB="2001-06-01", ULN="9276308686")
    assert [one.onefile_id for one in Namesakes([Unlinked.user(7, "", "Ann", "Nowak")]).of(record)] == [7]


@pytest.mark.parametrize(
    ("misid", "is_one"), [("n1", True), ("00N1", True), ("N 1", True), ("N10", False), ("", False)]
)
def test_a_misid_that_looks_alike_is_enough(misid: str, is_one: bool) -> None:
    assert _found(Namesakes([Unlinked.user(7, misid, "Other", "Person")])) == ([7] if is_one else [])


def test_each_of_several_is_found_once() -> None:
    several = Namesakes([Unlinked.user(number, "n1", "Ann Marie", "Nowak") for number in (7, 8)])
    assert _found(several) == [7, 8]
    assert several
    assert not Namesakes([])


@pytest.mark.parametrize(
    ("name", "misid", "is_one"),
    [
        ("St. Mary's", "ZZ", True),
        ("ST MARYS", "", True),
        ("St. Mark's", "ZZ", False),
        ("St. Mark's", "p01", False),
        ("St. Mark's", "0P1", True),
        ("...", "", False),
    ],
)
def test_a_place_is_found_by_its_name_or_a_misid_that_looks_alike(name: str, misid: str, is_one: bool) -> None:
    namesakes = Namesakes([Unlinked.place(7, misid, name)])
    assert [one.onefile_id for one in namesakes.of(place("P1", "St Mary's"))] == ([7] if is_one else [])
    assert list(namesakes.of(place("P2", "--"))) == []


def test_the_detail_of_a_held_record_says_what_onefile_has() -> None:
    college = College(likely_accounts={key("A1"): (7,), key("A2"): (7, 8), key("P1", Role.PLACEMENT): (9,)})

    plan = college.plan(place("P1", "Site"), person("A1"), person("A2"), person("A3"))

    assert [create.key.misid for create in plan.creates] == ["A3"]
    assert {(hold.reason, hold.misid, hold.user_id) for hold in plan.held} == {
        (Reason.HAS_AN_ACCOUNT, "P1", 9),
        (Reason.HAS_AN_ACCOUNT, "A1", 7),
        (Reason.HAS_AN_ACCOUNT, "A2", None),
    }
    details = {hold.misid: hold.detail for hold in plan.held}
    assert "a Placement that may be this one" in details["P1"]
    assert ": ID 9. 'syncd link'" in details["P1"]
    assert "an account that may be this person's" in details["A1"]
    assert ": UserID 7. 'syncd link'" in details["A1"]
    assert ": UserIDs 7, 8. 'syncd link'" in details["A2"]
