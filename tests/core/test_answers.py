"""What an operator has answered about people: how long it holds, and what a plan makes of it."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.accounts import Status
from syncd.core.compare import Rules
from syncd.core.fields import Role
from syncd.core.guard import Limits, Usage, guard
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.plan import Leaver, Plan, Rekey, Returner
from syncd.core.records import Key, Reason
from tests.support.records import NOW, SECRET, College, key, person

BORN = "1999-02-28T00:00:00.000Z"
ULN = "9276308686"


def learner(misid: str, **fields: Any) -> Any:
    return person(misid, Role.LEARNER, **fields)


def who(misid: str) -> Key:
    return key(misid, Role.LEARNER)


OLD = learner("OLD", ULN=ULN, DOB=BORN)
NEW = learner("NEW", ULN=ULN, DOB=BORN, Email="new@example.org")
STRANGER = learner(
    "OLD", FirstName="Ben", LastName="Obi", Email="ben@example.org", DOB="2001-12-01T00:00:00.000Z", ULN="1000000078"
)


def same(misid: str = "OLD") -> StoredAnswer:
    return StoredAnswer(Answer.SAME, "", misid, None, Reason.REKEYED)


def released(fingerprint: str = STRANGER.fingerprint(SECRET)) -> StoredAnswer:
    return StoredAnswer(Answer.NEW, fingerprint, "", 100, Reason.ANOTHER_PERSON)


def held_as(plan: Plan) -> list[tuple[str, Reason]]:
    return [(held.misid, held.reason) for held in plan.held]


def test_same_person_gets_the_account_and_is_no_leaver() -> None:
    college = College.of(OLD)
    college.answers = {who("NEW"): same()}

    plan = college.plan(NEW)

    assert [(rekey.old, rekey.key, rekey.user_id) for rekey in plan.rekeys] == [(who("OLD"), who("NEW"), 100)]
    assert (plan.held, list(plan.creates), plan.leavers) == ((), [], ())
    assert plan.calls == 1


@pytest.mark.parametrize(
    "rows",
    [
        (NEW, OLD),
        (replace(NEW, fields={**NEW.fields, "ULN": "1000000078", "DOB": "1980-01-01T00:00:00.000Z"}),),
    ],
    ids=["the other record is back", "the record is of another person now"],
)
def test_same_person_is_not_carried_out_once_the_question_is_gone(rows: tuple[Any, ...]) -> None:
    college = College.of(OLD)
    college.answers = {who("NEW"): same()}

    assert college.plan(*rows).rekeys == ()


def test_answer_about_another_account_is_asked_again() -> None:
    college = College.of(OLD)
    college.answers = {who("NEW"): same("OLDER")}

    assert held_as(college.plan(NEW)) == [("NEW", Reason.REKEYED)]


def test_of_two_records_only_one_gets_an_account() -> None:
    college = College.of(OLD)
    college.answers = {who("NEW"): same(), who("NEW2"): same()}

    plan = college.plan(NEW, learner("NEW2", ULN=ULN, DOB=BORN))

    assert [rekey.key.misid for rekey in plan.rekeys] == ["NEW"]
    assert held_as(plan) == [("NEW2", Reason.REKEYED)]


def test_operator_chooses_one_of_two_accounts_that_resemble_a_record() -> None:
    college = College.of(OLD, learner("OLD2", ULN=ULN, DOB=BORN))
    assert college.plan(NEW).held[0].other == "OLD"

    college.answers = {who("NEW"): same("OLD2")}

    assert [rekey.old.misid for rekey in college.plan(NEW).rekeys] == ["OLD2"]


def test_new_person_holds_for_a_changed_record_and_all_accounts_like_it() -> None:
    college = College.of(OLD, learner("OLD2", ULN=ULN, DOB=BORN))
    college.answers = {who("NEW"): StoredAnswer(Answer.NEW, NEW.fingerprint(SECRET), "OLD", 100, Reason.REKEYED)}
    assert [create.key.misid for create in college.plan(NEW).creates] == ["NEW"]

    changed = replace(NEW, fields={**NEW.fields, "Email": "other@example.org"})

    (held,) = college.plan(changed).held
    assert held.other == "OLD2"


def test_archived_account_is_unarchived_before_its_new_misid() -> None:
    college = College.of(OLD)
    college.has_left("OLD", Status.ARCHIVED, role=Role.LEARNER)
    college.answers = {who("NEW"): same()}

    steps = list(college.plan(NEW).steps())

    assert [type(step) for step in steps] == [Returner, Rekey]
    assert isinstance(steps[0], Returner)
    assert steps[0].key == who("OLD")


def test_released_account_leaves_under_a_misid_that_says_so() -> None:
    college = College.of(OLD)
    college.answers = {who("OLD"): released()}

    plan = college.plan(STRANGER)

    assert [(rekey.old, rekey.key, rekey.is_release) for rekey in plan.rekeys] == [
        (who("OLD"), who("released-100"), True)
    ]
    assert held_as(plan) == [("OLD", Reason.ANOTHER_PERSON)]
    assert "the next run creates an account" in plan.held[0].detail
    assert (list(plan.updates), list(plan.creates)) == ([], [])


def test_released_account_that_was_archived_is_archived_again() -> None:
    college = College.of(OLD, rules=Rules(NOW))
    college.has_left("OLD", Status.ARCHIVED, role=Role.LEARNER)
    college.answers = {who("OLD"): released()}

    steps = list(college.plan(STRANGER).steps())

    assert [type(step) for step in steps] == [Returner, Rekey, Leaver]
    assert isinstance(steps[2], Leaver)
    assert steps[2].key == who("released-100")
    assert college.plan(STRANGER).new_leavers == ()


@pytest.mark.parametrize("fingerprint", ["", "of another record"])
def test_release_is_asked_again_for_a_record_that_has_changed_since(fingerprint: str) -> None:
    college = College.of(OLD)
    college.answers = {who("OLD"): released(fingerprint)}

    plan = college.plan(STRANGER)

    assert held_as(plan) == [("OLD", Reason.ANOTHER_PERSON)]
    assert plan.rekeys == ()


def test_answer_to_an_earlier_question_releases_no_account() -> None:
    college = College.of(OLD)
    college.answers = {who("OLD"): replace(released(), reason=Reason.REKEYED)}

    assert college.plan(STRANGER).rekeys == ()


def test_account_moves_to_its_person_instead_of_being_released() -> None:
    college = College.of(OLD)
    college.answers = {who("OLD"): released(), who("NEW"): same()}

    plan = college.plan(STRANGER, NEW)

    assert [(rekey.old.misid, rekey.key.misid) for rekey in plan.rekeys] == [("OLD", "NEW")]
    assert held_as(plan) == [("OLD", Reason.ANOTHER_PERSON)]


def test_one_account_in_onefile_is_linked_to_one_record_only() -> None:
    answer = StoredAnswer(Answer.SAME, user_id=7, reason=Reason.HAS_AN_ACCOUNT)
    college = College(
        likely_accounts={who("L1"): (7,), who("L2"): (7,)}, answers={who("L1"): answer, who("L2"): answer}
    )

    plan = college.plan(learner("L1"), learner("L2"))

    assert [(update.key.misid, update.user_id, update.is_link) for update in plan.updates] == [("L1", 7, True)]
    assert held_as(plan) == [("L2", Reason.HAS_AN_ACCOUNT)]


def test_of_several_likely_accounts_none_is_given_until_one_is_chosen() -> None:
    college = College(likely_accounts={who("L1"): (7, 8)})
    assert college.plan(learner("L1")).held[0].user_id is None

    college.answers = {who("L1"): StoredAnswer(Answer.SAME, user_id=8, reason=Reason.HAS_AN_ACCOUNT)}

    assert [update.user_id for update in college.plan(learner("L1")).updates] == [8]


def test_answered_questions_do_not_count_for_the_guard() -> None:
    people = [learner(f"L{number}", ULN=f"{number:010}", DOB=BORN) for number in range(8)]
    strangers = [replace(STRANGER, key=who(f"L{number}")) for number in range(8)]
    college = College.of(*people)
    asked = college.plan(*strangers)
    assert [hold.reason for hold in asked.held] == [Reason.ANOTHER_PERSON] * 8
    assert len(guard(asked, Limits(), Usage(8, 8), ())) == 1

    college.answers = {hold.key: released(hold.fingerprint) for hold in asked.held}

    assert guard(college.plan(*strangers), Limits(percent=100, percent_day=100), Usage(80, 80), ()) == ()
