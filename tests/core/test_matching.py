"""Which of OneFile's accounts belongs to whom: a MISID decides, and all else is only proposed."""

from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import Role
from syncd.core.matching import (
    Account,
    Likeness,
    Person,
    Proposal,
    Traits,
    by_misid,
    duplicates,
    fold,
    propose,
    resembling,
)
from syncd.core.records import Key
from tests.support.records import key, person

_ULN = "9276308686"
_FIRST = st.sampled_from(["Siân", "Sian", "Ann", ""])
_LAST = st.sampled_from(["O'Brien", "O\u2019Brien", "Obrien", "Müller", "Smith", ""])
_EMAIL = st.sampled_from(["a@example.org", "A@EXAMPLE.ORG", "b@example.org", ""])
_DOB = st.sampled_from(["2001-06-01T00:00:00.000Z", "2001-05-31T23:00:00.000Z", "2002-01-01T00:00:00", ""])
_ULNS = st.sampled_from([_ULN, "1000000055", "9999999999", ""])
_ROLES = st.sampled_from([Role.LEARNER, Role.ASSESSOR])


@st.composite
def _traits(draw: st.DrawFn) -> dict[str, object]:
    drawn = {"FirstName": _FIRST, "LastName": _LAST, "Email": _EMAIL, "DOB": _DOB, "ULN": _ULNS}
    return {name: draw(values) for name, values in drawn.items()}


@st.composite
def _people(draw: st.DrawFn) -> list[Person]:
    rows = draw(st.lists(st.tuples(_ROLES, _traits()), max_size=6))
    return [_person(f"L{number}", role, **traits) for number, (role, traits) in enumerate(rows)]


@st.composite
def _accounts(draw: st.DrawFn) -> list[Account]:
    misids = st.sampled_from(["", "", "", "L0", "L1", "X"])
    rows = draw(st.lists(st.tuples(st.one_of(_ROLES, st.none()), misids, _traits()), max_size=6))
    return [_account(100 + number, role, misid, **traits) for number, (role, misid, traits) in enumerate(rows)]


def _person(misid: str, role: Role = Role.LEARNER, **traits: object) -> Person:
    return Person(key(misid, role), "", Traits.from_fields(traits))


def _account(user_id: int, role: Role | None = Role.LEARNER, misid: str = "", **traits: object) -> Account:
    return Account(user_id, role, misid, "", Traits.from_fields(traits))


def _told(proposals: Iterable[Proposal]) -> list[tuple[str, int, Likeness, bool]]:
    return [(one.key.misid, one.user_id, one.likeness, one.is_ambiguous) for one in proposals]


@given(_people(), _accounts())
def test_an_account_with_a_misid_is_never_proposed_and_never_looked_at(
    people: list[Person], accounts: list[Account]
) -> None:
    free = {account.user_id for account in accounts if not account.misid}
    assert {proposal.user_id for proposal in propose(people, accounts)} <= free
    assert {account.user_id for account in resembling(people, accounts)} <= free


@given(_people(), _accounts())
def test_nothing_is_prefilled_that_two_could_claim(people: list[Person], accounts: list[Account]) -> None:
    proposals = propose(people, accounts)
    sure = [proposal for proposal in proposals if proposal.is_sure]
    assert all(proposal.likeness is Likeness.ULN for proposal in sure)
    for proposal in sure:
        assert sum(one.key == proposal.key or one.user_id == proposal.user_id for one in proposals) == 1


@given(_people(), _accounts(), st.randoms(use_true_random=False))
def test_the_order_of_people_and_accounts_is_of_no_account(
    people: list[Person], accounts: list[Account], random: Random
) -> None:
    one_way = propose(people, accounts)
    looked_at = {account.user_id for account in resembling(people, accounts)}
    random.shuffle(people)
    random.shuffle(accounts)
    assert propose(people, accounts) == one_way
    assert {account.user_id for account in resembling(people, accounts)} == looked_at


@given(_people(), _accounts())
def test_accounts_proposed_by_names_are_among_the_resembling_ones(
    people: list[Person], accounts: list[Account]
) -> None:
    looked_at = {account.user_id for account in resembling(people, accounts)}
    by_names = {one.user_id for one in propose(people, accounts) if one.likeness is Likeness.NAMES_AND_DOB}
    assert by_names <= looked_at


@given(_people(), _accounts())
def test_misid_match_gives_each_account_to_at_most_one_person(people: list[Person], accounts: list[Account]) -> None:
    keys = [person.key for person in people]
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


@pytest.mark.parametrize(
    ("fields", "likeness"),
    [
        ({"ULN": _ULN}, Likeness.ULN),
        ({"Email": "ANN@example.org", "DOB": "2001-06-01T00:00:00"}, Likeness.EMAIL_AND_DOB),
        ({"FirstName": "ANN", "LastName": "O\u2019Brien", "DOB": "2001-05-31T23:00:00.000Z"}, Likeness.NAMES_AND_DOB),
    ],
)
def test_each_likeness_is_enough_for_a_proposal(fields: dict[str, object], likeness: Likeness) -> None:
    record = person(
        "L1",
        Role.LEARNER,
        LastName="O'Brien",
        ULN=_ULN,
        DOB="2001-06-01T00:00:00.000Z",
    )
    proposals = propose([Person.of(record)], [Account(7, Role.LEARNER, traits=Traits.from_fields(fields))])
    assert _told(proposals) == [("L1", 7, likeness, False)]
    assert proposals[0].name_in_mis == "Ann O'Brien"


@pytest.mark.parametrize(
    "fields",
    [
        {"FirstName": "Ann", "LastName": "Example"},
        {"Email": "ann@example.org"},
        {"DOB": "2001-06-01"},
        {"ULN": "9999999999"},
        {"DOB": "01/06/2001", "FirstName": "Ann", "LastName": "Example"},
    ],
)
def test_less_is_not_enough(fields: dict[str, object]) -> None:
    record = person("L1", Role.LEARNER, ULN="9999999999", DOB="2001-06-01T00:00:00.000Z")
    assert propose([Person.of(record)], [Account(7, Role.LEARNER, traits=Traits.from_fields(fields))]) == []


def test_the_proposal_says_which_fields_agree_and_which_do_not() -> None:
    ours = _person("L1", FirstName="Ann", LastName="Example", ULN=_ULN, Email="a@example.org")
    theirs = _account(7, FirstName="Anne", LastName="EXAMPLE", ULN=int(_ULN), DOB="2001-06-01")
    (proposal,) = propose([ours], [theirs])
    assert (proposal.agree, proposal.differ) == (("LastName", "ULN"), ("FirstName",))


def test_twins_with_one_email_are_ambiguous_and_surest_likeness_is_first() -> None:
    home = {"LastName": "Example", "Email": "home@example.org", "DOB": "2001-06-01"}
    ann = Traits.from_fields({"FirstName": "Ann", "ULN": _ULN, **home})
    ben = Traits.from_fields({"FirstName": "Ben", "ULN": "1000000055", **home})
    twins = [Person(key("L1", Role.LEARNER), "", ann), Person(key("L2", Role.LEARNER), "", ben)]
    proposals = propose(twins, [Account(7, Role.LEARNER, traits=ann)])
    assert _told(proposals) == [
        ("L1", 7, Likeness.ULN, True),
        ("L2", 7, Likeness.EMAIL_AND_DOB, True),
    ]


def test_an_account_of_another_role_is_not_proposed() -> None:
    somebody = _person("L1", ULN=_ULN)
    assert propose([somebody], [_account(7, Role.ASSESSOR, ULN=_ULN)]) == []
    assert _told(propose([somebody], [_account(7, None, ULN=_ULN)])) == [("L1", 7, Likeness.ULN, False)]


@pytest.mark.parametrize(
    ("first", "last", "is_worth_it"),
    [
        ("Siân", "Pryce-Jones", True),
        ("Someone", "PRYCE JONES", True),
        ("Sian", "Potter", True),
        ("Sian", "Jones", False),
        ("Someone", "Else", False),
    ],
)
def test_same_last_name_or_first_name_and_initial_is_resembling(first: str, last: str, is_worth_it: bool) -> None:
    somebody = _person("L1", FirstName="Siân", LastName="Pryce-Jones")
    account = _account(7, None, FirstName=first, LastName=last)
    assert resembling([somebody], [account]) == ([account] if is_worth_it else [])


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


def test_a_key_whose_account_may_be_of_either_role_is_left_alone() -> None:
    keys = [Key(5740, Role.LEARNER, "A1"), Key(5740, Role.ASSESSOR, "A1")]
    assert by_misid(keys, [_account(1, None, "A1")], set()).exact == {}
