"""Evidence about generated people: relatives, married names, short names, shared addresses, missing values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.evidence import Likeness, Traits, compare
from syncd.core.first_names import are_forms
from tests.support.people.pairs import KINDS, Pair, pair_of, pairs


def _traits(fields: dict[str, str]) -> Traits:
    return Traits.from_fields(fields)


@pytest.mark.parametrize("why", sorted(KINDS))
def test_pairs_of_each_kind_are_judged_as_people_judge_them(why: str) -> None:
    for seed in range(60):
        pair = pair_of(why, seed)
        assert compare(_traits(pair.a), _traits(pair.b)).likeness == pair.right, pair


@given(pairs)
def test_the_order_of_two_records_does_not_matter(pair: Pair) -> None:
    one, other = compare(_traits(pair.a), _traits(pair.b)), compare(_traits(pair.b), _traits(pair.a))
    assert one == other


@given(pairs)
def test_evidence_names_fields_that_both_records_have(pair: Pair) -> None:
    evidence = compare(_traits(pair.a), _traits(pair.b))
    named = [*evidence.equal, *evidence.differ]
    assert len({*named}) == len(named)
    assert {*named} <= pair.a.keys() & pair.b.keys()
    assert not any(value in str(evidence) for value in (*pair.a.values(), *pair.b.values()))


def _as_onefile_writes(fields: dict[str, str]) -> dict[str, object]:
    written: dict[str, object] = {name.upper(): f" {value} " for name, value in fields.items()}
    if "DOB" in fields:
        written["DOB"] = f"{fields['DOB']}T00:00:00.000Z"
    return {"ULN": None, "email": "", **written}


@given(pairs)
def test_how_values_are_written_does_not_change_the_evidence(pair: Pair) -> None:
    shouted = {name: value.upper() for name, value in pair.b.items()}
    expected = compare(_traits(pair.a), _traits(pair.b))
    assert compare(_traits(pair.a), Traits.from_fields(_as_onefile_writes(pair.b))) == expected
    assert compare(_traits(pair.a), _traits(shouted)) == expected


@given(pairs)
def test_people_who_are_likely_one_share_a_mark(pair: Pair) -> None:
    """Without it the two would never be compared."""
    if compare(_traits(pair.a), _traits(pair.b)).likeness in {Likeness.CERTAIN, Likeness.LIKELY}:
        assert {*_traits(pair.a).marks()} & {*_traits(pair.b).marks()}


@pytest.mark.parametrize(
    ("one", "other", "right"),
    [
        ("Thomas", "Tom", True),
        ("Margaret", "Maggie", True),
        ("William", "Bill", True),
        ("Elizabeth", "Beth", True),
        ("Muhammad", "Mohammed", True),
        ("Mary Jane", "Mary", True),
        ("Samuel", "Samantha", False),
        ("Oliver", "Olivia", False),
        ("Charlotte", "Chloë", False),
        ("Ann", "Tom", False),
        ("J", "John", False),
    ],
)
def test_first_names_are_forms_of_one_name_or_are_not(one: str, other: str, right: bool) -> None:
    twins = {"LastName": "Reed", "DOB": "2006-05-05", "Email": "reed@example.org"}
    evidence = compare(_traits({"FirstName": one, **twins}), _traits({"FirstName": other, **twins}))
    assert evidence.likeness == (Likeness.LIKELY if right else Likeness.CONTRADICTED)


_NAMES = st.sampled_from(["oliver", "olivia", "ollie", "olly", "livvy", "tommy", "thomas", "", "muhammad", "mohamed"])


@given(_NAMES, _NAMES)
def test_forms_go_both_ways_and_through_one_name_only(one: str, other: str) -> None:
    assert are_forms(one, other) == are_forms(other, one)
    assert are_forms(one, other) == any(
        {one, other} <= line
        for line in (
            {"oliver", "ollie", "olly"},
            {"olivia", "ollie", "olly", "livvy"},
            {"thomas", "tommy"},
            {"muhammad", "mohamed"},
        )
    )
