"""Questions about people are answered, and the next run carries the answers out; a MISID gets a new owner."""

from collections.abc import Callable

import pytest

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.records import Key, Reason
from syncd.core.run import Action, Outcome, Trigger
from syncd.errors import NothingToSettle
from syncd.operations.explain import RecordExplanation, Relation, explain
from syncd.operations.rekey import Move, rekey_plan, release_plan
from syncd.simulator import Fault, FaultKind
from syncd.state import accounts, answers, changes, held_records, link_proposals
from syncd.state.changes import ChangeEntry
from syncd.state.held_records import Selection
from syncd.sync.run import RunResult, execute
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, uln AS ULN, born AS DOB,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""
_ULN, _OTHER_ULN = "9276308686", "1000000078"
_BORN = "1999-02-28"
_NEW_OWNER = {
    "forename": "Ben",
    "surname": "Obi",
    "email": "ben@x.example.org",
    "uln": _OTHER_ULN,
    "born": "2001-12-01",
}


@pytest.fixture
def college(found: Found) -> College:
    """L1 has an account, and so have others, so that one leaver is few."""
    college = found()
    college.add_columns("uln", "born")
    college.with_feed(_FEED)
    college.enrol("L1", surname="Pryce", uln=_ULN, born=_BORN)
    college.enrol("L2", "L3", "L4")
    assert college.run().is_in_sync
    college.writes()
    return college


def _answer(college: College, misid: str, answer: Answer | None = None) -> None:
    with college.context.session() as session:
        assert held_records.retry(session, Selection([misid]), answer) == 1


def _status(college: College, misid: str) -> Status | None:
    with college.context.session() as session:
        known = accounts.known(session).get(Key(ORGANISATION, Role.LEARNER, misid))
    return known.status if known else None


def _history(college: College, misid: str) -> list[ChangeEntry]:
    with college.context.store.begin() as connection:
        return changes.history(session_on(connection, ORGANISATION), misid)


def _release(college: College, misid: str, role: Role | None = None) -> RunResult:
    return execute(college.context, Trigger.RELEASE, release_plan(misid, role))


def _archive(college: College, misid: str) -> None:
    college.with_policy(archives_leavers=True)
    college.withdraw(misid)
    college.run()
    college.pass_days(15)
    assert college.in_onefile(misid)[0].is_archived
    college.writes()


def _by_answer(college: College) -> None:
    college.run()
    assert college.held == {"L1": "another_person?"}
    _answer(college, "L1", Answer.NEW)
    assert not college.run().is_in_sync


def _by_command(college: College) -> None:
    assert _release(college, "L1").is_in_sync


@pytest.mark.parametrize("release", [_by_answer, _by_command])
def test_released_account_keeps_its_person_and_new_owner_gets_another(
    college: College, release: Callable[[College], None]
) -> None:
    user_id = college.known_id("L1")
    college.correct("L1", **_NEW_OWNER)

    release(college)

    assert college.writes() == [(f"/User/{user_id}", {"MISID": f"released-{user_id}"})]
    assert _status(college, f"released-{user_id}") is Status.LEAVER
    assert (college.known_id("L1"), college.known_id(f"released-{user_id}")) == (None, user_id)
    assert college.run().is_in_sync
    (old,), (new,) = college.in_onefile(f"released-{user_id}"), college.in_onefile("L1")
    assert (old.id, old.values["LastName"], new.values["LastName"]) == (user_id, "Pryce", "Obi")
    assert college.run().calls == 0
    with college.context.session() as session:
        assert answers.stored(session) == {}


def test_histories_of_both_misids_tell_of_the_release(college: College) -> None:
    user_id = college.known_id("L1")
    college.correct("L1", **_NEW_OWNER)
    _release(college, "L1")
    college.run()

    old, new = _history(college, f"released-{user_id}"), _history(college, "L1")

    assert [(entry.misid, entry.action) for entry in old] == [
        ("L1", Action.CREATE),
        (f"released-{user_id}", Action.REKEY),
    ]
    assert "was L1 until now: released, because the MISID has a new owner" in old[1].message
    assert [(entry.action, entry.user_id == user_id) for entry in new] == [
        (Action.CREATE, True),
        (Action.REKEY, True),
        (Action.CREATE, False),
    ]


def test_same_owner_under_other_values_is_updated_after_the_answer(college: College) -> None:
    user_id = college.known_id("L1")
    college.correct("L1", **_NEW_OWNER)
    college.run()

    _answer(college, "L1")

    assert college.run().is_in_sync
    assert (college.known_id("L1"), college.in_onefile("L1")[0].values["LastName"]) == (user_id, "Obi")
    assert college.held == {}


def test_archived_account_of_a_reused_misid_is_archived_again(college: College) -> None:
    user_id = college.known_id("L1")
    _archive(college, "L1")
    college.enrol("L1", **_NEW_OWNER)
    assert not college.run().is_in_sync
    assert (college.held, college.writes()) == ({"L1": "another_person?"}, [])

    assert _release(college, "L1").is_in_sync

    (old,) = college.in_onefile(f"released-{user_id}")
    assert (old.id, old.is_archived) == (user_id, True)
    assert _status(college, f"released-{user_id}") is Status.ARCHIVED
    assert college.run().is_in_sync
    assert len(college.in_onefile("L1")) == 1


def test_account_is_not_released_if_it_cannot_be_unarchived(college: College) -> None:
    user_id = college.known_id("L1")
    _archive(college, "L1")
    college.enrol("L1", **_NEW_OWNER)
    college.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path=f"/User/{user_id}/Unarchive", times=3))

    assert not _release(college, "L1").is_in_sync

    (user,) = college.in_onefile("L1")
    assert (user.id, user.is_archived, college.known_id("L1")) == (user_id, True, user_id)
    assert _release(college, "L1").is_in_sync
    assert college.in_onefile(f"released-{user_id}")[0].is_archived


def test_archived_account_is_unarchived_before_its_new_misid(college: College) -> None:
    user_id = college.known_id("L1")
    _archive(college, "L1")
    college.enrol("NEW", surname="Pryce", uln=_ULN, born=_BORN)
    college.run()

    assert execute(college.context, Trigger.REKEY, rekey_plan([Move(Role.LEARNER, "L1", "NEW")])).is_in_sync

    (user,) = college.in_onefile("NEW")
    assert (user.id, user.is_archived, _status(college, "NEW")) == (user_id, False, Status.ACTIVE)
    assert college.run().is_in_sync


def test_answer_same_gives_the_account_its_new_misid(college: College) -> None:
    user_id = college.known_id("L1")
    college.withdraw("L1")
    college.enrol("NEW", surname="Married", uln=_ULN, born=_BORN)
    college.run()

    _answer(college, "NEW", Answer.SAME)

    assert college.run().is_in_sync
    assert college.writes() == [(f"/User/{user_id}", {"MISID": "NEW"})]
    assert college.run().is_in_sync
    assert college.in_onefile("NEW")[0].values["LastName"] == "Married"
    assert (college.known_id("L1"), college.known_id("NEW")) == (None, user_id)
    assert college.run().calls == 0
    assert [entry.action for entry in _history(college, "L1")] == [Action.CREATE, Action.REKEY, Action.UPDATE]


def test_answer_is_listed_until_the_next_run_carries_it_out(college: College) -> None:
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN, born=_BORN, surname="Pryce")
    college.run()
    _answer(college, "NEW", Answer.SAME)

    with college.context.session() as session:
        (entry,) = held_records.listing(session)

    assert (entry.answer, entry.other, entry.user_id) == (Answer.SAME, "L1", college.known_id("L1"))


def test_refused_new_misid_is_held_and_not_sent_in_every_run(college: College) -> None:
    user_id = college.known_id("L1")
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN, born=_BORN, surname="Pryce")
    college.run()
    _answer(college, "NEW", Answer.SAME)
    account = college.onefile.world.users.pop(user_id or 0)

    assert college.run().refused == 1
    assert college.held == {"NEW": "refused"}
    assert college.run().calls == 0

    college.onefile.world.users[account.id] = account
    _answer(college, "NEW")
    college.run()
    assert [user.id for user in college.in_onefile("NEW")] == [user_id]


def test_new_misid_of_an_account_archived_by_hand_is_sent_once_unarchived(college: College) -> None:
    user_id = college.known_id("L1")
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN, born=_BORN, surname="Pryce")
    college.run()
    college.onefile.world.users[user_id or 0].is_archived = True
    _answer(college, "NEW", Answer.SAME)

    assert college.run().refused == 1
    assert "the next run unarchives the account" in college.detail("NEW")

    assert college.run().is_in_sync
    (user,) = college.in_onefile("NEW")
    assert (user.id, user.is_archived, _status(college, "NEW")) == (user_id, False, Status.ACTIVE)


def test_account_archived_by_hand_is_rekeyed_when_the_command_is_repeated(college: College) -> None:
    user_id = college.known_id("L1")
    college.withdraw("L1")
    college.enrol("NEW", uln=_ULN, born=_BORN, surname="Pryce")
    college.run()
    college.onefile.world.users[user_id or 0].is_archived = True
    plan = rekey_plan([Move(Role.LEARNER, "L1", "NEW")])

    assert execute(college.context, Trigger.REKEY, plan).refused == 1
    assert execute(college.context, Trigger.REKEY, plan).is_in_sync

    assert [(user.id, user.is_archived) for user in college.in_onefile("NEW")] == [(user_id, False)]


def test_likely_account_is_linked_or_left_as_answered(college: College) -> None:
    ids = {"H1": 500_000, "H2": 500_001}
    unlinked = {"OrganisationID": ORGANISATION, "Role": 1, "MISID": "", "FirstName": "Ann"}
    users = [{"ID": user_id, "LastName": f"Known-{misid}", **unlinked} for misid, user_id in ids.items()]
    college.onefile.sow({"users": users})
    college.enrol("H1", surname="Known-H1")
    college.enrol("H2", surname="Known-H2")
    college.run()
    assert college.held == {"H1": "has_an_account?", "H2": "has_an_account?"}

    _answer(college, "H1", Answer.SAME)
    _answer(college, "H2", Answer.NEW)

    assert college.run().is_in_sync
    assert [user.id for user in college.in_onefile("H1")] == [ids["H1"]]
    assert ids["H2"] not in [user.id for user in college.in_onefile("H2")]
    assert college.run().calls == 0


def test_release_whose_answer_was_lost_is_repeated_without_harm(college: College) -> None:
    user_id = college.known_id("L1")
    college.correct("L1", **_NEW_OWNER)
    college.run()
    _answer(college, "L1", Answer.NEW)
    college.onefile.faults.add(Fault(FaultKind.ERROR_AFTER, path=f"/User/{user_id}", times=3))
    assert college.run().in_doubt == 1

    college.run()
    assert college.run().is_in_sync

    assert [user.id for user in college.in_onefile(f"released-{user_id}")] == [user_id]
    assert len(college.in_onefile("L1")) == 1


@pytest.mark.parametrize(
    ("misid", "role", "sentence"),
    [
        ("nobody", None, "There is no account for nobody. Nothing was changed."),
        ("l1", None, "There is no account for l1; did you mean L1?"),
        ("0L1", Role.LEARNER, "There is no account for the Learner 0L1; did you mean L1?"),
        ("L1", Role.ASSESSOR, "There is no account for the Assessor L1"),
        ("L2", None, "No feed has the Learner L2 any more, so its account is a leaver already"),
    ],
)
def test_a_release_that_cannot_be_meant_changes_nothing(
    college: College, misid: str, role: Role | None, sentence: str
) -> None:
    college.withdraw("L2")
    with pytest.raises(NothingToSettle, match=sentence):
        _release(college, misid, role)
    assert college.writes() == []


def test_release_of_a_person_who_has_not_changed_leads_to_a_question(college: College) -> None:
    user_id = college.known_id("L1")

    assert _release(college, "L1").is_in_sync
    college.run()

    assert college.held == {"L1": "rekeyed?"}
    assert f"rekey released-{user_id} L1" in college.detail("L1")
    assert execute(
        college.context, Trigger.REKEY, rekey_plan([Move(Role.LEARNER, f"released-{user_id}", "L1")])
    ).is_in_sync
    assert college.run().is_in_sync
    assert [user.id for user in college.in_onefile("L1")] == [user_id]


def test_rekeys_of_a_file_that_was_partly_done_are_finished(college: College) -> None:
    ids = {misid: college.known_id(misid) for misid in ("L1", "L2")}
    college.withdraw("L1", "L2")
    college.enrol("N1", "N2")
    moves = [Move(Role.LEARNER, "L1", "N1"), Move(Role.LEARNER, "L2", "N2")]
    assert execute(college.context, Trigger.REKEY, rekey_plan(moves[:1])).is_in_sync
    college.writes()

    assert execute(college.context, Trigger.REKEY, rekey_plan(moves)).applied == {Action.REKEY: 1}
    assert college.writes() == [(f"/User/{ids['L2']}", {"MISID": "N2"})]
    assert execute(college.context, Trigger.REKEY, rekey_plan(moves)).calls == 0

    with pytest.raises(NothingToSettle, match="no account for the Learner L9"):
        execute(college.context, Trigger.REKEY, rekey_plan([Move(Role.LEARNER, "L9", "N1")]))


def _explained(college: College, misid: str) -> RecordExplanation:
    (record,) = explain(college.context, misid).records
    return record


def test_explain_says_what_a_record_was_compared_with(college: College) -> None:
    college.withdraw("L1")
    college.enrol("NEW", surname="Married", uln=_ULN, born=_BORN)

    (compared,) = _explained(college, "NEW").compared
    (other_way,) = _explained(college, "L1").compared

    assert (compared.relation, compared.other, compared.user_id) == (Relation.ASKED, "L1", college.known_id("L1"))
    assert compared.evidence is not None
    assert "ULN" in compared.evidence.equal
    assert "LastName" in compared.evidence.differ
    assert "(certainly one person)" in compared.sentence
    assert (other_way.relation, other_way.other) == (Relation.ASKED, "NEW")
    assert "Married" not in compared.sentence


def test_explain_decides_as_a_run_about_two_new_records_of_one_person(college: College) -> None:
    college.enrol("N1", "N2", surname="Newcomer", uln=_OTHER_ULN, born="2001-12-01")
    explained = {misid: _explained(college, misid).compared for misid in ("N1", "N2")}

    college.run()

    with college.context.session() as session:
        warned = {(each.misid, each.other) for each in held_records.listing(session, warnings=True)}
    assert {(misid, each.other) for misid, found in explained.items() for each in found} >= warned
    assert {each.relation for found in explained.values() for each in found} == {Relation.SAME_PERSON}


def test_explain_decides_as_a_run_if_the_account_has_another_owner_now(college: College) -> None:
    # L1 is held, so its account is free for the person who has its ULN now.
    college.correct("L1", **_NEW_OWNER)
    college.enrol("NEW", surname="Pryce", uln=_ULN, born=_BORN)
    explained = _explained(college, "NEW")
    college.run()
    assert college.held == {"L1": "another_person?", "NEW": "rekeyed?"}
    assert explained.decided.decision == "held"
    assert [(each.other, each.relation) for each in explained.compared] == [("L1", Relation.ASKED)]


def test_explain_shows_the_call_of_a_release(college: College) -> None:
    user_id = college.known_id("L1")
    college.correct("L1", **_NEW_OWNER)
    college.run()
    _answer(college, "L1", Answer.NEW)

    explained = _explained(college, "L1")

    assert explained.decided.decision == "held"
    assert [(call.path, dict(call.fields)) for call in explained.calls] == [
        (f"/User/{user_id}", {"MISID": f"released-{user_id}"})
    ]
    assert not any(cell.is_sent for row in explained.rows for cell in row.cells)


def test_answers_of_a_link_that_is_undone_are_forgotten(college: College) -> None:
    college.correct("L1", **_NEW_OWNER)
    college.run()
    _answer(college, "L1")
    with college.context.session() as session:
        accounts.forget(session, Key(ORGANISATION, Role.LEARNER, "L1"))
        assert answers.stored(session) == {}


def test_outcome_of_the_release_is_in_the_trail(college: College) -> None:
    college.correct("L1", **_NEW_OWNER)
    assert _release(college, "L1").applied == {Action.REKEY: 1}
    assert _history(college, "L1")[-1].outcome is Outcome.APPLIED
    assert Reason.ANOTHER_PERSON not in college.held.values()


def test_proposal_of_first_contact_is_answered_by_the_run_that_links(college: College) -> None:
    proposed = Key(ORGANISATION, Role.LEARNER, "H1")
    college.onefile.sow(
        {
            "users": [
                {
                    "ID": 500_000,
                    "OrganisationID": ORGANISATION,
                    "Role": 1,
                    "MISID": "",
                    "FirstName": "Ann",
                    "LastName": "Unlike",
                }
            ]
        }
    )
    with college.context.session() as session:
        link_proposals.replace(session, [(proposed, 500_000)])
    college.enrol("H1", surname="Married")
    college.run()
    assert college.held == {"H1": "has_an_account?"}

    _answer(college, "H1", Answer.SAME)

    assert college.run().is_in_sync
    assert [user.id for user in college.in_onefile("H1")] == [500_000]
    with college.context.session() as session:
        assert link_proposals.pending(session) == {}


def test_answer_same_is_not_taken_for_new_by_a_proposal(college: College) -> None:
    proposed = Key(ORGANISATION, Role.LEARNER, "H1")
    with college.context.session() as session:
        link_proposals.replace(session, [(proposed, 500_000)])
        assert held_records.retry(session, Selection(["H1"], Reason.REKEYED), Answer.SAME) == 0
        assert held_records.retry(session, Selection(["H1"], Reason.REKEYED)) == 0
        assert proposed in link_proposals.pending(session)
        assert held_records.retry(session, Selection(["H1"])) == 1
        assert link_proposals.pending(session) == {}
