"""What first contact proposes, what the answers do, and that runs hold the people until then."""

from collections.abc import Callable
from typing import Any

import pytest

from syncd.core.evidence import Likeness
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.matching import Mismatch
from syncd.core.records import Key
from syncd.core.run import Action, RunState, Trigger
from syncd.errors import LinksUnusable
from syncd.operations.first_contact import AccountOutcome, LinkProposals, RecordOutcome, find_links
from syncd.operations.link import Decision, LinkRow, LinksApplied, apply_links, unlink
from syncd.simulator import Fault, FaultKind
from syncd.state import answers, held_records, link_proposals
from syncd.state.held_records import Selection
from syncd.sync.run import run_once
from tests.support.college import College
from tests.support.college import Found as Founded
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, dob AS DOB,
       starts AS StartOn, classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN = "9276308686"
_DOB = "2001-06-01"
_ANN = {"forename": "Ann", "surname": "Example", "email": "ann@example.org", "uln": _ULN, "dob": _DOB}

Contact = Callable[..., College]


@pytest.fixture
def contact(found: Founded) -> Contact:
    """Founds a college whose MIS has dates of birth, ULNs and starts of programmes."""

    def found_college(**switches: Any) -> College:
        college = found(**switches)
        college.add_columns("uln", "dob", "starts")
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
        "DOB": _DOB,
        "ULN": _ULN,
        "DefaultAssessorID": ASSESSOR,
        "ClassroomID": CLASSROOM,
        "PlacementID": PLACEMENT,
    }
    college.onefile.sow({"users": [{**common, **user} for user in users]})


def _key(misid: str, role: Role = Role.LEARNER) -> Key:
    return Key(ORGANISATION, role, misid)


def _answered(found: LinkProposals, *decisions: Decision) -> list[LinkRow]:
    """The rows of a file with these answers, in the order of the proposals."""
    return [
        LinkRow(each.key.role, each.key.misid, each.user_id, f"links.csv, line {line}", said, each.misid_in_onefile)
        for line, (each, said) in enumerate(zip(found.proposals, decisions, strict=True), start=2)
    ]


def _apply(college: College, found: LinkProposals, *decisions: Decision) -> LinksApplied:
    return apply_links(college.context, _answered(found, *decisions))


def _pending(college: College) -> dict[Key, tuple[int, ...]]:
    with college.context.reading_session() as session:
        return link_proposals.pending(session)


def _poll(college: College) -> None:
    run_once(college.context, Trigger.SCHEDULE)


def _searched(college: College) -> set[str]:
    """The MISIDs that OneFile was searched for since the writes were last asked for."""
    return {
        call.body["MISID"] for call in college.onefile.journal.calls if call.is_search and "MISID" in (call.body or {})
    }


@pytest.mark.parametrize(
    ("misid", "mismatch"),
    [("OLD-7", Mismatch.OTHER), ("l1", Mismatch.LOOKALIKE), ("000L1", Mismatch.LOOKALIKE), (None, Mismatch.NONE)],
)
def test_account_with_another_misid_gets_the_records_by_the_file(
    contact: Contact, misid: str | None, mismatch: Mismatch
) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": misid})
    college.enrol("L1", **_ANN)

    found = find_links(college.context)

    (proposal,) = found.proposals
    assert (proposal.user_id, proposal.mismatch, proposal.misid_in_onefile) == (400_000, mismatch, misid or "")
    assert college.writes() == []
    assert _apply(college, found, Decision.YES).run.applied == {Action.LINK: 1}
    assert college.writes() == [("/User/400000", {"MISID": "L1"})]
    assert college.run().is_in_sync
    assert college.known_id("L1") == 400_000
    assert college.outcomes("L1") == [("link", "applied"), ("update", "applied")]


@pytest.mark.parametrize(
    ("stated", "now", "complaint"),
    [
        (None, "OLD-7", "column user_id: the account now has another MISID"),
        (None, None, ""),
        ("", "OLD-7", "column misid_in_onefile: in OneFile this is not, or no longer, its MISID"),
        ("OLD-7", "OLD-8", "column misid_in_onefile: in OneFile this is not, or no longer, its MISID"),
        ("OLD-7", None, "column misid_in_onefile: in OneFile this is not, or no longer, its MISID"),
        ("0007", "7", "column misid_in_onefile: in OneFile this is not, or no longer, its MISID"),
        ("OLD-7", "OLD-7", ""),
        ("OLD\u00a07", "OLD 7", ""),
        ("OLD-7", "L1", ""),
    ],
)
def test_row_whose_account_has_another_misid_than_it_says_is_refused(
    contact: Contact, stated: str | None, now: str | None, complaint: str
) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": now})
    college.enrol("L1", **_ANN)
    row = LinkRow(Role.LEARNER, "L1", 400_000, "links.csv, line 2", Decision.YES, stated)

    if not complaint:
        assert apply_links(college.context, [row]).run.sent == 1
        return
    with pytest.raises(LinksUnusable) as refusal:
        apply_links(college.context, [row])
    assert str(refusal.value).startswith(f"links.csv, line 2, {complaint}")
    assert college.writes() == []


def test_account_of_a_married_learner_is_found_by_its_first_name(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "LastName": "Maiden"}, {"ID": 400_001, "FirstName": "Bo", "LastName": "Stranger"})
    college.enrol("L1", **_ANN)
    college.onefile.journal.clear()

    found = find_links(college.context)

    assert [(each.user_id, each.likeness) for each in found.proposals] == [(400_000, Likeness.CERTAIN)]
    assert [call.path for call in college.onefile.journal.calls if call.method == "GET"] == ["/User/400000"]


def test_accounts_are_read_once_and_only_if_a_record_may_be_theirs(contact: Contact) -> None:
    college = contact()
    _has(
        college,
        {"ID": 400_000},
        {"ID": 400_001, "MISID": "OLD-7"},
        {"ID": 400_002, "LastName": "Maiden", "Archived": True},
        {"ID": 400_003, "LastName": "Maiden"},
        {"ID": 400_004, "FirstName": "Bo", "LastName": "Stranger"},
        {"ID": 400_005, "FirstName": "Bo", "LastName": "Stranger", "MISID": "0L2"},
        {"ID": 400_006, "MISID": "L3", "LastName": "Three"},
    )
    college.enrol("L1", **_ANN)
    college.enrol("L2", forename="Cai", surname="Two")
    college.enrol("L3", forename="Ann", surname="Three")
    college.onefile.journal.clear()
    said: list[int] = []

    find_links(college.context, said.append)

    # The first name alone makes an account worth it only if its record has found nothing better.
    read = [call.path for call in college.onefile.journal.calls if call.method == "GET"]
    assert sorted(read) == ["/User/400000", "/User/400001", "/User/400005"]
    assert sum(said) == len(read)


def test_account_that_is_gone_when_it_is_read_is_not_proposed(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)

    def lose(_calls: int) -> None:
        college.onefile.world.users.pop(400_000, None)

    found = find_links(college.context, lose)

    assert (found.proposals, _pending(college)) == ([], {})


def test_run_holds_proposed_records_without_searching_for_them(contact: Contact) -> None:
    college = contact()
    people = [f"L{number}" for number in range(30)]
    _has(college, *({"ID": 400_000 + number, "LastName": f"Example-L{number}"} for number in range(30)))
    for misid in people:
        college.enrol(misid, dob=_DOB)
    college.enrol("N1", forename="Noa", surname="Newcomer")
    found = find_links(college.context)
    assert len(found.proposals) == len(people)
    college.writes()

    _poll(college)

    assert college.held == dict.fromkeys(people, "has_an_account?")
    assert "UserID 400007" in college.detail("L7")
    assert [body["MISID"] for _, body in college.writes()] == ["N1"]
    _poll(college)
    assert _searched(college) == set()
    assert college.writes() == []

    assert _apply(college, found, *[Decision.YES] * 30).run.applied == {Action.LINK: 30}
    assert college.run().is_in_sync
    assert college.held == {}
    assert all(len(college.in_onefile(misid)) == 1 for misid in people)
    assert len(college.onefile.world.users) == 1 + 30 + 1


def test_answer_no_creates_the_record_and_asks_no_second_time(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)

    done = _apply(college, find_links(college.context), Decision.NO)

    assert (done.new, done.open, done.run.sent) == (1, 0, 0)
    assert _pending(college) == {}
    again = find_links(college.context)
    assert (again.proposals, again.records) == ([], {RecordOutcome.NEW: 1})
    assert college.run().is_in_sync
    assert college.known_id("L1") not in {None, 400_000}
    assert college.onefile.world.users[400_000].misid is None


@pytest.mark.parametrize(
    ("decisions", "becomes"),
    [
        ((Decision.NO, Decision.NO), "created"),
        ((Decision.NO, Decision.OPEN), "held"),
        ((Decision.OPEN, Decision.NO), "held"),
        ((Decision.OPEN, Decision.OPEN), "held"),
        ((Decision.NO, Decision.YES), "linked"),
        ((Decision.YES, Decision.OPEN), "linked"),
    ],
)
def test_record_waits_until_each_of_its_proposals_is_answered(
    contact: Contact, decisions: tuple[Decision, Decision], becomes: str
) -> None:
    college = contact()
    _has(college, {"ID": 400_000}, {"ID": 400_001})
    college.enrol("L1", **_ANN)
    found = find_links(college.context)
    assert [each.is_ambiguous for each in found.proposals] == [True, True]

    _apply(college, found, *decisions)
    college.run()

    users = len(college.onefile.world.users) - 1
    known = college.known_id("L1")
    match becomes:
        case "created":
            assert (users, known in {400_000, 400_001}) == (3, False)
        case "held":
            assert (users, known, college.held) == (2, None, {"L1": "has_an_account?"})
        case _:
            assert (users, known) == (2, 400_000 + decisions.index(Decision.YES))
    assert bool(_pending(college)) is (becomes == "held")


def test_second_file_answers_what_the_first_left_open(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000}, {"ID": 400_001})
    college.enrol("L1", **_ANN)
    found = find_links(college.context)
    first, second = _answered(found, Decision.NO, Decision.NO)

    assert apply_links(college.context, [first]).open == 1
    assert _pending(college) == {_key("L1"): (400_001,)}
    assert apply_links(college.context, [second]).new == 1
    assert _pending(college) == {}


def test_links_that_wait_for_approval_stay_held_and_other_answers_count(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000}, {"ID": 400_001, "FirstName": "Ben", "ULN": None, "Email": "b@example.org"})
    college.enrol("L1", **_ANN)
    college.enrol("L2", **(_ANN | {"forename": "Ben", "uln": None, "email": "b@example.org"}))
    found = find_links(college.context)
    college.with_policy(limits=Limits(percent=0, floor=0))

    done = _apply(college, found, Decision.YES, Decision.NO)

    assert (done.run.state, done.open, done.new) == (RunState.AWAITING_APPROVAL, 1, 1)
    assert _pending(college) == {_key("L1"): (400_000,)}


def test_link_whose_answer_was_lost_stays_held_until_applied_again(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)
    found = find_links(college.context)
    college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User/400000", method="POST", times=3))

    assert _apply(college, found, Decision.YES).open == 1
    college.run()

    assert college.held == {"L1": "has_an_account?"}
    assert _apply(college, found, Decision.YES).run.sent == 1
    assert college.run().is_in_sync
    assert len(college.onefile.world.users) == 2


def test_retry_answers_a_proposal_whether_a_run_has_held_it_or_not(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000}, {"ID": 400_001, "FirstName": "Ben", "ULN": None, "Email": "b@example.org"})
    college.enrol("L1", **_ANN)
    find_links(college.context)
    college.run()
    college.enrol("L2", **(_ANN | {"forename": "Ben", "uln": None, "email": "b@example.org"}))
    find_links(college.context)

    with college.context.session() as session:
        assert held_records.retry(session, Selection(["L1", "L2", "L3"])) == 2
    assert _pending(college) == {}
    assert college.run().is_in_sync
    assert {college.known_id("L1"), college.known_id("L2")}.isdisjoint({None, 400_000, 400_001})


def test_new_comparison_that_proposes_nothing_releases_the_record(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)
    find_links(college.context)
    college.run()
    assert college.held == {"L1": "has_an_account?"}
    college.onefile.world.users[400_000].values |= {"FirstName": "Somebody", "LastName": "Else"}

    assert find_links(college.context).proposals == []

    assert college.run().is_in_sync
    assert len(college.onefile.world.users) == 3


def test_misid_that_appears_in_onefile_is_linked_by_the_next_comparison(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)
    find_links(college.context)
    college.onefile.world.users[400_000].values["MISID"] = "L1"

    assert find_links(college.context).linked == {_key("L1"): 400_000}

    assert _pending(college) == {}
    assert college.run().is_in_sync


def test_file_without_the_new_column_and_without_stored_proposals_still_works(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000}, {"ID": 400_001})
    college.enrol("L1", **_ANN)
    college.enrol("L2", **_ANN)
    rows = [
        LinkRow(Role.LEARNER, "L1", 400_000, "links.csv, line 2"),
        LinkRow(Role.LEARNER, "L2", 400_001, "links.csv, line 3", Decision.NO),
    ]

    done = apply_links(college.context, rows)

    assert (done.run.sent, done.new) == (1, 1)


def test_answer_no_for_a_misid_of_no_record_is_refused(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("0L1", **_ANN)
    rows = [LinkRow(Role.LEARNER, "L1", 400_000, "links.csv, line 2", Decision.NO)]

    with pytest.raises(LinksUnusable, match="line 2, column misid: no feed has this MISID for the role Learner"):
        apply_links(college.context, rows)


def test_answer_no_for_a_proposed_person_who_has_left_is_accepted(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000})
    college.enrol("L1", **_ANN)
    found = find_links(college.context)
    college.withdraw("L1")

    assert _apply(college, found, Decision.NO).run.sent == 0
    assert _pending(college) == {}


def test_account_with_the_misid_of_another_person_is_proposed_for_its_own(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L2"})
    college.enrol("L1", **_ANN)
    college.enrol("L2", forename="Ben", surname="Frost", dob="1999-01-01")

    found = find_links(college.context)

    assert found.linked == {}
    ((key, (user_id, evidence)),) = found.wrong.items()
    assert (key, user_id) == (_key("L2"), 400_000)
    assert str(evidence) == "FirstName, LastName, Email and DOB differ"
    (proposal,) = found.proposals
    assert (proposal.key, proposal.mismatch, proposal.misid_in_onefile) == (_key("L1"), Mismatch.WRONG, "L2")
    assert found.accounts[AccountOutcome.PROPOSED] == 1
    assert found.records == {RecordOutcome.PROPOSED: 1, RecordOutcome.WRONG: 1}

    _apply(college, found, Decision.YES)
    assert college.run().is_in_sync
    assert college.known_id("L1") == 400_000
    assert college.known_id("L2") not in {None, 400_000}


@pytest.mark.parametrize(
    ("account", "is_linked"),
    [
        ({"LastName": "Maiden"}, True),
        ({"FirstName": "Frost", "LastName": "Ben"}, True),
        ({"FirstName": "Known", "LastName": "Otherwise", "DOB": "1999-01-01", "ULN": "1000000078"}, True),
        ({"FirstName": "Known", "LastName": "Otherwise", "DOB": "1999-01-01", "ULN": None}, False),
        ({"FirstName": "Known", "LastName": "Otherwise"}, False),
    ],
    ids=["married", "names exchanged", "ULN and DOB equal", "DOB equal", "another person"],
)
def test_misid_links_unless_names_and_all_else_contradict_it(
    contact: Contact, account: dict[str, Any], is_linked: bool
) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L2", "FirstName": "Ben", **account})
    college.enrol("L2", forename="Ben", surname="Frost", dob="1999-01-01", uln="1000000078")

    assert bool(find_links(college.context).linked) is is_linked


def test_contradiction_that_an_operator_has_settled_is_linked(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L2"})
    college.enrol("L2", forename="Ben", surname="Frost", dob="1999-01-01")
    with college.context.session() as session:
        answers.save(session, _key("L2"), StoredAnswer(Answer.SAME))

    assert find_links(college.context).linked == {_key("L2"): 400_000}


def test_two_accounts_that_have_each_others_misid_are_put_right_by_one_file(contact: Contact) -> None:
    college = contact()
    ben = {"FirstName": "Ben", "LastName": "Frost", "DOB": "1999-01-01", "ULN": None, "Email": "ben@example.org"}
    _has(college, {"ID": 400_000, "MISID": "L2"}, {"ID": 400_001, "MISID": "L1", **ben})
    college.enrol("L1", **_ANN)
    college.enrol("L2", forename="Ben", surname="Frost", dob="1999-01-01", email="ben@example.org")
    found = find_links(college.context)
    assert [(each.key.misid, each.user_id) for each in found.proposals] == [("L1", 400_000), ("L2", 400_001)]
    ours, theirs = _answered(found, Decision.YES, Decision.YES)

    with pytest.raises(LinksUnusable, match="OneFile has it on another account, UserID 400001; remove it there"):
        apply_links(college.context, [ours])
    assert apply_links(college.context, [ours, theirs]).run.sent == 2
    assert college.run().is_in_sync
    assert (college.known_id("L1"), college.known_id("L2")) == (400_000, 400_001)


def test_account_of_an_earlier_programme_is_no_question(contact: Contact) -> None:
    college = contact()
    _has(college, {"ID": 400_000, "MISID": "L1-2024", "PlannedEndDate": "2025-07-31"})
    college.enrol("L1", **_ANN, starts="2025-09-01")

    found = find_links(college.context)

    assert [each.mismatch for each in found.proposals] == [Mismatch.EARLIER]
    assert _pending(college) == {}
    assert college.run().is_in_sync
    assert college.known_id("L1") not in {None, 400_000}


def test_every_account_and_record_is_counted_once(contact: Contact) -> None:
    college = contact()
    college.enrol("K1", forename="Kim", surname="Known")
    college.run()
    _has(
        college,
        {"ID": 400_000},
        {"ID": 400_001, "MISID": "L2", "LastName": "Two"},
        {"ID": 400_002, "MISID": "L3"},
        {"ID": 400_003, "MISID": "L3"},
        {"ID": 400_004, "MISID": "L4", "FirstName": "Wanda", "LastName": "Wrong", "ULN": None, "DOB": None},
        {"ID": 400_005, "MISID": "L5"},
        {"ID": 400_006, "FirstName": "Noa", "LastName": "Nobody"},
        {"ID": 400_007, "FirstName": "Noa", "LastName": "Nobody", "MISID": "GONE"},
        {"ID": 400_008, "FirstName": "Noa", "LastName": "Nobody", "Archived": True},
    )
    college.enrol("L1", **_ANN)
    college.enrol("L2", surname="Two")
    college.enrol("L3", surname="Three")
    college.enrol("L4", surname="Four", forename="Fay")
    college.enrol("L5", surname="Five", email=None)
    college.enrol("L6", surname="Six", forename="Sol")

    found = find_links(college.context)

    assert found.accounts == {
        AccountOutcome.KNOWN: 1,
        AccountOutcome.PROPOSED: 1,
        AccountOutcome.LINKED: 1,
        AccountOutcome.DUPLICATE: 2,
        AccountOutcome.WRONG: 1,
        AccountOutcome.NOT_LINKED: 1,
        AccountOutcome.NO_MISID: 1,
        AccountOutcome.OTHER_MISID: 1,
        # The assessor, who has no feed, beside the archived learner.
        AccountOutcome.UNLISTED: 2,
    }
    assert found.records == {
        RecordOutcome.KNOWN: 1,
        RecordOutcome.PROPOSED: 1,
        RecordOutcome.LINKED: 1,
        RecordOutcome.DUPLICATE: 1,
        RecordOutcome.WRONG: 1,
        RecordOutcome.HELD: 1,
        RecordOutcome.NEW: 1,
    }


def test_unlinked_record_is_not_held_by_what_was_proposed_before(contact: Contact) -> None:
    college = contact()
    college.enrol("L1", **_ANN)
    college.run()
    _has(college, {"ID": 400_000})
    user_id = college.known_id("L1")
    assert user_id is not None
    with college.context.session() as session:
        link_proposals.replace(session, [(_key("L1"), 400_000)])

    unlink(college.context, _key("L1"), user_id, "a person")

    assert _pending(college) == {}


def _with_places(college: College, role: Role = Role.PLACEMENT) -> None:
    """Gives the MIS a feed of places, and nothing else."""
    college.execute("CREATE TABLE place (MISID, Name)")
    college.with_feed("SELECT MISID, Name FROM place", role)


@pytest.mark.parametrize(
    ("role", "part", "path"),
    [(Role.PLACEMENT, "placements", "/Placement"), (Role.CLASSROOM, "classrooms", "/Classroom")],
)
def test_place_of_the_same_name_with_another_misid_is_linked_by_the_file(
    contact: Contact, role: Role, part: str, path: str
) -> None:
    college = contact()
    _with_places(college, role)
    # The id of a place may be that of a user as well.
    place = {"OrganisationID": ORGANISATION, "ID": ASSESSOR, "Name": "HAS OTHER", "MISID": "ZZ"}
    college.onefile.sow({part: [place]})
    college.execute("INSERT INTO place VALUES ('S4', 'Has other'), ('S5', 'Has none')")

    found = find_links(college.context)

    (proposal,) = found.proposals
    assert (proposal.key, proposal.user_id, proposal.misid_in_onefile) == (_key("S4", role), ASSESSOR, "ZZ")
    assert found.new_places == 1
    college.run()
    assert college.held == {"S4": "has_an_account?"}
    assert [(sent, body["MISID"]) for sent, body in college.writes()] == [(path, "S5")]

    assert _apply(college, found, Decision.YES).run.sent == 1
    assert college.writes() == [(f"{path}/{ASSESSOR}", {"MISID": "S4"})]
    assert college.known_id("S4", role) == ASSESSOR
    assert college.run().is_in_sync
    assert college.held == {}
    assert [sent for sent, _ in college.writes() if sent == path] == []


def test_places_that_a_run_links_by_itself_are_not_proposed(contact: Contact) -> None:
    college = contact()
    _with_places(college)
    here = {"OrganisationID": ORGANISATION}
    college.onefile.sow({"placements": [{**here, "Name": "By name"}, {**here, "Name": "Renamed", "MISID": "S2"}]})
    college.execute("INSERT INTO place VALUES ('S1', 'By name'), ('S2', 'By MISID')")

    found = find_links(college.context)

    assert (found.proposals, found.new_places) == ([], 0)


def test_answer_no_about_a_place_has_the_run_create_it(contact: Contact) -> None:
    college = contact()
    _with_places(college)
    college.onefile.sow({"placements": [{"OrganisationID": ORGANISATION, "Name": "Branch", "MISID": "ZZ"}]})
    college.execute("INSERT INTO place VALUES ('S4', 'Branch')")

    assert _apply(college, find_links(college.context), Decision.NO).new == 1

    assert college.run().is_in_sync
    assert [path for path, _ in college.writes()] == ["/Placement"]


@pytest.mark.parametrize(
    ("user_id", "misid", "complaint"),
    [
        (999, None, "column user_id: the organisation has no such place in OneFile"),
        (PLACEMENT, None, "column misid_in_onefile: in OneFile this is not, or no longer, its MISID"),
    ],
)
def test_row_of_a_place_that_cannot_be_applied_is_named(
    contact: Contact, user_id: int, misid: str | None, complaint: str
) -> None:
    college = contact()
    _with_places(college)
    college.execute("INSERT INTO place VALUES ('S4', 'Branch')")
    row = LinkRow(Role.PLACEMENT, "S4", user_id, "links.csv, line 2", Decision.YES, misid or "ZZ")

    with pytest.raises(LinksUnusable) as refusal:
        apply_links(college.context, [row])
    assert complaint in str(refusal.value)
