"""Which of OneFile's accounts belongs to whom: a MISID decides, and all else is only proposed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.evidence import Likeness, Traits, fold
from syncd.core.fields import Role
from syncd.core.identity import Person
from syncd.core.matching import (
    Account,
    Mismatch,
    NewRecord,
    Proposal,
    by_misid,
    contradiction,
    duplicates,
    partly_alike,
    promising,
    propose,
)
from syncd.core.records import Key
from tests.support.records import key, person, place

_ULN: Final = "9276308686"
_DOB: Final = "2001-06-01"
_FIRST = st.sampled_from(["Siân", "Sian", "Ann", ""])
_LAST = st.sampled_from(["O'Brien", "O\u2019Brien", "Obrien", "Müller", "Smith", ""])
_EMAIL = st.sampled_from(["a@example.org", "A@EXAMPLE.ORG", "b@example.org", ""])
_DOBS = st.sampled_from(["2001-06-01T00:00:00.000Z", "2001-05-31T23:00:00.000Z", "2002-01-01T00:00:00", ""])
_ULNS = st.sampled_from([_ULN, "1000000055", "9999999999", ""])
_ROLES = st.sampled_from([Role.LEARNER, Role.ASSESSOR])


@st.composite
def _traits(draw: st.DrawFn) -> dict[str, Any]:
    drawn = {"FirstName": _FIRST, "LastName": _LAST, "Email": _EMAIL, "DOB": _DOBS, "ULN": _ULNS}
    return {name: draw(values) for name, values in drawn.items()}


@st.composite
def _records(draw: st.DrawFn) -> list[NewRecord]:
    rows = draw(st.lists(st.tuples(_ROLES, _traits()), max_size=6))
    return [_record(f"L{number}", role, **traits) for number, (role, traits) in enumerate(rows)]


@st.composite
def _accounts(draw: st.DrawFn) -> list[Account]:
    misids = st.sampled_from(["", "", "", "l0", "L1", "X"])
    rows = draw(st.lists(st.tuples(st.one_of(_ROLES, st.none()), misids, _traits()), max_size=6))
    return [_account(100 + number, role, misid, **traits) for number, (role, misid, traits) in enumerate(rows)]


def _record(misid: str, role: Role = Role.LEARNER, *placements: int, **traits: object) -> NewRecord:
    return NewRecord(Person(key(misid, role), Traits.from_fields(traits)), "", frozenset(placements))


def _account(
    user_id: int, role: Role | None = Role.LEARNER, misid: str = "", placement: int | None = None, **traits: object
) -> Account:
    return Account(user_id, role, misid, "", Traits.from_fields(traits), placement=placement)


def _said(proposals: Iterable[Proposal]) -> list[tuple[str, int, Likeness, bool]]:
    return [(one.key.misid, one.user_id, one.likeness, one.is_ambiguous) for one in proposals]


_ANN: Final[dict[str, Any]] = {
    "FirstName": "Ann",
    "LastName": "Example",
    "Email": "ann@example.org",
    "DOB": _DOB,
    "ULN": _ULN,
}


@given(_records(), _accounts())
def test_every_proposal_is_for_the_role_and_has_evidence(records: list[NewRecord], accounts: list[Account]) -> None:
    by_id = {account.user_id: account for account in accounts}
    for proposal in propose(records, accounts):
        account = by_id[proposal.user_id]
        assert account.may_be(proposal.key.role)
        assert account.misid == proposal.misid_in_onefile != proposal.key.misid
        assert proposal.likeness is not Likeness.CONTRADICTED
        assert proposal.evidence.equal


@given(_records(), _accounts())
def test_every_strong_likeness_is_proposed_or_outdone(records: list[NewRecord], accounts: list[Account]) -> None:
    proposals = propose(records, accounts)
    proposed = {(one.key, one.user_id) for one in proposals}
    strong = {one.key for one in proposals if one.likeness.is_strong}
    for record in records:
        for account in accounts:
            evidence = record.person.compare(account.as_person(record.key))
            if evidence.likeness.is_strong and account.may_be(record.key.role) and account.misid != record.key.misid:
                assert (record.key, account.user_id) in proposed or record.key in strong


@given(_records(), _accounts())
def test_nothing_is_prefilled_that_two_could_claim(records: list[NewRecord], accounts: list[Account]) -> None:
    proposals = propose(records, accounts)
    sure = [proposal for proposal in proposals if proposal.is_sure]
    assert all(proposal.likeness is Likeness.CERTAIN and "ULN" in proposal.evidence.equal for proposal in sure)
    for proposal in sure:
        rivals = (one for one in proposals if one.key == proposal.key or one.user_id == proposal.user_id)
        assert [one for one in rivals if one.likeness is Likeness.CERTAIN] == [proposal]


@given(_records(), _accounts(), st.randoms(use_true_random=False))
def test_the_order_of_records_and_accounts_has_no_effect(
    records: list[NewRecord], accounts: list[Account], random: Random
) -> None:
    one_way = propose(records, accounts)
    looked_at = {account.user_id for account in promising(records, accounts)}
    random.shuffle(records)
    random.shuffle(accounts)
    assert propose(records, accounts) == one_way
    assert {account.user_id for account in promising(records, accounts)} == looked_at


@given(_records(), _accounts())
def test_accounts_whose_names_fit_a_proposal_are_promising(records: list[NewRecord], accounts: list[Account]) -> None:
    short_rows = [replace(one, traits=replace(one.traits, email="", dob="", uln="")) for one in accounts]
    looked_at = {account.user_id for account in promising(records, short_rows)}
    fit = {one.user_id for one in propose(records, accounts) if {"FirstName", "LastName"} <= {*one.evidence.equal}}
    assert fit <= looked_at


@given(_records(), _accounts())
def test_misid_match_gives_each_account_to_at_most_one_record(
    records: list[NewRecord], accounts: list[Account]
) -> None:
    keys = [record.key for record in records]
    sorted_ = by_misid(keys, accounts, {100})
    assert all(times == 1 for times in Counter(sorted_.exact.values()).values())
    assert 100 not in sorted_.exact.values()
    by_id = {account.user_id: account for account in accounts}
    for who, user_id in sorted_.exact.items():
        assert by_id[user_id].misid == who.misid
        assert by_id[user_id].may_be(who.role)
    for who in sorted_.without:
        assert not any(account.misid == who.misid and account.may_be(who.role) for account in accounts)


def test_misid_on_two_accounts_matches_none_and_lists_the_user_ids() -> None:
    accounts = [
        _account(3, misid="L1"),
        _account(2, None, "L1"),
        _account(4, Role.ASSESSOR, "L1"),
        _account(5, misid="L2"),
        _account(6, misid=""),
        _account(7, misid=""),
    ]
    sorted_ = by_misid([key("L1", Role.LEARNER), key("L2", Role.LEARNER), key("L3", Role.LEARNER)], accounts, set())
    assert sorted_.exact == {key("L2", Role.LEARNER): 5}
    assert sorted_.without == {key("L3", Role.LEARNER)}
    assert duplicates([Role.LEARNER], accounts) == [("L1", (2, 3))]


def test_the_same_misid_in_two_roles_is_no_duplicate() -> None:
    accounts = [_account(1, Role.LEARNER, "A1"), _account(2, Role.ASSESSOR, "A1")]
    assert duplicates([Role.LEARNER, Role.ASSESSOR], accounts) == []
    assert by_misid([key("A1", Role.LEARNER), key("A1", Role.ASSESSOR)], accounts, set()).exact == {
        key("A1", Role.LEARNER): 1,
        key("A1", Role.ASSESSOR): 2,
    }


def test_a_misid_is_compared_to_the_letter() -> None:
    assert by_misid([key("l1"), key("01")], [_account(1, misid="L1"), _account(2, misid="1")], set()).exact == {}


def test_a_key_whose_account_may_be_of_either_role_is_left_alone() -> None:
    keys = [Key(5740, Role.LEARNER, "A1"), Key(5740, Role.ASSESSOR, "A1")]
    assert by_misid(keys, [_account(1, None, "A1")], set()).exact == {}


@pytest.mark.parametrize(
    ("fields", "is_contradicted"),
    [
        ({"FirstName": "Ben", "LastName": "Other"}, True),
        ({"FirstName": "Ben", "LastName": "Other", "DOB": _DOB}, True),
        ({"FirstName": "Ben", "LastName": "Other", "DOB": _DOB, "ULN": _ULN}, False),
        ({"FirstName": "Ann", "LastName": "Maiden"}, False),
        ({"FirstName": "Annie", "LastName": "Example"}, False),
        ({"FirstName": "Example", "LastName": "Ann"}, False),
        ({}, False),
    ],
)
def test_misid_of_a_record_with_other_names_is_a_contradiction(fields: dict[str, Any], is_contradicted: bool) -> None:
    evidence = contradiction(_record("L1", **_ANN), _account(7, misid="L1", **fields))
    assert (evidence is not None) is is_contradicted


@pytest.mark.parametrize(
    ("fields", "likeness"),
    [
        ({"FirstName": "Ann", "LastName": "Maiden", "ULN": _ULN, "DOB": _DOB}, Likeness.CERTAIN),
        ({"FirstName": "Ann", "ULN": _ULN}, Likeness.LIKELY),
        ({"FirstName": "ANN", "LastName": "O\u2019Brien", "DOB": "2001-05-31T23:00:00.000Z"}, Likeness.CERTAIN),
        ({"FirstName": "O'Brien", "LastName": "Ann", "DOB": _DOB}, Likeness.CERTAIN),
        ({"FirstName": "Ann", "LastName": "Maiden", "Email": "L1@example.org", "DOB": _DOB}, Likeness.LIKELY),
        ({"FirstName": "Annie", "LastName": "O'Brien", "DOB": _DOB}, Likeness.LIKELY),
        ({"FirstName": "Ann", "LastName": "O'Brien", "Email": "l1@example.org"}, Likeness.LIKELY),
        ({"FirstName": "Ann", "LastName": "O'Brien"}, Likeness.POSSIBLE),
        ({"FirstName": "Annie", "LastName": "O'Brien"}, Likeness.POSSIBLE),
        ({"FirstName": "Ann", "LastName": "Maiden", "DOB": _DOB}, Likeness.POSSIBLE),
    ],
)
def test_a_proposal_is_as_likely_as_its_evidence(fields: dict[str, Any], likeness: Likeness) -> None:
    record = person("L1", Role.LEARNER, LastName="O'Brien", ULN=_ULN, DOB="2001-06-01T00:00:00.000Z")
    proposals = propose([NewRecord.of(record)], [_account(7, **fields)])
    assert _said(proposals) == [("L1", 7, likeness, False)]
    assert proposals[0].name_in_mis == "Ann O'Brien"


@pytest.mark.parametrize(
    "fields",
    [
        {"FirstName": "Ann", "LastName": "Maiden"},
        {"Email": "ann@example.org"},
        {"DOB": "2001-06-01"},
        {"ULN": "9999999999"},
        {"DOB": "2002-01-01", "FirstName": "Ann", "LastName": "Example"},
        {"DOB": _DOB, "FirstName": "Ben", "LastName": "Example", "Email": "l1@example.org"},
    ],
    ids=["first name", "another e-mail", "DOB", "no ULN yet", "father and son", "twins"],
)
def test_less_is_not_enough(fields: dict[str, Any]) -> None:
    record = person("L1", Role.LEARNER, ULN="9999999999", DOB="2001-06-01T00:00:00.000Z")
    assert propose([NewRecord.of(record)], [_account(7, **fields)]) == []


def test_the_proposal_says_which_fields_agree_and_which_do_not() -> None:
    ours = _record("L1", FirstName="Ann", LastName="Example", ULN=_ULN, Email="a@example.org")
    theirs = _account(7, FirstName="Anne", LastName="EXAMPLE", ULN=int(_ULN), DOB="2001-06-01")
    (proposal,) = propose([ours], [theirs])
    assert (proposal.evidence.equal, proposal.evidence.differ) == (("LastName", "ULN"), ("FirstName",))


@pytest.mark.parametrize(
    ("role", "fields"),
    [
        (Role.ASSESSOR, {"FirstName": "Ann", "LastName": "Example", "Email": "ann@example.org"}),
        (Role.IQA, {"FirstName": "Anne", "LastName": "Example", "Email": "ANN@example.org"}),
        (Role.EMPLOYER, {"FirstName": "Ann", "LastName": "Maiden", "Email": "ann@example.org"}),
    ],
    ids=["names", "another form", "another surname"],
)
def test_staff_are_likely_by_email_and_names_without_a_dob(role: Role, fields: dict[str, Any]) -> None:
    record = _record("A1", role, FirstName="Ann", LastName="Example", Email="ann@example.org")
    assert _said(propose([record], [_account(7, role, **fields)])) == [("A1", 7, Likeness.LIKELY, False)]


def test_an_account_of_another_role_is_not_proposed() -> None:
    record = _record("L1", **_ANN)
    assert propose([record], [_account(7, Role.ASSESSOR, **_ANN)]) == []
    assert _said(propose([record], [_account(7, None, **_ANN)])) == [("L1", 7, Likeness.CERTAIN, False)]


@pytest.mark.parametrize(
    ("misid", "mismatch", "is_sure"),
    [
        ("", Mismatch.NONE, True),
        ("000123", Mismatch.LOOKALIKE, True),
        ("\uff11\uff12\uff13", Mismatch.LOOKALIKE, True),
        ("OLD-7", Mismatch.OTHER, False),
        ("L9", Mismatch.WRONG, False),
    ],
)
def test_a_proposal_says_how_the_misid_differs(misid: str, mismatch: Mismatch, is_sure: bool) -> None:
    (proposal,) = propose([_record("123", **_ANN)], [_account(7, misid=misid, **_ANN)], {7} if misid == "L9" else set())
    assert (proposal.mismatch, proposal.misid_in_onefile, proposal.is_sure) == (mismatch, misid, is_sure)


@pytest.mark.parametrize(
    ("fields", "likeness"),
    [
        ({"FirstName": "Ann", "LastName": "Example"}, Likeness.LIKELY),
        ({"FirstName": "Ann", "LastName": "Maiden"}, Likeness.POSSIBLE),
        ({"FirstName": "Ben", "LastName": "Other"}, None),
        ({}, None),
    ],
)
def test_lookalike_misid_makes_the_same_names_likelier(fields: dict[str, Any], likeness: Likeness | None) -> None:
    account = _account(7, misid="0042", **fields)
    record = _record("42", **_ANN)
    assert [one.likeness for one in propose([record], [account])] == ([likeness] if likeness else [])
    assert promising([record], [account]) == [account]


def test_account_of_an_earlier_programme_is_no_rival_and_never_sure() -> None:
    record = NewRecord.of(person("L2", Role.LEARNER, **{**_ANN, "StartOn": "2026-09-01T00:00:00.000Z"}))
    told = {name.lower(): value for name, value in _ANN.items()}
    old = Account.of_answer(7, Role.LEARNER, {**told, "misid": "L1", "plannedenddate": "2026-07-31T00:00:00"})
    now = Account.of_answer(8, Role.LEARNER, {**told, "plannedenddate": "2026-08-31T23:00:00.000Z"})
    proposals = propose([record], [old, now])
    assert [(one.user_id, one.mismatch, one.is_ambiguous, one.is_sure) for one in proposals] == [
        (7, Mismatch.EARLIER, False, False),
        (8, Mismatch.NONE, False, True),
    ]


def test_employers_of_one_name_are_told_apart_by_their_placement() -> None:
    name: dict[str, Any] = {"FirstName": "Ann", "LastName": "Example"}
    records = [_record(f"E{number}", Role.EMPLOYER, number, **name) for number in (1, 2)]
    accounts = [_account(6 + number, Role.EMPLOYER, placement=number, **name) for number in (1, 2)]
    assert _said(propose(records, accounts)) == [("E1", 7, Likeness.LIKELY, False), ("E2", 8, Likeness.LIKELY, False)]
    assert propose(records, accounts)[0].evidence.equal == ("FirstName", "LastName", "PlacementID")


def test_employer_who_has_moved_to_another_placement_is_still_proposed() -> None:
    name: dict[str, Any] = {"FirstName": "Ann", "LastName": "Example", "Email": "ann@example.org"}
    (moved,) = propose(
        [_record("E1", Role.EMPLOYER, 1, **name)], [_account(7, Role.EMPLOYER, "OLD", placement=2, **name)]
    )
    assert (moved.likeness, moved.evidence.differ) == (Likeness.POSSIBLE, ("PlacementID",))


@pytest.mark.parametrize("role", [Role.LEARNER, Role.ASSESSOR])
def test_placement_of_a_learner_or_tutor_is_no_evidence(role: Role) -> None:
    name: dict[str, Any] = {"FirstName": "Ann", "LastName": "Example"}
    (proposal,) = propose([_record("L1", role, 1, **name)], [_account(7, role, placement=1, **name)])
    assert (proposal.likeness, proposal.evidence.equal) == (Likeness.POSSIBLE, ("FirstName", "LastName"))


def test_twins_are_proposed_their_own_accounts_only() -> None:
    home: dict[str, Any] = {"LastName": "Example", "Email": "home@example.org", "DOB": _DOB}
    twins = [_record("L1", FirstName="Ann", **home), _record("L2", FirstName="Ben", **home)]
    accounts = [_account(7, FirstName="Ben", **home), _account(8, FirstName="Ann", **home)]
    assert _said(propose(twins, accounts)) == [("L1", 8, Likeness.CERTAIN, False), ("L2", 7, Likeness.CERTAIN, False)]


def test_two_accounts_of_one_person_are_both_ambiguous() -> None:
    accounts = [_account(7, **_ANN), _account(8, **_ANN)]
    proposals = propose([_record("L1", **_ANN)], accounts)
    assert _said(proposals) == [("L1", 7, Likeness.CERTAIN, True), ("L1", 8, Likeness.CERTAIN, True)]
    assert not any(proposal.is_sure for proposal in proposals)


def test_namesake_whose_account_has_no_dob_is_listed_beside_the_likely_one() -> None:
    name: dict[str, Any] = {"FirstName": "Ann", "LastName": "Example"}
    accounts = [_account(7, **name, DOB=_DOB), _account(8, **name)]
    assert _said(propose([_record("L1", **name, DOB=_DOB)], accounts)) == [
        ("L1", 7, Likeness.CERTAIN, False),
        ("L1", 8, Likeness.POSSIBLE, True),
    ]


def test_possible_match_is_left_out_if_both_have_a_better_one() -> None:
    name: dict[str, Any] = {"FirstName": "Ann", "LastName": "Example"}
    records = [_record("L1", **name, Email="one@example.org"), _record("L2", **name, Email="two@example.org")]
    accounts = [_account(7, **name, Email="one@example.org"), _account(8, **name, Email="two@example.org")]
    assert _said(propose(records, accounts)) == [("L1", 7, Likeness.LIKELY, False), ("L2", 8, Likeness.LIKELY, False)]


def test_first_name_and_dob_are_no_question_if_one_of_both_is_settled() -> None:
    record = _record("L1", **_ANN)
    other: dict[str, Any] = {"FirstName": "Ann", "LastName": "Other", "DOB": _DOB}
    assert _said(propose([record], [_account(7, **_ANN), _account(8, **other)])) == [("L1", 7, Likeness.CERTAIN, False)]
    assert _said(propose([record], [_account(8, **other)])) == [("L1", 8, Likeness.POSSIBLE, False)]


def test_email_of_an_office_brings_no_people_together() -> None:
    office: dict[str, Any] = {"Email": "office@example.org"}
    records = [
        _record(f"A{number}", Role.ASSESSOR, FirstName="Ann", LastName=f"R{number}", **office) for number in range(30)
    ]
    accounts = [
        _account(number, Role.ASSESSOR, FirstName="Ann", LastName=f"S{number}", **office) for number in range(30)
    ]
    assert propose(records, accounts) == []


@pytest.mark.parametrize(
    ("first", "last", "is_promising", "is_partly_alike"),
    [
        ("Siân", "Pryce-Jones", True, True),
        ("Pryce Jones", "Sian", True, False),
        ("S", "Pryce", False, True),
        ("Someone", "PRYCE JONES", False, True),
        ("Sian", "Potter", False, True),
        ("Someone", "Else", False, False),
    ],
)
def test_names_that_fit_are_read_first_and_a_single_name_later(
    first: str, last: str, is_promising: bool, is_partly_alike: bool
) -> None:
    record = _record("L1", FirstName="Siân", LastName="Pryce-Jones")
    account = _account(7, FirstName=first, LastName=last)
    assert promising([record], [account]) == ([account] if is_promising else [])
    assert partly_alike([record], [account]) == ([account] if is_partly_alike else [])
    assert partly_alike([record], [_account(7, None, FirstName=first, LastName=last)]) == []
    assert partly_alike([record], [_account(7, Role.IQA, FirstName=first, LastName=last)]) == []


def test_places_are_proposed_by_name_or_by_a_lookalike_misid() -> None:
    records = [NewRecord.of(place("S4", "Has other")), NewRecord.of(place("7", "Old name"))]
    places = [
        Account(1, Role.PLACEMENT, "ZZ", "HAS OTHER"),
        Account(2, Role.PLACEMENT, "007", "New name"),
        Account(3, Role.PLACEMENT, "Z3", "Elsewhere"),
    ]
    found = propose(records, places)
    assert _said(found) == [("S4", 1, Likeness.CERTAIN, False), ("7", 2, Likeness.POSSIBLE, False)]
    assert [one.mismatch for one in found] == [Mismatch.OTHER, Mismatch.LOOKALIKE]
    assert (found[0].name_in_mis, found[0].name_in_onefile) == ("Has other", "HAS OTHER")


def test_two_places_of_one_name_are_ambiguous() -> None:
    records = [NewRecord.of(place("S4", "Branch")), NewRecord.of(place("S5", "Branch"))]
    assert [one.is_ambiguous for one in propose(records, [Account(1, Role.PLACEMENT, "ZZ", "Branch")])] == [True, True]


@pytest.mark.parametrize("name", ["O'Brien", "O\u2019BRIEN", "o brien", "OBrien", "Ó Brien", "O\u0301'Brien"])
def test_a_name_is_known_however_it_is_spelt(name: str) -> None:
    assert fold(name) == "obrien"


def test_letters_with_a_stroke_are_known_without_it() -> None:
    assert [fold(name) for name in ("Łukasz", "Søren", "ÆTHELRED")] == ["lukasz", "soren", "aethelred"]


def test_names_in_other_scripts_stay_apart() -> None:
    assert len({fold(name) for name in ("Іван", "李", "Müller", "Weiß", "Ανδρέας")}) == 5
    assert fold("Weiß") == fold("WEISS")


def test_the_day_of_birth_is_the_same_in_whichever_way_onefile_writes_it() -> None:
    days = ["2001-06-01T00:00:00", "2001-06-01T00:00:00.000Z", "2001-05-31T23:00:00.000Z", "2001-06-01"]
    assert {Traits.from_fields({"dob": day}).dob for day in days} == {"2001-06-01"}
    assert Traits.from_fields({"dob": "9999-12-31T23:30:00"}).dob == ""
