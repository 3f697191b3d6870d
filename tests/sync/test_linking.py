"""First contact with a OneFile that has accounts already, and wrong links taken back."""

from collections.abc import Callable
from typing import Any

import pytest

from syncd.core.evidence import Likeness
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.records import Key
from syncd.core.run import Action, RunState
from syncd.core.scope import Scope
from syncd.errors import LinksUnusable
from syncd.operations.first_contact import AccountOutcome, LinkProposals, RecordOutcome, find_links
from syncd.operations.link import (
    LinkRow,
    UnlinkResult,
    apply_links,
    forget,
    known_keys,
    unlink,
)
from syncd.simulator import ArchivedForm, Fault, FaultKind
from tests.support.college import College
from tests.support.college import Found as Founded
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, dob AS DOB,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN = "9276308686"
_DOB = "2001-06-01"
#: An account's own answer does not say that it is archived: OneFile may leave out the role of others as well (§8.5).
_SAYING_NOTHING = {ArchivedForm.NOTHING, ArchivedForm.NO_ROLE}

Contact = Callable[..., College]


@pytest.fixture
def contact(found: Founded) -> Contact:
    """Founds a college whose MIS has dates of birth and ULNs."""

    def found_college(**switches: Any) -> College:
        college = found(**switches)
        for column in ("uln", "dob"):
            college.execute(f"ALTER TABLE person ADD COLUMN {column}", {})
        college.with_feed(_FEED)
        return college

    return found_college


def _has(college: College, *users: dict[str, Any]) -> None:
    """Gives OneFile accounts of learners, without a MISID unless they say one."""
    common = {
        "OrganisationID": ORGANISATION,
        "Role": 1,
        "FirstName": "Ann",
        "LastName": "Example",
        "Email": "ann@example.org",
        "DefaultAssessorID": ASSESSOR,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
    }
    college.onefile.sow({"users": [{**common, **user} for user in users]})


def _link(misid: str, user_id: int, role: Role = Role.LEARNER) -> LinkRow:
    return LinkRow(role, misid, user_id, "links.csv, line 2")


def _told(found: LinkProposals) -> list[tuple[str, int, Likeness, bool]]:
    return [(one.key.misid, one.user_id, one.likeness, one.is_sure) for one in found.proposals]


def _key(misid: str, role: Role = Role.LEARNER) -> Key:
    return Key(ORGANISATION, role, misid)


@pytest.mark.parametrize("is_archived", [False, True])
@pytest.mark.parametrize("archived_in_searches", [False, True])
def test_account_with_misid_of_record_is_linked_without_a_change(
    contact: Contact, is_archived: bool, archived_in_searches: bool
) -> None:
    college = contact(archived_in_searches=archived_in_searches)
    _has(college, {"ID": 400_000, "MISID": "L1", "Archived": is_archived})
    college.enrol("L1", "L2")

    found = find_links(college.context)

    assert found.linked == {_key("L1"): 400_000}
    assert (found.proposals, found.duplicates) == ([], [])
    assert found.records == {RecordOutcome.LINKED: 1, RecordOutcome.NEW: 1}
    assert college.known_id("L1") == 400_000
    assert college.known_id("L2") is None
    assert college.writes() == []


def test_learner_linked_by_misid_is_updated_once_and_not_created(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L1", "LastName": "Wrong"})
    college.enrol("L1")
    find_links(college.context)

    assert college.run().is_in_sync

    ((path, sent),) = college.writes()
    assert path == "/User/400000"
    assert sent["LastName"] == "Example-L1"
    assert "MISID" not in sent
    assert college.run().calls == 0


def test_a_second_contact_finds_nothing_more(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L1"})
    college.enrol("L1")
    find_links(college.context)
    again = find_links(college.context)
    assert (again.linked, again.proposals, again.taken, again.wrong) == ({}, [], {}, {})
    assert again.records == {RecordOutcome.KNOWN: 1}
    assert again.accounts == {AccountOutcome.KNOWN: 1, AccountOutcome.UNLISTED: 1}


def test_misid_on_two_accounts_is_reported_as_duplicate_and_not_linked(contact: Contact) -> None:
    college = contact()
    _has(
        college,
        {"ID": 400_000, "MISID": "L1"},
        {"ID": 400_001, "MISID": "L1", "Archived": True},
        {"ID": 400_002, "MISID": "gone from the MIS"},
        {"ID": 400_003, "MISID": "gone from the MIS"},
    )
    college.enrol("L1")

    found = find_links(college.context)

    assert found.duplicates == [("L1", (400_000, 400_001)), ("gone from the MIS", (400_002, 400_003))]
    assert found.linked == {}
    assert (found.proposals, found.records) == ([], {RecordOutcome.DUPLICATE: 1})
    assert college.known_id("L1") is None


def test_the_account_of_another_role_is_not_hers_though_it_has_her_misid(contact: Contact) -> None:
    college = contact()
    college.enrol("A1")
    found = find_links(college.context)
    assert (found.linked, found.duplicates, found.records) == ({}, [], {RecordOutcome.NEW: 1})


def test_account_known_under_another_misid_is_reported_and_not_linked(contact: Contact) -> None:
    college = contact()
    college.enrol("L1")
    college.run()
    (account,) = college.in_onefile("L1")
    college.onefile.world.users[account.id].values["MISID"] = "L2"
    college.enrol("L2")

    found = find_links(college.context)

    assert found.taken == {_key("L2"): account.id}
    assert (found.linked, found.proposals) == ({}, [])
    assert college.known_id("L2") is None


@pytest.mark.parametrize("is_archived", [False, True])
def test_accounts_without_a_misid_are_proposed_by_what_agrees(contact: Contact, is_archived: bool) -> None:
    college = contact()
    _has(
        college,
        {"ID": 400_001, "FirstName": "Sian", "LastName": "O\u2019BRIEN", "ULN": _ULN, "Archived": is_archived},
        {"ID": 400_002, "FirstName": "Ben", "LastName": "Maiden", "Email": "BEN@example.org", "DOB": _DOB},
        {"ID": 400_003, "FirstName": "Cai", "LastName": "Ap-Rhys", "DOB": _DOB},
        {"ID": 400_004, "FirstName": "Eve", "LastName": "Nobody", "DOB": _DOB},
    )
    college.enrol("L1", forename="Siân", surname="O'Brien", uln=_ULN)
    college.enrol("L2", forename="Ben", surname="Müller", email="ben@example.org", dob=_DOB)
    college.enrol("L3", forename="CAI", surname="Ap Rhys", dob=_DOB)
    college.enrol("L4", forename="Dai", surname="Somebody", dob=_DOB)

    found = find_links(college.context)

    assert _told(found) == [
        ("L1", 400_001, Likeness.CERTAIN, True),
        ("L3", 400_003, Likeness.CERTAIN, False),
        ("L2", 400_002, Likeness.LIKELY, False),
    ]
    assert found.records == {RecordOutcome.PROPOSED: 3, RecordOutcome.NEW: 1}
    assert college.known_id("L1") is None
    assert college.writes() == []


def test_find_links_reads_only_candidate_accounts_and_announces_count(contact: Contact) -> None:
    college = contact()
    _has(college, *({"ID": 400_000 + number, "FirstName": "Zoe", "LastName": f"Z{number}"} for number in range(20)))
    _has(college, {"ID": 500_000, "FirstName": "Someone", "LastName": "EXAMPLE-L1"})
    college.enrol("L1")
    college.onefile.journal.clear()
    said: list[int] = []

    find_links(college.context, said.append)

    assert sum(said) == 1
    assert [call.path for call in college.onefile.journal.calls if call.method == "GET"] == ["/User/500000"]


def test_a_create_that_is_in_doubt_is_left_to_the_next_run(contact: Contact) -> None:
    college = contact()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    college.run()

    assert find_links(college.context).linked == {}
    with pytest.raises(LinksUnusable, match=r"line 2, column misid: .*in doubt"):
        apply_links(college.context, [_link("L1", college.in_onefile("L1")[0].id)])

    assert college.run().is_in_sync
    assert len(college.in_onefile("L1")) == 1


def test_a_chosen_account_gets_the_misid_and_then_the_rest_in_one_update(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "LastName": "Maiden"})
    college.enrol("L1")

    done = apply_links(college.context, [_link("L1", 400_000)])

    assert (done.run.state, done.run.applied) == (RunState.FINISHED, {Action.LINK: 1})
    assert college.writes() == [("/User/400000", {"MISID": "L1"})]
    assert college.known_id("L1") == 400_000
    assert college.outcomes("L1") == [("link", "applied")]

    assert college.run().is_in_sync
    ((path, sent),) = college.writes()
    assert path == "/User/400000"
    assert sent["LastName"] == "Example-L1"
    assert "MISID" not in sent
    assert len(college.in_onefile("L1")) == 1


def test_applying_twice_sends_nothing_the_second_time(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1")
    apply_links(college.context, [_link("L1", 400_000)])
    college.writes()
    assert apply_links(college.context, [_link("L1", 400_000)]).run.sent == 0
    assert college.writes() == []


def test_a_link_whose_answer_was_lost_is_made_by_applying_again(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/400000", method="POST", times=3))
    assert apply_links(college.context, [_link("L1", 400_000)]).run.in_doubt == 1

    assert apply_links(college.context, [_link("L1", 400_000)]).run.sent == 1
    assert college.known_id("L1") == 400_000


def test_too_many_links_wait_for_approval(contact: Contact) -> None:
    college = contact()
    college.with_policy(limits=Limits(floor=1))
    _has(college, {"ID": 400_000}, {"ID": 400_001})
    college.enrol("L1", "L2")
    links = [_link("L1", 400_000), _link("L2", 400_001)]

    assert apply_links(college.context, links).run.state is RunState.AWAITING_APPROVAL
    assert college.writes() == []
    assert college.known_id("L1") is None

    assert apply_links(college.context, links, approved_by="a person").run.sent == 2


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (_link("L1", 400_001), "column user_id: the account now has another MISID"),
        (_link("L1", 400_002), "column role: the account is that of a role Assessor"),
        (_link("L1", 999_999), "column user_id: the organisation has no such account"),
        (_link("0L1", 400_000), "column misid: no feed has this MISID for the role Learner"),
        (_link("L1", 400_000, Role.IQA), "column misid: no feed has this MISID for the role IQA"),
        (_link("L2", 400_000), "column misid: OneFile has it on another account, UserID 400003"),
        (_link("L3", 400_000), "column misid: this person has an account already"),
        (_link("L1", 400_004), "column user_id: it is the account of the Learner L4"),
        (_link("L0", 400_000), "column misid: the same person as in"),
        (_link("L1", 400_005), "column user_id: the same account as in"),
    ],
)
def test_one_link_that_cannot_be_made_stops_them_all(contact: Contact, link: LinkRow, why: str) -> None:
    college = contact()
    _has(
        college,
        {"ID": 400_000},
        {"ID": 400_001, "MISID": "somebody's"},
        {"ID": 400_002, "Role": 5},
        {"ID": 400_003, "MISID": "L2", "Archived": True},
        {"ID": 400_004},
        {"ID": 400_005},
    )
    college.enrol("L0", "L1", "L2", "L3", "L4")
    apply_links(college.context, [_link("L4", 400_004)])
    college.run(scope=Scope.of(["L3"]))
    college.writes()

    with pytest.raises(LinksUnusable, match=r"^links\.csv, line 2, ") as refusal:
        apply_links(college.context, [LinkRow(Role.LEARNER, "L0", 400_005, "links.csv, line 1"), link])

    assert why in str(refusal.value)
    assert "Nothing was changed" in str(refusal.value)
    assert college.writes() == []
    assert college.known_id("L0") is None


def test_link_refused_as_archived_is_completed_by_the_next_run(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "Archived": True}, {"ID": 400_001})
    college.enrol("L1", "L2")

    # OneFile does not show that the account is archived, and without a MISID it cannot be searched for.
    done = apply_links(college.context, [_link("L1", 400_000)])

    assert (done.run.refused, done.run.sent) == (1, 0)
    assert college.known_id("L1") == 400_000
    assert college.held == {"L1": "refused"}
    assert college.run().is_in_sync
    assert [user.id for user in college.in_onefile("L1")] == [400_000]
    assert not college.in_onefile("L1")[0].is_archived
    assert college.held == {}


@pytest.mark.parametrize("form", sorted({*ArchivedForm} - _SAYING_NOTHING))
def test_chosen_account_shown_as_archived_is_unarchived_then_linked(contact: Contact, form: ArchivedForm) -> None:
    college = contact(archived_form=form, archived_learners_read_only=False)
    _has(college, {"ID": 400_000, "Archived": True})
    college.enrol("L1")

    assert apply_links(college.context, [_link("L1", 400_000)]).run.sent == 2

    assert college.writes() == [("/User/400000/Unarchive", None), ("/User/400000", {"MISID": "L1"})]
    assert college.run().is_in_sync


def test_chosen_account_that_no_search_by_role_shows_is_unarchived_first(contact: Contact) -> None:
    college = contact(archived_learners_read_only=False)
    _has(college, {"ID": 400_000, "Archived": True}, {"ID": 400_001})
    college.enrol("L1", "L2")

    apply_links(college.context, [_link("L1", 400_000), _link("L2", 400_001)])

    paths = [path for path, _ in college.writes()]
    assert (paths[0], sorted(paths[1:])) == ("/User/400000/Unarchive", ["/User/400000", "/User/400001"])


@pytest.mark.parametrize("form", ArchivedForm)
@pytest.mark.parametrize("archived_in_searches", [False, True])
def test_archived_account_linked_by_misid_is_unarchived_by_the_next_run(
    contact: Contact, form: ArchivedForm, archived_in_searches: bool
) -> None:
    # Full rows, so that searches show it too if they have archived accounts.
    switches = {"archived_form": form, "archived_in_searches": archived_in_searches, "full_rows": True}
    college = contact(archived_learners_read_only=False, **switches)
    _has(college, {"ID": 400_000, "MISID": "L1", "Archived": True}, {"ID": 400_001, "MISID": "L2"})
    college.enrol("L1", "L2")

    assert find_links(college.context).linked == {_key("L1"): 400_000, _key("L2"): 400_001}
    assert college.run().is_in_sync

    is_shown = form not in _SAYING_NOTHING or not archived_in_searches
    assert college.in_onefile("L1")[0].is_archived is not is_shown
    paths = [path for path, _ in college.writes()]
    unarchived = [paths.pop(0)] if is_shown else []
    assert unarchived == ["/User/400000/Unarchive"] * is_shown
    assert sorted(paths) == ["/User/400000", "/User/400001"]


def test_a_wrong_link_is_taken_back_and_the_account_is_not_hers_again(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "ULN": _ULN})
    college.enrol("L1", forename="Ann", surname="Example", uln=_ULN)
    apply_links(college.context, [_link("L1", 400_000)])
    college.writes()

    assert unlink(college.context, _key("L1"), 400_000, "a person") is UnlinkResult.MARKED

    assert college.writes() == [("/User/400000", {"MISID": "unlinked-400000"})]
    assert college.known_id("L1") is None
    assert find_links(college.context).proposals == []
    with pytest.raises(LinksUnusable, match="another MISID"):
        apply_links(college.context, [_link("L1", 400_000)])
    assert college.run().is_in_sync
    assert college.known_id("L1") != 400_000
    assert college.outcomes("L1") == [("link", "applied"), ("update", "applied"), ("create", "applied")]


@pytest.mark.parametrize("misid", ["L2", None])
def test_an_account_that_no_longer_has_the_misid_is_only_forgotten(contact: Contact, misid: str | None) -> None:
    college = contact()
    college.enrol("L1")
    college.run()
    (account,) = college.in_onefile("L1")
    account.values["MISID"] = misid
    college.writes()

    assert unlink(college.context, _key("L1"), account.id, "a person") is UnlinkResult.WAS_GONE

    assert college.writes() == []
    assert college.known_id("L1") is None


@pytest.mark.parametrize("status", [404, 400])
def test_an_account_that_onefile_has_deleted_is_only_forgotten(contact: Contact, status: int) -> None:
    college = contact(unknown_id_status=status)
    college.enrol("L1")
    college.run()
    (account,) = college.in_onefile("L1")
    del college.onefile.world.users[account.id]

    assert unlink(college.context, _key("L1"), account.id, "a person") is UnlinkResult.WAS_GONE
    assert college.known_id("L1") is None


def test_nothing_is_forgotten_when_onefile_refuses(contact: Contact) -> None:
    college = contact()
    college.enrol("L1")
    college.run()
    (account,) = college.in_onefile("L1")
    account.is_archived = True

    assert unlink(college.context, _key("L1"), account.id, "a person") is UnlinkResult.NOT_YET

    assert college.known_id("L1") == account.id
    assert account.values["MISID"] == "L1"


def test_a_link_can_be_forgotten_without_asking_onefile(contact: Contact) -> None:
    college = contact()
    college.enrol("L1")
    college.run()
    college.onefile.journal.clear()
    assert known_keys(college.context, "L1", None).keys() == {_key("L1")}

    forget(college.context, _key("L1"))

    assert known_keys(college.context, "L1", None) == {}
    assert college.onefile.journal.calls == []


def test_lost_store_is_rebuilt_from_misids_in_onefile(contact: Contact) -> None:
    college = contact()
    misids = [f"L{number}" for number in range(60)]
    college.enrol(*misids)
    college.run()
    before = {misid: college.known_id(misid) for misid in misids}
    for misid in misids:
        forget(college.context, _key(misid))
    college.writes()

    assert len(find_links(college.context).linked) == len(misids)

    assert {misid: college.known_id(misid) for misid in misids} == before
    assert college.writes() == []
    done = college.run()
    assert done.is_in_sync
    assert done.applied == {Action.UPDATE: len(misids)}
    assert all(len(college.in_onefile(misid)) == 1 for misid in misids)
