"""What is explained of a record is what a run then does about it."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Trigger
from syncd.errors import ConfigurationError
from syncd.operations.explain import Decision, RecordExplanation, explain
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.state import accounts
from syncd.sync.context import LONGEST_SEARCH_LAG
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

from .whole import Whole

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, born AS DOB,
       phone AS Telephone, classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN = "9276308686"
_DAY = 86_400


@pytest.fixture
def college(found: Found) -> College:
    """Three learners, in step."""
    college = found(strict=True)
    college.add_columns("uln", "born")
    college.with_feed(_FEED)
    college.enrol("L1", uln=_ULN)
    college.enrol("L2", "L3")
    assert college.run().is_in_sync
    college.writes()
    return college


@pytest.fixture
def whole(found: Found) -> Whole:
    """Feeds of every kind, of which OneFile has not been told."""
    whole = Whole(found(employer_must_be_assigned=True))
    whole.add_everything()
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
    whole.links = {Role.EMPLOYER: [("L1", "E1")], Role.IQA: [("L1", "Q1")]}
    whole.write()
    return whole


def _of(college: College, misid: str) -> RecordExplanation:
    """The only record with the MISID; explaining it changes nothing in OneFile."""
    (explained,) = explain(college.context, misid).records
    assert college.writes() == []
    return explained


def _calls(*explained: RecordExplanation) -> list[tuple[str, dict[str, Any] | None]]:
    """As the simulator notes them."""
    return [(call.path, dict(call.fields) or None) for each in explained for call in each.calls]


def _columns(explained: RecordExplanation) -> dict[str, str]:
    """How each column was read, by its name; a default by the name of its field."""
    return {cell.column or f"default {cell.field}": cell.how for row in explained.rows for cell in row.cells}


def _assert_a_run_does_it(college: College, told: RecordExplanation) -> None:
    college.run()
    assert _calls(told) == college.writes()


def test_a_newcomer_would_be_created(college: College) -> None:
    college.enrol("L6")

    told = _of(college, "L6")

    assert (told.decided.decision, told.decided.sentence) == (Decision.CREATE, "would be created")
    assert told.account is None
    assert [(row.feed, row.number) for row in told.rows] == [("people", 4)]
    _assert_a_run_does_it(college, told)


def test_only_what_differs_would_be_updated(college: College) -> None:
    college.correct("L1", surname="Married")

    told = _of(college, "L1")

    assert (told.decided.decision, told.decided.sentence) == (Decision.UPDATE, "would be updated: LastName")
    assert [cell.column for cell in told.rows[0].cells if cell.is_sent] == ["LastName"]
    differences = {cell.column: cell.difference for cell in told.rows[0].cells}
    assert (differences["LastName"], differences["FirstName"]) == ("differs", "same")
    assert told.account is not None
    assert told.account.user_id == college.known_id("L1")
    assert told.account.accepted["LastName"] == "Example-L1"
    _assert_a_run_does_it(college, told)


def test_explain_of_record_in_sync_makes_no_onefile_calls(college: College) -> None:
    before = len(college.onefile.journal.calls)

    told = _of(college, "L1")

    assert (told.decided.decision, told.calls) == (Decision.IN_STEP, ())
    assert len(college.onefile.journal.calls) == before
    assert told.last_change is not None
    assert (told.last_change.action, told.last_change.outcome) == ("create", "applied")


def test_an_account_that_only_onefile_knows_would_be_linked(college: College) -> None:
    user_id = college.known_id("L1")
    with college.context.store.begin() as connection:
        accounts.forget(session_on(connection), Key(ORGANISATION, Role.LEARNER, "L1"))

    told = _of(college, "L1")

    assert (told.decided.decision, told.decided.sentence) == (Decision.LINK, f"would be linked to UserID {user_id}")
    _assert_a_run_does_it(college, told)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"email": None}, "Email is empty"),
        ({"email": "nobody"}, "Email is not an e-mail address"),
        ({"classroom": "Basket Weaving"}, "OneFile has no classroom with the Name 'Basket Weaving'"),
    ],
)
def test_what_cannot_be_sent_is_held_in_the_words_of_the_held_list(
    college: College, columns: dict[str, str | None], reason: str
) -> None:
    college.enrol("L6", **columns)
    assert _of(college, "L6").entries == ()
    college.run()
    since = college.clock.now
    college.clock.sleep(_DAY)

    told = _of(college, "L6")

    assert (told.decided.decision, told.decided.sentence) == (Decision.HELD, f"is held: {reason}")
    assert told.calls == ()
    assert [(entry.detail, entry.since) for entry in told.entries] == [(reason, since)]


def test_a_misid_in_two_rows_is_held_with_both_rows(college: College) -> None:
    college.enrol("L6")
    college.enrol("L6", surname="Another")

    told = _of(college, "L6")

    assert told.decided.decision is Decision.HELD
    assert [row.number for row in told.rows] == [4, 5]


def test_what_onefile_has_refused_is_held_with_its_words(college: College) -> None:
    college.enrol("L6", surname="Longest" * 10)
    college.run()
    college.writes()

    told = _of(college, "L6")

    assert told.decided.sentence.startswith("is held: OneFile refused it with status 4")
    assert told.last_change is not None
    assert told.last_change.outcome == "refused"


def test_a_create_without_an_answer_is_in_doubt(college: College) -> None:
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    college.enrol("L6")
    college.run()
    since = college.clock.now
    college.writes()

    told = _of(college, "L6")

    assert (told.decided.decision, told.in_doubt_since) == (Decision.HELD, since)
    assert "searches OneFile for it" in told.decided.why


def test_explain_says_what_a_create_in_doubt_waits_for(college: College) -> None:
    college.with_policy(longest_search_lag=LONGEST_SEARCH_LAG)
    college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User"))
    college.enrol("L6")
    college.run()
    college.run()
    college.writes()

    told = _of(college, "L6")

    assert "no account since" in told.entries[0].detail


def test_explain_holds_new_record_that_matches_leaver_outside_scope(college: College) -> None:
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN)

    told = _of(college, "NEW")

    assert told.decided.decision is Decision.HELD
    assert "syncd rekey L1 NEW" in told.decided.sentence


def test_an_account_that_has_its_new_misid_already_would_be_rekeyed(college: College) -> None:
    user_id = college.known_id("L1")
    college.in_onefile("L1")[0].values["MISID"] = "NEW"
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN)

    old, told = _of(college, "L1"), _of(college, "NEW")

    assert (old.decided.decision, old.decided.sentence) == (Decision.REKEY, "would become NEW")
    assert told.decided.sentence == f"would be given the account of L1, UserID {user_id}"
    _assert_a_run_does_it(college, told)


def test_explained_outcome_of_leaver_follows_settings(college: College) -> None:
    college.withdraw("L1")
    assert "the next run is the first" in _of(college, "L1").decided.sentence
    college.run()
    college.writes()

    told = _of(college, "L1")
    assert told.decided.decision is Decision.LEAVER
    assert told.account is not None
    assert told.account.left_at == college.clock.now
    assert 'leavers.action is "report"' in told.decided.why

    college.with_policy(archives_leavers=True, protected=frozenset({"L1"}))
    assert "leavers.protect" in _of(college, "L1").decided.why
    college.with_policy(protected=frozenset())
    assert "29 Jan 2026" in _of(college, "L1").decided.why
    college.clock.sleep(14 * _DAY)
    assert "completely on 0 of the 14 days" in _of(college, "L1").decided.why
    college.clock.sleep(-14 * _DAY)
    college.pass_days(14)

    told = _of(college, "L1")
    assert "would archive it now" in told.decided.why
    _assert_a_run_does_it(college, told)
    assert _of(college, "L1").decided.decision is Decision.ARCHIVED

    college.enrol("L1", uln=_ULN, surname="Married")
    told = _of(college, "L1")
    assert told.decided.sentence == "would be unarchived, then updated: LastName"
    _assert_a_run_does_it(college, told)


def test_explained_leaver_is_not_archived_while_new_record_may_match(college: College) -> None:
    college.with_policy(archives_leavers=True)
    college.withdraw("L1")
    college.run()
    college.pass_days(14)
    college.clock.go_on(days=1)
    college.enrol("NEW", uln=_ULN)

    told = _of(college, "L1")

    assert told.calls == ()
    assert "may be the same person" in told.decided.why
    _assert_a_run_does_it(college, told)


def test_explain_describes_how_each_column_was_read_without_its_value(college: College) -> None:
    college.correct("L1", uln="9276308687", phone="0113 496 0000", born="1999-02-28")

    assert _columns(_of(college, "L1")) == {
        "MISID": "the key",
        "FirstName": "text",
        "LastName": "text",
        "Email": "an e-mail address",
        "ULN": "left out: has a wrong check digit",
        "DOB": "a date",
        "Telephone": "text",
        "ClassroomName": f"looked up as the classroom with the Name 'Business Admin L2': ID {CLASSROOM}",
        "PlacementID": f"OneFile's own id: {PLACEMENT}",
        "DefaultAssessorMISID": f"looked up as the assessor with the MISID 'A1': UserID {ASSESSOR}",
    }


def test_explain_shows_resolved_references_for_unchanged_record(college: College) -> None:
    columns = _columns(_of(college, "L1"))

    assert columns["DefaultAssessorMISID"].endswith(f"'A1': UserID {ASSESSOR}")
    assert columns["Telephone"] == "empty"


def test_explain_shows_hold_reason_at_its_column(college: College) -> None:
    college.enrol("L6", email=None)
    college.enrol("L7", email="nobody")
    college.enrol("L8", assessor="A404")

    assert _columns(_of(college, "L6"))["Email"] == "empty, and holds the record"
    assert _columns(_of(college, "L7"))["Email"] == "holds the record: is not an e-mail address"
    assert _columns(_of(college, "L8"))["DefaultAssessorMISID"].endswith("'A404': not found")


def test_an_optional_code_that_is_not_found_is_explained_as_left_out(whole: Whole) -> None:
    whole.learner("L2", DefaultEmployerMISID="E404")
    whole.write()

    told = _of(whole.college, "L2")

    assert told.decided.decision is Decision.CREATE
    assert _columns(told)["DefaultEmployerMISID"] == (
        "left out: looked up as the employer with the MISID 'E404': not found"
    )


def test_explain_shows_default_and_column_without_precedence(college: College) -> None:
    feed = _FEED.replace("ClassroomName", "ClassroomName, 'C404' AS ClassroomMISID").replace("placement AS", "NULL AS")
    college.with_feed(feed)
    college.with_policy(defaults={"PlacementID": PLACEMENT})

    columns = _columns(_of(college, "L1"))

    assert columns["ClassroomName"] == "not used: another column takes precedence"
    assert columns["PlacementID"] == "empty"
    assert columns["default PlacementID"] == f"from [defaults]: OneFile's own id: {PLACEMENT}"


def test_explain_of_unknown_misid_suggests_similar_spellings(college: College) -> None:
    nobody = explain(college.context, "L404")
    assert (nobody.records, nobody.alike) == ((), ())
    assert explain(college.context, "0l1").alike == ("L1",)


def test_a_column_that_does_not_fit_is_named(college: College) -> None:
    college.with_feed(_FEED.replace("AS LastName", "AS LastNam"))
    with pytest.raises(ConfigurationError, match="Feed people: column 'LastNam'"):
        explain(college.context, "L1")


def test_explained_assignment_waits_for_account_created_in_same_run(whole: Whole) -> None:
    college = whole.college

    learner, employer = _of(college, "L1"), _of(college, "E1")

    assert learner.decided.sentence == (
        "would be created, then assigned the Employer E1, then assigned the IQA Q1, then updated: DefaultEmployerID"
    )
    assert _columns(learner)["DefaultAssessorMISID"].endswith("'A9': created in the same run")
    assert {(each.role, each.misid, each.state) for each in learner.assignments} == {
        (Role.EMPLOYER, "E1", "would be assigned"),
        (Role.IQA, "Q1", "would be assigned"),
    }
    assert employer.decided.sentence == "would be created, then assigned to the placement"

    college.run()
    ids = {f"{{UserID of the {role} {misid}}}": whole.id_of(role, misid) for role, misid in _PEOPLE}
    ids |= {f"{{ID of the {role} {misid}}}": whole.id_of(role, misid) for role, misid in _PLACES}
    made = college.writes()
    for path, body in _calls(learner, employer):
        for words, onefile_id in ids.items():
            path = path.replace(words, str(onefile_id))  # noqa: PLW2901
        said = {name: ids.get(str(value), value) for name, value in (body or {}).items()} or None
        assert (path, said) in made
    assert [each.state for each in _of(college, "L1").assignments] == ["is assigned", "is assigned"]


_PEOPLE = ((Role.LEARNER, "L1"), (Role.EMPLOYER, "E1"), (Role.IQA, "Q1"), (Role.ASSESSOR, "A9"))
_PLACES = ((Role.PLACEMENT, "P1"), (Role.CLASSROOM, "C1"))


def test_explain_shows_held_assignment_and_assignment_gone_from_feed(whole: Whole) -> None:
    whole.run()
    whole.forget()
    whole.links = {Role.EMPLOYER: [("L1", "E1")], Role.IQA: [("L1", "Q404")]}
    whole.write()

    states = {each.misid: each.state for each in _of(whole.college, "L1").assignments}

    assert states["E1"] == "is assigned"
    assert states["Q404"] == "is held: there is no account of the IQA with the MISID 'Q404'"
    assert states["Q1"].startswith("is assigned, and in no feed any more")


def test_places_of_one_name_are_held_as_a_run_would_hold_them(whole: Whole) -> None:
    college = whole.college
    college.onefile.sow({"classrooms": [{"OrganisationID": ORGANISATION, "Name": "Twins"}]})
    for misid in ("C2", "C3"):
        whole.add(Role.CLASSROOM, misid, Name="Twins")
    whole.write()

    told = _of(college, "C2")

    assert told.decided.decision is Decision.HELD
    assert "and the MIS several" in told.decided.sentence


def test_explain_of_misid_in_several_roles_lists_each_role(whole: Whole) -> None:
    whole.add(Role.IQA, "A9")
    whole.write()

    told = explain(whole.college.context, "A9").records

    assert [(each.key.role, each.decided.decision) for each in told] == [
        (Role.ASSESSOR, Decision.CREATE),
        (Role.IQA, Decision.CREATE),
    ]


def test_a_row_of_another_organisation_is_none_of_this_one(college: College) -> None:
    college.with_feed(
        _FEED.replace("FROM person", ", CASE misid WHEN 'L9' THEN 5741 END AS OrganisationID FROM person")
    )
    college.enrol("L9")
    college.onefile.sow({"organisations": [{"ID": 5741, "Name": "Adult Learning"}]})
    context = replace(college.context, organisations=(ORGANISATION, 5741))

    assert explain(context, "L9").records == ()
    (told,) = explain(context.for_organisation(5741), "L9").records
    assert told.key == Key(5741, Role.LEARNER, "L9")
    # Where nobody's turn would come to it, the main organisation holds it.
    assert _of(college, "L9").decided.decision is Decision.HELD


@pytest.mark.parametrize("misid", ["L1", "L2"])
def test_explain_shows_the_drift_that_verify_has_found(college: College, misid: str) -> None:
    """A person has edited L1 in OneFile."""
    (user,) = college.in_onefile("L1")
    user.values["FirstName"] = "Anna"
    verify_once(college.context, Trigger.VERIFY)
    college.writes()

    told = _of(college, misid)

    assert told.account is not None
    assert told.decided.sentence == "is as OneFile last accepted it: nothing to send"
    if misid == "L1":
        assert told.account.drift is not None
        assert told.account.drift.in_words == "FirstName"
        assert told.decided.why.endswith("What OneFile has may differ: see the drift.")
        assert told.account.accepted["FirstName"] == "Ann"
    else:
        assert told.account.drift is None
        assert "drift" not in told.decided.why
