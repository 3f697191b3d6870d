"""Somebody new who may be somebody whose record is gone."""

from typing import Any

import pytest

from syncd.core.accounts import Status
from syncd.core.compare import Doubt, Rules
from syncd.core.fields import Role
from syncd.core.identity import Person
from syncd.core.plan import Plan, Rekey
from syncd.core.records import Reason, Record
from tests.support.records import NOW, SECRET, College, key, person

BORN = "1999-02-28T00:00:00.000Z"
ULN = "9276308686"


def learner(misid: str, **fields: Any) -> Any:
    return person(misid, Role.LEARNER, **fields)


OLD = learner("OLD", ULN=ULN, DOB=BORN)


def held_as(plan: Plan) -> list[tuple[str, Reason]]:
    return [(held.misid, held.reason) for held in plan.held]


@pytest.mark.parametrize(
    "new",
    [
        learner("NEW", ULN=ULN, FirstName="Married", LastName="Twice"),
        learner("NEW", DOB=BORN),
        learner("NEW", DOB=BORN, FirstName="ANN", LastName="example"),
        learner("NEW", DOB=BORN, ULN="1000000078"),
    ],
    ids=["the same ULN", "the same names and day", "in other letters", "though the ULN is another"],
)
def test_new_person_who_resembles_a_leaver_is_held_and_not_created(new: Any) -> None:
    plan = College.of(OLD).plan(new)

    assert held_as(plan) == [("NEW", Reason.REKEYED)]
    assert plan.calls == 0
    assert "'syncd rekey OLD NEW'" in plan.held[0].detail


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (learner("OLD", DOB=BORN), learner("NEW", DOB="1999-03-01T00:00:00.000Z")),
        (learner("OLD", DOB=BORN), learner("NEW", DOB=BORN, FirstName="Ben")),
        (learner("OLD"), learner("NEW")),
        (learner("OLD", ULN="9999999999"), learner("NEW", ULN="9999999999")),
        (person("OLD", DOB=BORN), person("NEW", Role.IQA, DOB=BORN)),
    ],
    ids=["another day", "another name", "no day at all", "neither has a ULN yet", "another role"],
)
def test_new_person_with_too_little_likeness_to_a_leaver_is_created(old: Any, new: Any) -> None:
    plan = College.of(old).plan(new)

    assert [create.key.misid for create in plan.creates] == ["NEW"]
    assert plan.held == ()


def test_new_person_who_resembles_a_current_person_is_created_with_warning() -> None:
    plan = College.of(OLD).plan(OLD, learner("NEW", ULN=ULN, DOB=BORN))

    assert [create.key.misid for create in plan.creates] == ["NEW"]
    assert [(warned.key.misid, warned.reason, warned.other) for warned in plan.warnings] == [
        ("NEW", Reason.SAME_PERSON, "OLD")
    ]


def test_new_person_who_resembles_an_archived_account_is_held() -> None:
    college = College.of(OLD)
    college.has_left("OLD", Status.ARCHIVED, role=Role.LEARNER)

    assert held_as(college.plan(learner("NEW", ULN=ULN))) == [("NEW", Reason.REKEYED)]


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (learner("NEW", ULN=ULN, LastName="Married"), Reason.IN_DOUBT),
        (learner("old", FirstName="Ben", LastName="Other"), Reason.IN_DOUBT),
        (learner("NEW", FirstName="Ben"), None),
        (learner("NEW", ULN=ULN, StartOn="2027-09-01T00:00:00.000Z"), None),
    ],
    ids=["the same person", "a MISID that looks like it", "another person", "the next programme"],
)
def test_new_misid_of_a_person_whose_create_is_in_doubt_waits_until_it_is_settled(
    new: Record, reason: Reason | None
) -> None:
    sent = learner("OLD", ULN=ULN, PlannedEndDate="2027-07-31T00:00:00.000Z")
    college = College(in_doubt={sent.key: Doubt()}, unconfirmed=[Person.of_record(sent, SECRET)])

    plan = college.plan(new)

    assert held_as(plan) == ([(new.key.misid, reason)] if reason else [])
    assert len(plan.creates) == (reason is None)
    assert all("an earlier create is not settled yet" in held.detail for held in plan.held)


def test_person_whose_create_is_in_doubt_and_whose_record_is_there_is_no_reason_to_wait() -> None:
    college = College(in_doubt={OLD.key: Doubt()}, unconfirmed=[Person.of_record(OLD, SECRET)])

    plan = college.plan(OLD, learner("NEW", ULN=ULN, DOB=BORN))

    assert held_as(plan) == [("OLD", Reason.IN_DOUBT)]
    assert [create.key.misid for create in plan.creates] == ["NEW"]


def test_leaver_of_whom_a_search_has_shown_only_the_names_is_compared_as_it_was_sent() -> None:
    sent = learner("OLD", ULN=ULN)
    college = College.of(learner("OLD"))
    assert [create.key.misid for create in college.plan(learner("NEW", ULN=ULN)).creates] == ["NEW"]

    college.unconfirmed.append(Person.of_record(sent, SECRET))

    assert held_as(college.plan(learner("NEW", ULN=ULN))) == [("NEW", Reason.REKEYED)]


def test_two_new_people_who_resemble_one_leaver_are_both_held() -> None:
    plan = College.of(OLD).plan(learner("NEW1", ULN=ULN), learner("NEW2", DOB=BORN))

    assert held_as(plan) == [("NEW1", Reason.REKEYED), ("NEW2", Reason.REKEYED)]


def test_leaver_who_may_have_a_new_misid_is_not_archived() -> None:
    college = College.of(OLD, learner("GONE"), rules=Rules(NOW, archives_leavers=True))
    for misid in ("OLD", "GONE"):
        college.has_left(misid, left_at=NOW - Rules(NOW).grace, role=Role.LEARNER)

    plan = college.plan(learner("NEW", ULN=ULN))

    assert {leaver.key.misid: leaver.to_archive for leaver in plan.leavers} == {"OLD": False, "GONE": True}


def test_new_misid_already_on_the_old_account_is_planned_as_a_rekey() -> None:
    college = College.of(OLD)
    new = learner("NEW", ULN=ULN)
    college.in_onefile[new.key] = (100,)

    plan = college.plan(new)

    assert plan.rekeys == (Rekey(OLD.key, new.key, 100),)
    assert (plan.creates, plan.updates, plan.held) == ((), (), ())


def test_misid_on_the_account_of_another_person_is_held() -> None:
    college = College.of(person("A1"))
    college.in_onefile[key("A2")] = (100,)

    plan = college.plan(person("A1"), person("A2"))

    assert held_as(plan) == [("A2", Reason.AMBIGUOUS)]
    assert plan.held[0].detail == "OneFile has it on the account with the UserID 100, which is that of A1"
