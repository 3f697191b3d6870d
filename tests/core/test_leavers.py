"""Accounts whose record is gone, and those whose record is back."""

from datetime import timedelta

import pytest

from syncd.core.accounts import Known, Status
from syncd.core.compare import Rules
from syncd.core.fields import Referent, Role
from syncd.core.plan import Leaver, Plan, Returner
from syncd.core.records import Code, Reason
from syncd.core.scope import Scope
from tests.support.records import NOW, College, key, person, unfit

ANN, BOB = person("A1"), person("A2")
GRACE = timedelta(days=14)


def archiving(protected: frozenset[str] = frozenset(), grace: timedelta = GRACE) -> Rules:
    return Rules(NOW, archives_leavers=True, grace=grace, protected=protected)


def test_account_without_a_record_is_a_leaver_and_gets_no_call() -> None:
    college = College.of(ANN, BOB)

    plan = college.plan(BOB)

    assert plan == Plan(leavers=(Leaver(key("A1"), 100, None, to_archive=False),), unchanged=1)
    assert plan.calls == 0


def test_a_leaver_is_new_in_the_run_that_first_misses_it_only() -> None:
    college = College.of(ANN)
    college.carry_out(college.plan())

    plan = college.plan()

    assert [(leaver.key, leaver.left_at) for leaver in plan.leavers] == [(key("A1"), NOW)]
    assert plan.new_leavers == ()


def test_leavers_have_fourteen_days_of_grace_by_default() -> None:
    assert Rules(NOW).grace == timedelta(days=14)


@pytest.mark.parametrize(
    ("gone_for", "to_archive"),
    [
        (timedelta(0), False),
        (GRACE - timedelta(seconds=1), False),
        (GRACE, True),
        (GRACE + timedelta(days=365), True),
    ],
)
def test_a_leaver_is_archived_once_the_grace_is_over(gone_for: timedelta, to_archive: bool) -> None:
    college = College.of(ANN, rules=archiving())
    college.has_left("A1", left_at=NOW - gone_for)

    plan = college.plan()

    assert [leaver.to_archive for leaver in plan.leavers] == [to_archive]
    assert plan.calls == int(to_archive)


@pytest.mark.parametrize(("days", "to_archive"), [(0, False), (1, False), (13, False), (14, True)])
def test_days_of_grace_are_those_with_a_complete_reading(days: int, to_archive: bool) -> None:
    """A clock that is 20 days ahead does not make 20 days of one reading."""
    college = College.of(ANN, rules=archiving())
    college.has_left("A1", left_at=NOW - timedelta(days=20), days_gone=days)

    assert [leaver.to_archive for leaver in college.plan().leavers] == [to_archive]


def test_many_readings_in_few_days_do_not_shorten_the_grace() -> None:
    college = College.of(ANN, rules=archiving())
    college.has_left("A1", left_at=NOW - timedelta(days=13, hours=23), days_gone=20)

    assert [leaver.to_archive for leaver in college.plan().leavers] == [False]


def test_zero_grace_archives_a_leaver_in_the_run_that_finds_it() -> None:
    college = College.of(ANN, rules=archiving(grace=timedelta(0)))

    assert [leaver.to_archive for leaver in college.plan().new_leavers] == [True]


def test_the_protected_are_never_archived() -> None:
    college = College.of(ANN, BOB, rules=archiving(protected=frozenset({"A1"})))
    for misid in ("A1", "A2"):
        college.has_left(misid, left_at=NOW - timedelta(days=365))

    assert {leaver.key.misid: leaver.to_archive for leaver in college.plan().leavers} == {"A1": False, "A2": True}


def test_leavers_are_not_archived_by_default_even_after_ten_years() -> None:
    college = College.of(ANN)
    college.has_left("A1", left_at=NOW - timedelta(days=3650))

    assert [leaver.to_archive for leaver in college.plan().leavers] == [False]


def test_an_account_without_a_user_id_yet_cannot_be_archived() -> None:
    college = College.of(ANN, rules=archiving())
    college.known[key("A1")] = Known(None, Status.LEAVER, "", NOW - timedelta(days=365))

    assert [leaver.to_archive for leaver in college.plan().leavers] == [False]


def test_the_archived_are_leavers_no_more() -> None:
    college = College.of(ANN, rules=archiving())
    college.has_left("A1", Status.ARCHIVED)

    assert college.plan() == Plan()


def test_a_held_record_makes_no_leaver() -> None:
    assert College.of(ANN).plan(unfit("A1")).leavers == ()


def test_leaver_with_unchanged_record_back_is_a_returner_without_a_call() -> None:
    college = College.of(ANN)
    college.has_left("A1")

    plan = college.plan(ANN)

    assert plan.returners == (Returner(key("A1"), 100, is_archived=False),)
    assert (plan.calls, plan.unchanged, plan.leavers) == (0, 1, ())


def test_an_archived_account_whose_record_is_back_is_unarchived() -> None:
    college = College.of(ANN)
    college.has_left("A1", Status.ARCHIVED)

    plan = college.plan(ANN)

    assert plan.returners == (Returner(key("A1"), 100, is_archived=True),)
    assert plan.calls == 1


def test_a_record_that_comes_back_changed_is_a_returner_and_an_update() -> None:
    college = College.of(ANN)
    college.has_left("A1", Status.ARCHIVED)

    plan = college.plan(person("A1", LastName="Married"))

    assert [(returner.key, returner.is_archived) for returner in plan.returners] == [(key("A1"), True)]
    assert [(update.user_id, update.fields) for update in plan.updates] == [(100, {"LastName": "Married"})]
    assert plan.creates == ()


def test_unfit_record_of_an_archived_leaver_makes_no_returner() -> None:
    college = College.of(ANN)
    college.has_left("A1", Status.ARCHIVED)

    plan = college.plan(unfit("A1"))

    assert (plan.returners, plan.leavers, plan.held) == ((), (), (unfit("A1"),))


def test_record_of_an_archived_leaver_with_unknown_code_makes_no_returner() -> None:
    learner = person("L1", Role.LEARNER, codes={"ClassroomID": Code(Referent.CLASSROOM, "Name", "Business L2")})
    college = College.of(learner)
    college.has_left("L1", Status.ARCHIVED, role=Role.LEARNER)

    plan = college.plan(learner)

    assert (plan.returners, plan.leavers, [held.reason for held in plan.held]) == ((), (), [Reason.REFERENCE_NOT_FOUND])


def test_a_returner_has_returned_once_that_is_noted() -> None:
    college = College.of(ANN)
    college.has_left("A1")
    college.carry_out(college.plan(ANN))

    assert college.plan(ANN) == Plan(unchanged=1)


def test_a_run_for_some_people_only_leaves_everyone_else_alone() -> None:
    college = College.of(ANN, BOB, person("A3"))
    changed = [person(misid, LastName="Married") for misid in ("A1", "A2")]

    plan = college.plan(*changed, unfit("A4"), unfit(""), person("A5"), person("A5"), scope=Scope.of(["A1", "A3"]))

    assert [update.key.misid for update in plan.updates] == ["A1"]
    assert [leaver.key.misid for leaver in plan.leavers] == ["A3"]
    assert (plan.creates, plan.held, plan.unchanged) == ((), (), 0)


def test_a_run_for_some_people_still_counts_every_row_of_the_feeds() -> None:
    sifted = College.of(ANN).sift(ANN, BOB, unfit(""), scope=Scope.of(["A1"]))

    assert sifted.rows == {"Assessor feed": 3}
