"""How likely two records are about one person."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.evidence import Evidence, Likeness, Traits, compare, is_replaced
from tests.support.cases import rows_of

ULN, OTHER_ULN = "9276308686", "1000000078"
BORN, OTHER_DAY = "2006-03-01", "2005-07-09"

_LIKENESS = {
    "same": Likeness.CERTAIN,
    "likely": Likeness.LIKELY,
    "possible": Likeness.POSSIBLE,
    "different": Likeness.CONTRADICTED,
}


def traits(first: str = "Mina", last: str = "Okafor", **fields: str) -> Traits:
    return Traits.from_fields({"FirstName": first, "LastName": last, **fields})


def likeness(one: Traits, other: Traits) -> Likeness:
    found = compare(one, other)
    assert compare(other, one).likeness is found.likeness, "the order of the two matters"
    return found.likeness


@pytest.mark.shared_data
def test_cases_of_pairs_are_judged_as_a_person_would() -> None:
    names = {"first": "FirstName", "last": "LastName", "dob": "DOB", "uln": "ULN", "nino": "NINO", "email": "Email"}
    rows = rows_of("pairs.csv")

    assert len(rows) >= 16
    for row in rows:
        one, other = (
            Traits.from_fields({field: row[f"{side}_{name}"] for name, field in names.items()}) for side in "ab"
        )
        assert likeness(one, other) is _LIKENESS[row["right"]], row["why"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # A number
        (traits(ULN=ULN), traits(ULN=ULN), Likeness.CERTAIN),
        (traits(ULN=ULN, DOB=BORN), traits(last="Ashdown", ULN=ULN, DOB=BORN), Likeness.CERTAIN),
        (traits(NINO="AB123456C"), traits(last="Ashdown", NINO="ab 12 34 56 c"), Likeness.LIKELY),
        (traits(ULN=ULN, DOB=BORN), traits("Tom", ULN=ULN, DOB=BORN), Likeness.LIKELY),
        (traits(ULN=ULN, NINO="AB123456C"), traits(ULN=ULN, NINO="AB123456D"), Likeness.LIKELY),
        (traits(ULN=ULN, DOB=BORN), traits("Tom", "Reed", ULN=ULN, DOB=OTHER_DAY), Likeness.POSSIBLE),
        (traits(ULN=ULN, Email="m@x.uk"), traits(ULN=OTHER_ULN, Email="m@x.uk"), Likeness.CONTRADICTED),
        (traits(ULN=""), traits(ULN=ULN), Likeness.POSSIBLE),
        # A DOB
        (traits(DOB=BORN), traits(DOB=f"{BORN}T00:00:00.000Z"), Likeness.CERTAIN),
        (traits(DOB="2006-05-31T23:00:00Z"), traits(DOB="2006-06-01"), Likeness.CERTAIN),
        (traits("Van An", "Nguyen", DOB=BORN), traits("Van", "An Nguyen", DOB=BORN), Likeness.CERTAIN),
        (traits(DOB=BORN), traits(last="Ashdown", DOB=BORN), Likeness.POSSIBLE),
        (traits(DOB=BORN, Email="m@x.uk"), traits(last="Ashdown", DOB=BORN, Email="M@x.uk"), Likeness.LIKELY),
        (traits("Mary", DOB=BORN), traits("Mary Jane", DOB=BORN), Likeness.LIKELY),
        (traits(last="Marsh", DOB=BORN), traits(last="Marsh-Dean", DOB=BORN), Likeness.LIKELY),
        (traits("Ann", DOB=BORN), traits("Ben", DOB=BORN), Likeness.CONTRADICTED),
        (traits(DOB="2006-03-01"), traits(DOB="2006-01-03"), Likeness.POSSIBLE),
        (traits(DOB="2006-03-01"), traits("Tom", DOB="2006-01-03"), Likeness.CONTRADICTED),
        (traits("", "", DOB=BORN), traits("", "", DOB=BORN), Likeness.CONTRADICTED),
        # An address
        (traits(Email="m@x.uk"), traits(Email="M@X.uk"), Likeness.LIKELY),
        (traits("Tom", Email="m@x.uk"), traits("Thomas", Email="m@x.uk"), Likeness.LIKELY),
        (traits(Email="m@x.uk"), traits(last="Ashdown", Email="m@x.uk"), Likeness.LIKELY),
        (traits("Ann", Email="m@x.uk"), traits("Ben", Email="m@x.uk"), Likeness.POSSIBLE),
        (traits(Email="office@x.uk"), traits("Tom", "Reed", Email="office@x.uk"), Likeness.CONTRADICTED),
        # Names alone
        (traits(), traits("MINA", "o\u2019kafor"), Likeness.POSSIBLE),
        (traits("Zo\u00eb", "\u0141ask"), traits("Zoe", "Lask"), Likeness.POSSIBLE),
        (traits(), traits(last="Ashdown"), Likeness.CONTRADICTED),
        (traits(DOB=BORN), traits(DOB=OTHER_DAY), Likeness.CONTRADICTED),
        (Traits(), Traits(), Likeness.CONTRADICTED),
    ],
)
def test_pair_has_the_likeness_of_the_rules(one: Traits, other: Traits, expected: Likeness) -> None:
    assert likeness(one, other) is expected


def test_evidence_names_fields_and_no_values() -> None:
    evidence = compare(traits(ULN=ULN, DOB=BORN), traits(last="Ashdown", ULN=ULN, DOB=BORN))

    assert str(evidence) == "FirstName, DOB and ULN equal, LastName differs"
    assert str(Evidence(Likeness.CONTRADICTED, (), ("LastName", "Email"))) == "LastName and Email differ"
    assert str(Evidence(Likeness.CONTRADICTED)) == "no field can be compared"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (traits(Email="a@x.uk"), traits("Tom", "Reed", Email="b@x.uk")),
        (traits(ULN=ULN, DOB=BORN), traits("Tom", "Reed", ULN=OTHER_ULN, DOB=OTHER_DAY)),
        # One field that both have is no evidence that it is one person.
        (traits(DOB=BORN, Email="a@x.uk"), traits("Tom", "Reed", DOB=BORN, Email="b@x.uk")),
        (traits(Email="a@x.uk"), traits("Tom", "Reed", Email="a@x.uk")),
        (traits(DOB=BORN, Email="a@x.uk"), traits("Tom", DOB=OTHER_DAY, Email="b@x.uk")),
        (traits(DOB=BORN, Email="a@x.uk"), traits(last="Reed", DOB=OTHER_DAY, Email="b@x.uk")),
        (traits(Email="a@x.uk"), traits("Tom", Email="b@x.uk")),
        (traits(), traits("Tom")),
        (traits(ULN=ULN, Email="a@x.uk"), traits(last="Reed", ULN=OTHER_ULN, Email="b@x.uk")),
        (traits(ULN=ULN, DOB=BORN, Email="a@x.uk"), traits(ULN=OTHER_ULN, DOB=OTHER_DAY, Email="b@x.uk")),
    ],
)
def test_values_of_another_person_are_recognised(before: Traits, now: Traits) -> None:
    assert is_replaced(before, now)
    assert is_replaced(now, before)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (traits(Email="a@x.uk"), traits(last="Ashdown", Email="b@x.uk")),
        (traits(ULN=ULN, DOB=BORN, Email="a@x.uk"), traits(last="Ashdown", ULN=ULN, DOB=BORN, Email="b@x.uk")),
        (traits(DOB=BORN), traits("Tom", DOB=BORN)),
        (traits(DOB=BORN), traits(DOB=OTHER_DAY)),
        (traits(ULN=ULN), traits(ULN=OTHER_ULN)),
        (traits(ULN="9999999999"), traits(ULN=ULN)),
        (traits(ULN=ULN, DOB=BORN), traits("Tom", "Reed", ULN=ULN, DOB=BORN)),
        (traits("Van An", "Nguyen"), traits("Nguyen", "Van An")),
        (traits(DOB="2006-03-01"), traits(DOB="2006-01-03")),
        (traits(Email="a@x.uk"), traits(Email="b@x.uk")),
        (traits(Email="a@x.uk"), traits("Tom", Email="a@x.uk")),
        (traits(), traits()),
        (Traits(), traits()),
    ],
)
def test_corrections_and_a_marriage_are_the_same_person(before: Traits, now: Traits) -> None:
    assert not is_replaced(before, now)


_values = st.builds(
    traits,
    st.sampled_from(["Ann", "Anna", "Ben", "\u0130da", ""]),
    st.sampled_from(["Reed", "Reed-Stone", "O'Neill", ""]),
    DOB=st.sampled_from(["", BORN, OTHER_DAY, "2006-01-03"]),
    ULN=st.sampled_from(["", ULN, OTHER_ULN, "9999999999"]),
    NINO=st.sampled_from(["", "AB123456C", "AB123456D"]),
    Email=st.sampled_from(["", "a@x.uk", "b@x.uk"]),
)


@given(_values, _values)
def test_order_of_two_people_does_not_matter_and_no_field_is_both(one: Traits, other: Traits) -> None:
    found = compare(one, other)

    assert likeness(one, other) is found.likeness
    assert not set(found.equal) & set(found.differ)


def test_strong_evidence_always_shares_a_mark() -> None:
    names = product(
        ["Ann", "Anna", "Jo Ann", "Ben"], ["Reed", "Reed-Stone", "Stone"], ["", BORN, "2006-01-03"], ["", "a@x.uk"]
    )
    people = [traits(first, last, DOB=dob, Email=email) for first, last, dob, email in names]
    strong = [(one, other) for one, other in product(people, people) if compare(one, other).likeness.is_strong]

    assert len(strong) > len(people)
    for one, other in strong:
        assert set(one.marks()) & set(other.marks())


@given(_values)
def test_nobody_is_another_person_than_themselves(one: Traits) -> None:
    assert not is_replaced(one, one)
    found: Any = compare(one, one)
    assert found.differ == ()
