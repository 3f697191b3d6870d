"""The safety net: no second account for a person whose account OneFile shows under another MISID or under none."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.core.run import Action, Trigger
from syncd.core.scope import Scope
from syncd.operations.explain import Decision, explain
from syncd.simulator import Fault, FaultKind, MisidFilter, NameFilter
from syncd.state import held_records
from syncd.state.held_records import Selection
from syncd.sync.context import Feed
from syncd.sync.run import run_once
from tests.support.calls import calls_made, finds, pages, searches
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

from .whole import Whole

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

#: The UserID of the account that is there already.
_THERE = 400_000
#: How many other newcomers there are: alone, a newcomer is looked for by MISID and by name; with others, all users are.
_HOW = {"searches": 0, "download": 3}

Sown = Callable[..., College]


@pytest.fixture
def sown(found: Found) -> Sown:
    """Founds a college with two learners in step, and gives its OneFile the accounts that are named."""

    def found_college(*accounts: Mapping[str, Any], **switches: Any) -> College:
        college = found(**switches)
        college.enrol("K1", "K2")
        assert college.run().is_in_sync
        _sow(college, *accounts)
        college.onefile.journal.clear()
        return college

    return found_college


def _sow(college: College, *accounts: Mapping[str, Any]) -> None:
    common = {
        "ID": _THERE,
        "OrganisationID": ORGANISATION,
        "Role": 1,
        "FirstName": "Ann",
        "LastName": "Example-N1",
        "DefaultAssessorID": ASSESSOR,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
    }
    college.onefile.sow({"users": [{**common, **account} for account in accounts]})


def _enrol(college: College, how: str, **columns: Any) -> list[str]:
    """Enrol N1 and the others; returns the MISIDs of these."""
    others = [f"O{number}" for number in range(_HOW[how])]
    college.enrol("N1", **columns)
    college.enrol(*others)
    return others


def _searches(college: College) -> int:
    made = calls_made(college.onefile.journal)["look for users"]
    college.onefile.journal.clear()
    return made


def _retry(college: College, misid: str) -> None:
    with college.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, college.clock()), Selection([misid]))


@pytest.mark.parametrize("how", _HOW)
@pytest.mark.parametrize("misid", ["", "ZZ-7"])
def test_a_record_whose_names_an_unlinked_account_has_is_held(sown: Sown, misid: str, how: str) -> None:
    college = sown({"MISID": misid})
    others = _enrol(college, how)

    done = college.run()

    assert college.held == {"N1": "has_an_account?"}
    assert f"UserID {_THERE}" in college.detail("N1")
    assert (done.held, done.sent) == (1, len(others))
    assert college.in_onefile("N1") == []
    assert all(college.known_id(other) for other in others)


_VARIANTS = {
    "another case": ("ZOË", "O'neill-smith"),
    "no accents": ("Zoe", "O'Neill-Smith"),
    "another apostrophe": ("Zoë", "O\u2019Neill-Smith"),
    "no hyphen": ("Zoë", "ONeill Smith"),
    "another order": ("O'Neill-Smith", "Zoë"),
    "all in the last name": ("", "Zoë O'Neill Smith"),
    "two blanks": ("Zoë", "O'Neill  Smith"),
    "a short form": ("Zo", "O'Neill-Smith"),
    "half of the last name": ("Zoë", "Smith"),
}
_OTHERS = {
    "another first name": ("Zara", "O'Neill-Smith"),
    "another last name": ("Zoë", "Jones"),
    "only the first name": ("Zoë", ""),
    "no name": ("", ""),
}


@pytest.mark.parametrize(
    ("names", "is_held"),
    [pytest.param(names, how is _VARIANTS, id=name) for how in (_VARIANTS, _OTHERS) for name, names in how.items()],
)
def test_names_that_fit_are_enough(sown: Sown, names: tuple[str, str], is_held: bool) -> None:
    college = sown({"FirstName": names[0], "LastName": names[1]})
    _enrol(college, "download", forename="Zoë", surname="O'Neill-Smith")
    college.run()
    assert college.held == ({"N1": "has_an_account?"} if is_held else {})


@pytest.mark.parametrize("name_filter", NameFilter)
def test_however_onefile_filters_names_each_row_is_checked(sown: Sown, name_filter: NameFilter) -> None:
    college = sown(
        {"ID": 400_001, "FirstName": "Anna", "LastName": "Example-N1x"},
        {"ID": 400_002, "FirstName": "Other", "LastName": "Person"},
        {},
        name_filter=name_filter,
    )
    _enrol(college, "searches")

    college.run()

    assert college.held == {"N1": "has_an_account?"}
    assert f"UserID {_THERE}." in college.detail("N1")
    # A filter that does not work is tried once, and a download of the learners shows the names.
    a_try = 1 if name_filter in {NameFilter.IGNORED, NameFilter.REFUSED} else 0
    assert _searches(college) == searches(1, 5, 50) + a_try + pages(5, 50)
    # The other accounts are not those of the next newcomer.
    college.enrol("N2", forename="Somebody", surname="New")
    college.run()
    assert college.known_id("N2")


def test_accents_are_found_by_name_if_onefile_compares_loosely(sown: Sown) -> None:
    college = sown({"FirstName": "ZOE", "LastName": "Lee"}, name_filter=NameFilter.LOOSE)
    _enrol(college, "searches", forename="Zoë", surname="Lee")
    college.run()
    assert college.held == {"N1": "has_an_account?"}


@pytest.mark.parametrize("how", _HOW)
def test_an_account_of_another_role_is_not_the_learners(sown: Sown, how: str) -> None:
    college = sown({"Role": 5})
    _enrol(college, how)
    assert college.run().is_in_sync
    assert college.known_id("N1")


@pytest.mark.parametrize("how", _HOW)
def test_an_account_that_another_record_has_is_not_the_new_ones(sown: Sown, how: str) -> None:
    college = sown()
    # Two people of one name: the account of the one is known.
    college.correct("K1", surname="Example-N1")
    college.run()
    _enrol(college, how)
    assert college.run().is_in_sync
    assert college.known_id("N1") != college.known_id("K1")


@pytest.mark.parametrize("how", _HOW)
def test_an_account_with_a_known_misid_or_of_a_held_record_is_owned(sown: Sown, how: str) -> None:
    college = sown({"MISID": "K2"}, {"ID": 400_001, "MISID": "H1"})
    college.enrol("H1", email=None)
    _enrol(college, how)
    college.run()
    assert college.held == {"H1": "missing"}
    assert college.known_id("N1")


@pytest.mark.parametrize("how", _HOW)
@pytest.mark.parametrize("forename", ["Ann", "Another"])
def test_an_account_with_the_misid_of_another_new_record_is_neithers_until_answered(
    sown: Sown, how: str, forename: str
) -> None:
    """Another surname alone may be a marriage, but not if somebody else has the one that the account has."""
    college = sown({"MISID": "N2"})
    others = _enrol(college, how)
    college.enrol("N2", forename=forename)

    college.run()

    assert college.held == {"N1": "has_an_account?", "N2": "another_person?"}
    assert all(college.known_id(other) for other in others)
    before = dict(college.onefile.world.users[_THERE].values)
    college.run()
    assert before == college.onefile.world.users[_THERE].values

    _retry(college, "N2")
    college.run()
    # An operator has said that the account is the second one's, who has another name now.
    assert college.known_id("N2") == _THERE
    assert college.run().is_in_sync
    assert college.known_id("N1") not in {None, _THERE}


@pytest.mark.parametrize("surname", ["Example-N1", "Example N1", "Married"])
def test_an_account_with_the_misid_of_a_new_record_is_its_own_unless_another_has_its_names(
    sown: Sown, surname: str
) -> None:
    college = sown({"MISID": "N2"})
    college.enrol("N2", surname=surname)
    assert college.run().is_in_sync
    assert college.known_id("N2") == _THERE


def test_a_father_whose_son_has_his_name_keeps_his_account(sown: Sown) -> None:
    college = sown({"MISID": "N2"})
    college.enrol("N1", "N2", surname="Example-N1")
    assert college.run().is_in_sync
    assert college.known_id("N2") == _THERE


def test_an_account_of_a_record_that_is_created_later_is_owned(sown: Sown) -> None:
    """A run for one record knows the keys of the others."""
    college = sown({"MISID": "N2"})
    college.enrol("N1", "N2")
    done = run_once(college.context, Trigger.REQUEST, scope=Scope.of(["N1"]))
    assert (done.is_in_sync, done.sent) == (True, 1)
    assert college.run().is_in_sync
    assert college.known_id("N2") == _THERE


@pytest.mark.parametrize("how", _HOW)
def test_two_records_with_the_names_of_one_account_are_both_held(sown: Sown, how: str) -> None:
    college = sown({})
    _enrol(college, how)
    college.enrol("N2", surname="Example-N1")
    college.run()
    assert college.held == {"N1": "has_an_account?", "N2": "has_an_account?"}


def test_every_likely_account_is_named(sown: Sown) -> None:
    college = sown({}, {"ID": 400_001, "MISID": "ZZ"})
    _enrol(college, "searches")
    college.run()
    assert "several accounts that may be this person's" in college.detail("N1")
    assert f"UserIDs {_THERE}, 400001." in college.detail("N1")


def test_an_archived_account_counts_if_onefile_shows_it(sown: Sown) -> None:
    college = sown({"Archived": True})
    _enrol(college, "download")
    college.run()
    assert college.held == {"N1": "has_an_account?"}
    # A search for this record alone leaves archived accounts out (U4), and changes nothing.
    run_once(college.context, Trigger.REQUEST, scope=Scope.of(["N1"]))
    assert college.held == {"N1": "has_an_account?"}
    assert explain(college.context, "N1").records[0].decided.decision is Decision.HELD
    assert college.in_onefile("N1") == []


@pytest.mark.parametrize("misid", ["n-0042", "N-00 42", " N-0042", "\uff2e-0042", "00N-0042"])
def test_an_account_whose_misid_looks_alike_is_likely_whatever_its_name(sown: Sown, misid: str) -> None:
    college = sown({"MISID": misid, "FirstName": "Other", "LastName": "Person"})
    college.enrol("N-0042", "O1", "O2", "O3")
    college.run()
    is_same = misid.strip() == "N-0042"
    assert college.held == {"N-0042": "another_person?" if is_same else "has_an_account?"}


def test_a_misid_in_another_case_is_not_taken_for_an_ignored_filter(sown: Sown) -> None:
    college = sown({"MISID": "n1", "FirstName": "Other"}, misid_filter=MisidFilter.ANY_CASE)
    _enrol(college, "searches")
    college.run()
    assert college.held == {"N1": "has_an_account?"}
    # The hit takes a second page, and its role a read; nobody has the names.
    assert _searches(college) == searches(1, 5, 50, there=1) + 1


def test_the_operators_answer_creates_the_account(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches")
    college.run()
    _retry(college, "N1")
    college.onefile.journal.clear()
    assert college.run().is_in_sync
    # It is searched for by its MISID all the same, and not by name.
    assert _searches(college) == searches(1, 5, 50)
    assert college.known_id("N1") not in {None, _THERE}


def test_a_misid_given_to_the_account_in_onefile_links_it(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches")
    college.run()
    college.onefile.world.users[_THERE].values["MISID"] = "N1"
    assert college.run().is_in_sync
    assert college.known_id("N1") == _THERE


def test_a_corrected_name_releases_the_record_at_once(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches")
    college.run()
    college.correct("N1", surname="Corrected")
    assert run_once(college.context, Trigger.SCHEDULE).is_in_sync


def test_names_are_not_compared_if_the_setting_is_off(sown: Sown) -> None:
    college = sown({})
    college.with_policy(compare_names=False)
    _enrol(college, "searches")
    assert college.run().is_in_sync
    assert _searches(college) == searches(1, 5, 50)


def test_polls_ask_again_once_an_hour_and_commands_at_once(sown: Sown) -> None:
    college = sown({}, {"ID": 400_001, "LastName": "Example-N2"})
    college.enrol("N1", "N2")
    college.run()
    college.onefile.journal.clear()
    polled = run_once(college.context, Trigger.SCHEDULE)
    assert (polled.calls, polled.held) == (0, 2)
    college.clock.now += timedelta(hours=2)
    asked = run_once(college.context, Trigger.SCHEDULE)
    # The accounts are known from before, so that only the MISIDs are looked for.
    assert (_searches(college), asked.held) == (searches(2, 5, 50), 2)
    assert run_once(college.context, Trigger.SCHEDULE).calls == 0
    assert (college.run().held, _searches(college)) == (2, searches(2, 5, 50))
    assert college.held == {"N1": "has_an_account?", "N2": "has_an_account?"}


def test_a_poll_notices_at_once_that_the_account_was_linked_to_another(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches")
    college.run()
    college.onefile.world.users[_THERE].values["MISID"] = "N2"
    college.enrol("N2", surname="Example-N1")
    run_once(college.context, Trigger.SCHEDULE)
    assert college.known_id("N2") == _THERE
    assert run_once(college.context, Trigger.SCHEDULE).is_in_sync
    assert college.known_id("N1") not in {None, _THERE}


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER])
def test_a_create_in_doubt_does_not_find_itself(sown: Sown, kind: FaultKind) -> None:
    college = sown()
    college.onefile.faults.add(Fault(kind, path="/User"))
    _enrol(college, "searches")
    college.run()
    # Another one of this name comes while it is in doubt.
    college.enrol("N2", surname="Example-N1")
    assert college.run().is_in_sync
    assert len(college.in_onefile("N1")) == len(college.in_onefile("N2")) == 1


def test_a_record_that_is_asked_about_anyway_is_not_looked_for_by_name(sown: Sown) -> None:
    college = sown()
    college.enrol("k1")
    college.run()
    assert college.held == {"k1": "lookalike_key"}
    assert _searches(college) == searches(1, 3, 50)


def test_a_record_held_for_a_code_is_not_looked_for(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches", classroom="No such class")
    college.run()
    assert college.held == {"N1": "reference_not_found"}
    assert _searches(college) == 0


def test_the_misid_on_an_account_with_other_names_is_held(sown: Sown) -> None:
    college = sown({"MISID": "N1", "FirstName": "Bela", "LastName": "Kovacs"}, {"ID": 400_001, "MISID": "N2"})
    college.enrol("N1", forename="Ann", surname="Other")
    college.enrol("N2", forename="Ann", surname="Married")
    college.run()
    assert college.held == {"N1": "another_person?"}
    assert college.known_id("N2") == 400_001


def test_explain_says_what_a_run_does(sown: Sown) -> None:
    college = sown({})
    _enrol(college, "searches")
    (explained,) = explain(college.context, "N1").records
    assert explained.decided.decision is Decision.HELD
    assert f"UserID {_THERE}" in explained.decided.sentence
    assert explained.calls == ()


# Places.


@pytest.fixture
def whole(found: Found) -> Whole:
    whole = Whole(found())
    whole.college.onefile.world.users.clear()
    whole.add_everything()
    assert whole.run().is_in_sync
    whole.forget()
    return whole


def _place(whole: Whole, name: str, misid: str = "") -> int:
    places = whole.college.onefile.world.placements
    return places.create({"OrganisationID": ORGANISATION, "Name": name, "MISID": misid}).id


@pytest.mark.parametrize(
    ("name", "misid"),
    [("Has other", "ZZ"), ("HAS OTHER", "ZZ"), ("Has Other.", ""), ("Quite another", "s4"), ("Quite another", "0S4")],
)
def test_a_place_that_onefile_may_have_is_held(whole: Whole, name: str, misid: str) -> None:
    there = _place(whole, name, misid)
    whole.add(Role.PLACEMENT, "S4", Name="Has other")
    whole.people[Role.LEARNER][0]["PlacementMISID"] = "S4"
    whole.college.onefile.journal.clear()

    whole.run()

    assert whole.college.held == {"S4": "has_an_account?", "L1": "reference_not_found"}
    assert f"ID {there}." in whole.college.detail("S4")
    # The list of placements that is read for the MISID tells it.
    assert calls_made(whole.college.onefile.journal) == {"list places": pages(3, 50)}


def test_a_place_of_the_name_without_a_misid_is_linked_as_before(whole: Whole) -> None:
    there = _place(whole, "Has other")
    whole.add(Role.PLACEMENT, "S4", Name="Has other")
    assert whole.run().is_in_sync
    assert whole.id_of(Role.PLACEMENT, "S4") == there


@pytest.mark.parametrize("misid", ["P1", "S5"])
def test_a_place_of_the_name_that_another_record_has_is_not_it(whole: Whole, misid: str) -> None:
    _place(whole, "Has other", misid)
    whole.add(Role.PLACEMENT, "S4", Name="Has other")
    if misid == "S5":
        whole.add(Role.PLACEMENT, "S5", Name="Has other")
    whole.run()
    assert "S4" not in whole.college.held


def test_of_several_likely_places_each_is_named(whole: Whole) -> None:
    first, second = _place(whole, "Has other", "Y"), _place(whole, "has other", "Z")
    whole.add(Role.PLACEMENT, "S4", Name="Has other")
    whole.run()
    assert f"IDs {first}, {second}." in whole.college.detail("S4")
    _retry(whole.college, "S4")
    assert whole.run().is_in_sync
    assert whole.id_of(Role.PLACEMENT, "S4") not in {first, second}


# First contact.


def test_first_contact_without_link_makes_no_second_account(found: Found) -> None:
    """OneFile has 15 assessors and 40 learners, half without a MISID and half with another one."""
    college = found()
    college.onefile.world.users.clear()
    whole = Whole(college)
    whole.add_everything()
    people = {Role.ASSESSOR: 15, Role.LEARNER: 40}
    for role, number in people.items():
        rows = [
            {
                "OrganisationID": ORGANISATION,
                "Role": role.number,
                "FirstName": "Ann",
                "LastName": f"Example-{role[0]}{each}x",
                **({"MISID": f"OLD-{each}"} if each % 2 else {}),
            }
            for each in range(number)
        ]
        college.onefile.sow({"users": rows})
        for each in range(number):
            whole.add(role, f"{role[0]}{each}x") if role is Role.ASSESSOR else whole.learner(f"{role[0]}{each}x")
    before = Counter((user.role, user.values["LastName"]) for user in college.onefile.world.users.values())

    done = whole.run()

    assert Counter(college.held.values()) == {"has_an_account?": 55}
    after = Counter((user.role, user.values["LastName"]) for user in college.onefile.world.users.values())
    assert after.items() >= before.items(), "nobody has a second account"
    assert (after - before).total() == done.applied[Action.CREATE] - 2, "the others are made, beside two places"


def test_calls_of_a_first_contact_are_the_least(found: Found) -> None:
    college = found(page_cap=1000)
    rows = [{"ID": _THERE + each, "LastName": f"Example-N{each}"} for each in range(300)]
    _sow(college, *rows)
    college.enrol(*(f"N{each}" for each in range(320)))
    done = college.run()
    assert (done.held, done.sent) == (300, 20)
    made = calls_made(college.onefile.journal)
    # No account is known, so that the first page is a small one, which a larger one replaces. All users are on that,
    # without their roles, and so are then all learners. And one assessor is looked for by their MISID.
    assert made["look for users"] == 1 + pages(301, 1000) + 1 + pages(300, 1000) + finds(1, 1, 50)
    assert made["read a user"] == 0


@pytest.mark.parametrize("how", _HOW)
def test_a_misid_of_another_role_does_not_make_an_account_owned(sown: Sown, how: str) -> None:
    college = sown({"MISID": "E9"})
    college.context = replace(
        college.context, feeds=(*college.context.feeds, Feed("observers", Role.OBSERVER, _OBSERVERS))
    )
    _enrol(college, how)
    college.run()
    assert college.held == {"N1": "has_an_account?"}


_OBSERVERS = (
    "SELECT 'E9' AS MISID, 'Olu' AS FirstName, 'Observer' AS LastName, 'olu@example.org' AS Email, 18928 AS PlacementID"
)
