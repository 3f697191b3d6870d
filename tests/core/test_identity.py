"""Who a record is about: keys that are reused, look alike or change, next programmes, and two records of one person."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from syncd.core.accounts import Status
from syncd.core.compare import Rules
from syncd.core.evidence import Traits
from syncd.core.fields import Referent, Role
from syncd.core.guard import Limits, Usage, guard
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.plan import Plan
from syncd.core.records import Code, Reason, Record
from tests.support.records import NOW, SECRET, College, key, person, place

ULN, OTHER_ULN = "9276308686", "1000000078"
BORN, OTHER_DAY = "2006-03-01T00:00:00.000Z", "2005-07-09T00:00:00.000Z"


def learner(misid: str, first: str = "Mina", last: str = "Okafor", **fields: Any) -> Record:
    return person(misid, Role.LEARNER, FirstName=first, LastName=last, **fields)


def with_fields(record: Record, **fields: Any) -> Record:
    return replace(record, fields={**record.fields, **fields})


def held(plan: Plan) -> list[tuple[str, Reason, str]]:
    return [(one.misid, one.reason, one.other) for one in plan.held]


def created(plan: Plan) -> list[str]:
    return [one.key.misid for one in plan.creates]


MINA = learner("P1", ULN=ULN, DOB=BORN, Email="mina@x.uk")
TOM = learner("P1", "Tom", "Reed", ULN=OTHER_ULN, DOB=OTHER_DAY, Email="tom@x.uk")


@pytest.mark.parametrize("status", Status)
def test_reused_key_is_held_as_another_person(status: Status) -> None:
    college = College.of(MINA)
    college.has_left("P1", status, role=Role.LEARNER)

    plan = college.plan(TOM)

    assert held(plan) == [("P1", Reason.ANOTHER_PERSON, "")]
    assert plan.calls == 0
    assert "FirstName, LastName, Email, DOB and ULN differ" in plan.held[0].detail
    assert plan.held[0].user_id == 100
    assert not any(str(value) in plan.held[0].detail for value in ("Tom", "Reed", "mina@x.uk", BORN, ULN))


@pytest.mark.parametrize(
    "shared", [{"FirstName": "Mina"}, {"LastName": "Okafor"}, {"Email": "mina@x.uk"}, {"DOB": BORN}]
)
def test_one_shared_field_does_not_make_a_reused_key_the_same_person(shared: dict[str, Any]) -> None:
    plan = College.of(MINA).plan(with_fields(TOM, **shared))

    assert held(plan) == [("P1", Reason.ANOTHER_PERSON, "")]


def test_marriage_and_corrections_are_updates() -> None:
    for change in (
        {"LastName": "Ashdown", "Email": "ashdown@x.uk"},
        {"FirstName": "Minette"},
        {"DOB": OTHER_DAY},
        {"ULN": OTHER_ULN},
        {"LastName": "Ashdown", "DOB": OTHER_DAY},
    ):
        plan = College.of(MINA).plan(with_fields(MINA, **change))

        assert [update.fields for update in plan.updates] == [change]


def test_answer_that_it_is_the_same_person_holds_for_that_record_only() -> None:
    college = College.of(MINA)
    college.answers[TOM.key] = StoredAnswer(Answer.SAME, TOM.fingerprint(SECRET))

    assert [update.key.misid for update in college.plan(TOM).updates] == ["P1"]
    assert held(college.plan(learner("P1", "Jo", "Brook", ULN=OTHER_ULN, DOB=OTHER_DAY))) == [
        ("P1", Reason.ANOTHER_PERSON, "")
    ]


@pytest.mark.parametrize("has_person_keys", [False, True])
def test_rows_that_slipped_are_held_and_stop_the_run(has_person_keys: bool) -> None:
    people = [
        replace(
            learner(f"L{n}", f"First{n}x", f"Last{n}", ULN="", DOB=BORN, Email=f"l{n}@x.uk"),
            person_key=f"P{n}" if has_person_keys else "",
        )
        for n in range(60)
    ]
    college = College.of(*people)
    slipped = [
        with_fields(one, LastName=before.fields["LastName"], Email=before.fields["Email"])
        for one, before in zip(people[1:41], people[:40], strict=True)
    ]
    rows = [people[0], *slipped, *people[41:]]

    plan = college.plan(*rows)

    assert {reason for _, reason, _ in held(plan)} == {Reason.ANOTHER_PERSON}
    assert held(plan)[0] == ("L1", Reason.ANOTHER_PERSON, "L0")
    assert len(plan.held) == 40
    assert guard(plan, Limits(), Usage(60, 60), ()) == (
        "the values of 40 of 60 accounts have become another person's: Email, LastName",
    )
    assert guard(Plan(held=plan.held[:12]), Limits(), Usage(60, 60), ()) == ()


@pytest.mark.parametrize("new", ["p1", "P 1", "\uff30\uff11", "0P1"])
def test_new_lookalike_of_a_known_key_is_held_naming_both(new: str) -> None:
    plan = College.of(MINA).plan(MINA, learner(new, "Tom", "Reed"))

    assert held(plan) == [(new, Reason.LOOKALIKE_KEY, "P1")]
    assert "looks like P1, which has a record as well" in plan.held[0].detail


def test_lookalike_of_an_account_whose_record_is_gone_can_be_rekeyed() -> None:
    college = College.of(learner("000123"), rules=Rules(NOW, archives_leavers=True))
    college.has_left("000123", left_at=NOW - Rules(NOW).grace, role=Role.LEARNER)

    plan = college.plan(learner("123"))

    assert held(plan) == [("123", Reason.LOOKALIKE_KEY, "000123")]
    assert "'syncd rekey 000123 123' if it is the same person" in plan.held[0].detail
    assert [leaver.to_archive for leaver in plan.leavers] == [False]


def test_person_of_a_gone_account_is_asked_about_before_a_lookalike_key_of_somebody_else() -> None:
    """The answer about the key, "a new person", would otherwise create a second account."""
    mina = learner("X9", ULN=ULN, DOB=BORN, Email="mina@x.uk")
    college = College.of(mina, learner("P1", "Tom", "Reed", ULN=OTHER_ULN, DOB=OTHER_DAY))
    college.has_left("X9", role=Role.LEARNER)

    plan = college.plan(
        learner("P1", "Tom", "Reed", ULN=OTHER_ULN, DOB=OTHER_DAY), replace(mina, key=key("p1", Role.LEARNER))
    )

    assert held(plan) == [("p1", Reason.REKEYED, "X9")]


def test_lookalike_key_of_the_same_person_is_asked_about_first() -> None:
    college = College.of(MINA, learner("X9", ULN=ULN, DOB=BORN))
    college.has_left("X9", role=Role.LEARNER)

    plan = college.plan(MINA, replace(MINA, key=key("p1", Role.LEARNER)))

    assert held(plan) == [("p1", Reason.LOOKALIKE_KEY, "P1")]


def test_first_of_two_new_lookalikes_is_created() -> None:
    plan = College().plan(learner("P1"), learner("p1"), learner("P2", "Tom"))

    assert created(plan) == ["P1", "P2"]
    assert held(plan) == [("p1", Reason.LOOKALIKE_KEY, "P1")]


def test_text_of_hundreds_of_words_for_a_surname_is_compared_as_any_other() -> None:
    text = " ".join(f"word{n}" for n in range(400))
    long, other = learner("P1", last=text, DOB=BORN), learner("P2", last=text, DOB=BORN)

    plan = College().plan(long, other)

    assert created(plan) == ["P1", "P2"]
    assert {warned.reason for warned in plan.warnings} == {Reason.SAME_PERSON}


def test_known_lookalikes_and_those_of_other_roles_are_let_alone() -> None:
    plan = College.of(learner("P1"), learner("p1", "Tom")).plan(
        person("P 1", LastName="Reed"), learner("P1"), learner("p1", "Tom")
    )

    assert held(plan) == []
    assert created(plan) == ["P 1"]


def test_confirmed_lookalike_is_created() -> None:
    college = College.of(MINA)
    college.answers[key("p1", Role.LEARNER)] = StoredAnswer(Answer.NEW)

    assert created(college.plan(MINA, learner("p1", "Tom"))) == ["p1"]


def test_place_whose_misid_looks_like_a_known_one_is_held() -> None:
    plan = College.of(place("S4", "The Mill")).plan(place("S4", "The Mill"), place("s4", "The Wharf"))

    assert held(plan) == [("s4", Reason.LOOKALIKE_KEY, "S4")]


OLD = learner(
    "E1",
    ULN=ULN,
    StartOn="2025-09-01T00:00:00.000Z",
    PlannedEndDate="2026-07-31T00:00:00.000Z",
)


def next_programme(starts: str, **fields: Any) -> Record:
    return learner("E2", ULN=ULN, StartOn=f"{starts}T00:00:00.000Z", **fields)


def test_next_programme_is_created_and_listed_without_a_question() -> None:
    plan = College.of(OLD).plan(next_programme("2026-09-01"))

    assert created(plan) == ["E2"]
    assert [(one.key.misid, one.old.misid) for one in plan.next_programmes] == [("E2", "E1")]
    assert (plan.held, plan.warnings) == ((), ())
    assert [leaver.key.misid for leaver in plan.leavers] == ["E1"]


@pytest.mark.parametrize("status", [Status.LEAVER, Status.ARCHIVED])
def test_next_programme_follows_an_account_that_left_long_ago(status: Status) -> None:
    college = College.of(OLD)
    college.has_left("E1", status, role=Role.LEARNER)

    assert created(college.plan(next_programme("2027-09-01"))) == ["E2"]


def test_next_programme_whose_old_row_remains_is_created_without_a_warning() -> None:
    plan = College.of(OLD).plan(OLD, next_programme("2026-09-01"))

    assert created(plan) == ["E2"]
    assert [one.old.misid for one in plan.next_programmes] == ["E1"]
    assert plan.warnings == ()


@pytest.mark.parametrize("starts", ["2026-07-24", "2026-07-31", "2025-09-01"])
def test_programmes_that_overlap_are_a_question(starts: str) -> None:
    assert held(College.of(OLD).plan(next_programme(starts))) == [("E2", Reason.REKEYED, "E1")]


def test_programme_without_dates_is_a_question() -> None:
    assert held(College.of(OLD).plan(learner("E2", ULN=ULN))) == [("E2", Reason.REKEYED, "E1")]


def test_equal_person_key_with_a_later_start_is_a_next_programme() -> None:
    old = learner("E1", StartOn="2025-09-01T00:00:00.000Z", person_key="77")
    later = learner("E2", "Married", "Twice", StartOn="2026-02-01T00:00:00.000Z", person_key="77")
    same_start = learner("E2", "Married", "Twice", StartOn="2025-09-01T00:00:00.000Z", person_key="77")

    plan = College.of(old).plan(later)

    assert [(one.key.misid, one.old.misid) for one in plan.next_programmes] == [("E2", "E1")]
    assert held(College.of(old).plan(same_start)) == [("E2", Reason.REKEYED, "E1")]


def test_other_person_key_makes_another_person_whatever_the_evidence() -> None:
    old = learner("E1", ULN=ULN, DOB=BORN, person_key="77")

    plan = College.of(old).plan(learner("E2", ULN=ULN, DOB=BORN, person_key="78"))

    assert created(plan) == ["E2"]
    assert (plan.held, plan.warnings, plan.next_programmes) == ((), (), ())


def test_person_key_decides_about_a_reused_key() -> None:
    old = learner("E1", DOB=BORN, person_key="77")
    college = College.of(old)

    assert held(college.plan(learner("E1", "Mina", "Ashdown", DOB=BORN, person_key="78"))) == [
        ("E1", Reason.ANOTHER_PERSON, "")
    ]
    assert [update.key.misid for update in college.plan(learner("E1", "Tom", "Reed", person_key="77")).updates] == [
        "E1"
    ]


def test_new_person_keys_of_the_same_people_only_refresh_their_accounts() -> None:
    college = College.of(MINA)
    numbered = learner("P1", ULN=ULN, DOB=BORN, Email="mina@x.uk", person_key="77")

    plan = college.plan(numbered)
    college.carry_out(plan)

    assert (plan.calls, len(plan.refreshes)) == (0, 1)
    assert college.plan(numbered).refreshes == ()
    assert held(college.plan(learner("P1", "Mina", "Okafor", person_key="78", Email="mina@x.uk"))) == [
        ("P1", Reason.ANOTHER_PERSON, "")
    ]


def test_two_current_records_of_one_person_are_sent_with_a_warning_that_stays() -> None:
    rows = learner("P1", ULN=ULN, DOB=BORN), learner("P2", ULN=ULN, DOB=BORN)
    college = College()

    first = college.plan(*rows)
    college.carry_out(first)
    second = college.plan(*rows)

    for plan in (first, second):
        assert {(one.key.misid, one.reason, one.other) for one in plan.warnings} == {
            ("P1", Reason.SAME_PERSON, "P2"),
            ("P2", Reason.SAME_PERSON, "P1"),
        }
    assert created(first) == ["P1", "P2"]
    assert second.calls == 0
    assert [one.other for one in college.plan(rows[0]).warnings] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (learner("P1", "Tom", DOB=BORN, Email="f@x.uk"), learner("P2", "Ann", DOB=BORN, Email="f@x.uk")),
        (learner("P1", "Tom", DOB=BORN, Email="f@x.uk"), learner("P2", "Tom", DOB=OTHER_DAY, Email="f@x.uk")),
        (learner("P1"), learner("P2")),
        (learner("P1", ULN="9999999999"), learner("P2", "Jo", "Brook", ULN="9999999999")),
        (learner("P1", ULN=ULN), person("P1", FirstName="Mina", LastName="Okafor", ULN=ULN)),
    ],
    ids=["twins", "father and son", "namesakes", "no ULN yet", "two roles"],
)
def test_people_who_are_not_the_same_get_no_warning(one: Record, other: Record) -> None:
    plan = College().plan(*sorted((one, other), key=lambda record: record.key.role is Role.LEARNER))

    assert (len(plan.creates), plan.held, plan.warnings) == (2, (), ())


def test_address_that_many_have_identifies_nobody() -> None:
    people = [learner(f"P{n}", "Ann", f"Reed{n}", Email="office@x.uk") for n in range(30)]

    assert College().plan(*people).warnings == ()


def test_new_key_of_a_person_whose_old_key_has_a_new_owner_is_a_question() -> None:
    plan = College.of(MINA).plan(TOM, learner("P9", ULN=ULN, DOB=BORN, Email="mina@x.uk"))

    assert held(plan) == [("P1", Reason.ANOTHER_PERSON, ""), ("P9", Reason.REKEYED, "P1")]


def test_account_in_onefile_with_the_names_of_another_person_is_not_linked() -> None:
    college = College()
    college.in_onefile[MINA.key] = (4711,)
    college.traits_in_onefile[4711] = Traits.from_fields({"FirstName": "Tom", "LastName": "Reed"})

    plan = college.plan(MINA)

    assert held(plan) == [("P1", Reason.ANOTHER_PERSON, "")]
    assert plan.held[0].user_id == 4711
    college.traits_in_onefile[4711] = Traits.from_fields({"FirstName": "MINA", "LastName": "Ashdown"})
    assert [update.is_link for update in college.plan(MINA).updates] == [True]


def test_likely_account_holds_a_new_record_until_it_is_confirmed() -> None:
    college = College()
    college.likely_accounts[MINA.key] = (4711, 4712)

    assert held(college.plan(MINA)) == [("P1", Reason.HAS_AN_ACCOUNT, "")]
    assert "UserIDs 4711, 4712" in college.plan(MINA).held[0].detail
    college.answers[MINA.key] = StoredAnswer(Answer.NEW)
    assert created(college.plan(MINA)) == ["P1"]


@pytest.mark.parametrize("changed", ["P1", "P2"])
def test_new_name_that_one_account_of_a_person_has_already_is_an_update(changed: str) -> None:
    married = {"LastName": "Ashdown", "Email": "ashdown@x.uk"}
    both = {misid: learner(misid, ULN=ULN, DOB=BORN, Email="mina@x.uk") for misid in ("P1", "P2")}
    college = College.of(*both.values())
    college.carry_out(college.plan(with_fields(both["P1"], **married), both["P2"]))

    plan = college.plan(*(with_fields(record, **married) for record in both.values()))

    assert held(plan) == []
    assert [update.key.misid for update in plan.updates] == ["P2"]


@pytest.mark.parametrize("first", ["P1", "P2"])
def test_question_about_a_new_key_is_about_the_account_that_left_last(first: str) -> None:
    second = {"P1": "P2", "P2": "P1"}[first]
    college = College.of(*(learner(misid, ULN=ULN, DOB=BORN, Email="mina@x.uk") for misid in ("P1", "P2")))
    college.has_left(first, left_at=NOW - timedelta(days=300), role=Role.LEARNER)
    new = learner("P9", ULN=ULN, DOB=BORN, Email="mina@x.uk")

    assert held(college.plan(new)) == [("P9", Reason.REKEYED, second)]

    college.has_left(second, left_at=NOW - timedelta(days=2), role=Role.LEARNER)
    assert held(college.plan(new)) == [("P9", Reason.REKEYED, second)]


def test_question_about_a_new_key_is_about_the_likelier_account() -> None:
    college = College.of(
        learner("P1", "Minnie", DOB=BORN, Email="other@x.uk"),
        learner("P2", DOB=BORN, Email="mina@x.uk", ULN=ULN),
    )
    college.has_left("P2", left_at=NOW - timedelta(days=300), role=Role.LEARNER)

    assert held(college.plan(learner("P9", DOB=BORN, ULN=ULN, Email="mina@x.uk")))[0] == ("P9", Reason.REKEYED, "P2")


def test_question_about_a_new_key_is_about_the_account_of_the_same_programme() -> None:
    dates = {"P1": ("2024-09-01", "2025-07-31"), "P2": ("2025-09-01", "2026-07-31")}
    records = {
        misid: learner(misid, ULN=ULN, DOB=BORN, StartOn=starts, PlannedEndDate=ends)
        for misid, (starts, ends) in dates.items()
    }
    college = College.of(*records.values())
    college.has_left("P1", left_at=NOW - timedelta(days=300), role=Role.LEARNER)
    new = learner("P9", ULN=ULN, DOB=BORN, StartOn="2024-09-01", PlannedEndDate="2025-07-31")

    assert held(college.plan(new)) == [("P9", Reason.REKEYED, "P1")]


def test_new_record_is_not_given_to_an_assessor_whose_key_has_a_new_owner() -> None:
    assessor = person("A1", FirstName="Mina", LastName="Okafor", Email="mina@x.uk")
    taught = learner("P1", codes={"DefaultAssessorID": Code(Referent.ASSESSOR, "MISID", "A1")})
    new = learner("P2", "Tom", codes={"DefaultAssessorID": Code(Referent.ASSESSOR, "MISID", "A1")})
    college = College()
    college.carry_out(college.plan(assessor, taught))

    plan = college.plan(with_fields(assessor, FirstName="Jo", LastName="Brook", Email="jo@x.uk"), taught, new)

    assert {(misid, reason) for misid, reason, _ in held(plan)} == {
        ("A1", Reason.ANOTHER_PERSON),
        ("P2", Reason.REFERENCE_NOT_FOUND),
    }
