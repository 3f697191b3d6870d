"""A generated college holds together, whatever its size and dirt."""

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.demo.data_defects import Dirt, Size
from syncd.demo.generator import NO_SUCH_TUTOR, Generated, generate
from syncd.demo.mis_schema import EMPLOYER_CONTACT, ENROLMENT, LEARNER, LEARNER_STAFF, METADATA, STAFF

SEEDS = st.integers(0, 2**32)
SIZES = st.builds(
    Size,
    centres=st.integers(1, 3),
    placements=st.integers(3, 50),
    classes=st.integers(3, 60),
    staff=st.integers(3, 90),
    employers=st.integers(0, 130),
    observers=st.integers(0, 6),
    learners=st.integers(0, 300),
)


@given(SEEDS, SIZES)
@settings(max_examples=10)
def test_every_row_leads_to_rows_that_are_there(seed: int, size: Size) -> None:
    rows = generate(seed, size).rows

    for table in METADATA.sorted_tables:
        for key in table.foreign_keys:
            there = {row[key.column.name] for row in rows[key.column.table]}
            assert {row[key.parent.name] for row in rows[table]} <= there | {None}
        for row in rows[table]:
            assert row.keys() <= set(table.columns.keys())


@given(SEEDS, SIZES)
@settings(max_examples=10)
def test_held_records_are_not_referenced_by_other_records(seed: int, size: Size) -> None:
    rows = generate(seed, size).rows
    dirt = Dirt.usual(seed, size)

    named = {row["tutor_code"] for row in rows[ENROLMENT]} - {NO_SUCH_TUTOR}
    named |= {row["staff_code"] for row in rows[LEARNER_STAFF]}
    named |= {row["employer_contact_code"] for row in rows[LEARNER]}
    assert named.isdisjoint(dirt.held)


@given(SEEDS, SIZES)
@settings(max_examples=10)
def test_usual_dirt_is_present_and_its_kinds_do_not_overlap(seed: int, size: Size) -> None:
    college = generate(seed, size)
    dirt = college.dirt

    sorts = (
        dirt.without_email,
        dirt.entered_twice,
        dirt.unknown_tutor,
        dirt.wrong_uln,
        dirt.no_date,
        dirt.without_site,
        {*dirt.shared_email.keys(), *dirt.shared_email.values()},
        dirt.two_roles,
    )
    assert all(one.isdisjoint(other) for one, other in combinations(sorts, 2))
    assert _without_email(college) == dirt.without_email
    assert _twice(college) == dirt.entered_twice
    for one, other in dirt.shared_email.items():
        assert _email_of(college, one) == _email_of(college, other)


@given(SEEDS, SIZES)
@settings(max_examples=5)
def test_one_seed_gives_one_college(seed: int, size: Size) -> None:
    assert generate(seed, size).rows == generate(seed, size).rows


def _without_email(college: Generated) -> set[str]:
    return {row["code"] for table in _PEOPLE for row in college.rows[table] if row["email"] is None}


def _twice(college: Generated) -> set[str]:
    times = Counter(row["code"] for table in (STAFF, EMPLOYER_CONTACT) for row in college.rows[table])
    times.update(row["learner_code"] for row in college.rows[ENROLMENT])
    return {code for code, number in times.items() if number > 1}


def _email_of(college: Generated, code: str) -> str:
    (email,) = {row["email"] for table in _PEOPLE for row in college.rows[table] if row["code"] == code}
    return str(email)


_PEOPLE = (LEARNER, STAFF, EMPLOYER_CONTACT)
