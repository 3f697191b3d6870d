"""Two rows with one key: both are held, because guessing is worse."""

import pytest

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.records import Held, Reason, Record
from tests.support.records import SECRET, College, key, person, unfit

ANN = person("A1")


def refused(record: Record) -> College:
    hold = Held(*record.key, record.feed, Reason.REFUSED, "Email", "said no", fingerprint=record.fingerprint(SECRET))
    return College(refused={record.key: hold})


@pytest.mark.parametrize(
    ("college", "first"),
    [
        pytest.param(College(), ANN, id="new"),
        pytest.param(College.of(ANN), ANN, id="unchanged"),
        pytest.param(College.of(ANN), person("A1", LastName="Married"), id="changed"),
        pytest.param(College(), unfit("A1"), id="unfit"),
        pytest.param(refused(ANN), ANN, id="refused"),
    ],
)
@pytest.mark.parametrize(
    "second",
    [
        pytest.param(ANN, id="the same again"),
        pytest.param(person("A1", LastName="Other"), id="another"),
        pytest.param(unfit("A1"), id="an unfit one"),
    ],
)
def test_two_rows_with_one_key_are_both_held(college: College, first: Record | Held, second: Record | Held) -> None:
    for rows in ((first, second), (second, first), (first, second, first)):
        plan = college.plan(*rows)

        assert [(held.misid, held.reason, held.field) for held in plan.held] == [("A1", Reason.DUPLICATE_KEY, "MISID")]
        assert (plan.calls, plan.unchanged, plan.refreshes, plan.leavers) == (0, 0, (), ())


def test_the_same_misid_in_another_role_is_no_duplicate() -> None:
    plan = College().plan(person("A1", Role.ASSESSOR), person("A1", Role.IQA))

    assert len(plan.creates) == 2
    assert plan.held == ()


def test_duplicate_in_another_feed_of_the_role_is_held() -> None:
    elsewhere = Record(ANN.key, "more assessors", ANN.fields, ANN.codes, ANN.supplied)

    assert [held.reason for held in College().plan(ANN, elsewhere).held] == [Reason.DUPLICATE_KEY]


def test_rows_without_a_misid_are_no_duplicates_of_each_other() -> None:
    plan = College().plan(unfit(""), unfit(""))

    assert [held.reason for held in plan.held] == [Reason.MISSING, Reason.MISSING]


def test_an_account_with_two_rows_is_no_leaver() -> None:
    college = College.of(ANN)

    assert college.plan(ANN, ANN).leavers == ()


def test_an_account_that_had_left_and_has_two_rows_is_no_returner() -> None:
    college = College.of(ANN)
    college.has_left("A1", Status.ARCHIVED)

    plan = college.plan(ANN, ANN)

    assert (plan.returners, plan.calls) == ((), 0)


def test_a_duplicate_that_is_mended_is_sent_in_the_next_run() -> None:
    college = College()
    college.carry_out(college.plan(ANN, person("A1", LastName="Other")))

    assert [create.key for create in college.plan(ANN).creates] == [key("A1")]


def test_a_held_duplicate_has_no_warnings_beside_it() -> None:
    with_warning = person("A1", unusable=["DOB"])

    plan = College().plan(with_warning, person("A2", unusable=["ULN"]), with_warning)

    assert [warned.key.misid for warned in plan.warnings] == ["A2"]


def test_every_row_is_counted_for_its_feed_even_if_it_is_held() -> None:
    sifted = College().sift(ANN, ANN, unfit("A2"), unfit(""), person("A1", Role.IQA))

    assert sifted.rows == {"Assessor feed": 4, "IQA feed": 1}


def test_duplicates_are_held_in_one_order_for_any_row_order() -> None:
    people = [person(f"A{number}") for number in range(10)]

    plan = College().plan(*people, *reversed(people))

    assert [held.misid for held in plan.held] == [f"A{number}" for number in range(10)]


@pytest.mark.timeout(15)
def test_large_feed_with_every_row_doubled_is_held_quickly() -> None:
    people = [person(f"{number:05}", unusable=["DOB"]) for number in range(20_000)]

    sifted = College().sift(*people, *people)

    assert (len(sifted.held), len(sifted.changed), len(sifted.warnings)) == (20_000, 0, 0)
