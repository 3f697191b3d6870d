"""An assessor, an employer, a class or a placement that the MIS gives as a code of its own."""

from datetime import timedelta
from typing import Any

import pytest

from syncd.core.compare import Clear, Doubt, Rules
from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, ReferenceColumn, Referent, Role, is_mandatory
from syncd.core.plan import Plan
from syncd.core.records import Code, Held, Reason, stamped
from syncd.core.references import LookedUp, Resolved, is_check_due, trusted
from tests.support.records import NOW, ORGANISATION, College, key, person, unfit

ASSESSOR = Code(Referent.ASSESSOR, "MISID", "A1")
CLASSROOM = Code(Referent.CLASSROOM, "Name", "Business L2")
IDS: dict[str, Any] = {"DefaultAssessorID": 7, "ClassroomID": 15379, "PlacementID": 18928}


def college_where(*learners: Any, **meanings: Resolved) -> College:
    """One where the two codes mean this."""
    college = College.of(*learners)
    codes = {"assessor": ASSESSOR, "classroom": CLASSROOM}
    college.codes = {(ORGANISATION, codes[name]): meaning for name, meaning in meanings.items()}
    return college


def learner(**fields: Any) -> Any:
    """One whose assessor and class are codes."""
    return person("L1", Role.LEARNER, codes={"DefaultAssessorID": ASSESSOR, "ClassroomID": CLASSROOM}, **fields)


def test_a_code_becomes_the_id_it_stands_for() -> None:
    college = college_where(assessor=7, classroom=15379)

    [create] = college.plan(learner(PlacementID=18928)).creates

    assert create.fields.items() >= IDS.items()
    assert create.waits_for == {}


def test_a_learner_whose_assessor_is_created_in_the_same_run_waits_for_it() -> None:
    college = college_where(assessor=key("A1"), classroom=15379)

    [assessor, create] = college.plan(person("A1"), learner()).creates

    assert assessor.key == key("A1")
    assert create.waits_for == {"DefaultAssessorID": key("A1")}
    assert "DefaultAssessorID" not in create.fields


def test_otherwise_unchanged_learner_waits_for_a_new_assessor() -> None:
    before = person("L1", Role.LEARNER, **IDS)
    college = college_where(before, assessor=key("A1"), classroom=15379)

    plan = college.plan(person("A1"), learner(PlacementID=18928))

    [update] = plan.updates
    assert (update.fields, update.waits_for) == ({}, {"DefaultAssessorID": key("A1")})
    assert plan.warnings == ()


@pytest.mark.parametrize("clear", Clear)
def test_an_id_that_is_waited_for_is_not_taken_for_an_empty_one(clear: Clear) -> None:
    college = college_where(person("L1", Role.LEARNER, **IDS), assessor=key("A1"), classroom=15379)
    college.rules = Rules(NOW, clear=clear)

    [update] = college.plan(person("A1"), learner(PlacementID=18928)).updates

    assert update.fields == {}


def test_a_code_that_comes_to_the_id_onefile_has_is_no_change() -> None:
    college = college_where(person("L1", Role.LEARNER, **IDS), assessor=7, classroom=15379)

    plan = college.plan(learner(PlacementID=18928))

    assert (plan.updates, plan.unchanged) == ((), 1)


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        (Reason.REFERENCE_NOT_FOUND, "OneFile has no classroom with the Name 'Business L2'"),
        (Reason.AMBIGUOUS, "OneFile has more than one classroom with the Name 'Business L2'"),
    ],
)
def test_a_code_that_cannot_be_resolved_holds_its_record_and_is_named(reason: Reason, detail: str) -> None:
    college = college_where(assessor=7, classroom=reason)

    plan = college.plan(learner(), person("A2"))

    [held] = plan.held
    assert (held.misid, held.reason, held.field, held.detail) == ("L1", reason, "ClassroomID", detail)
    assert [create.key.misid for create in plan.creates] == ["A2"]


def test_code_that_was_not_looked_up_is_held_as_not_found() -> None:
    [held] = college_where(classroom=15379).plan(learner()).held

    assert (held.reason, held.field) == (Reason.REFERENCE_NOT_FOUND, "DefaultAssessorID")
    assert held.detail == "OneFile has no assessor with the MISID 'A1'"


def test_a_code_means_what_it_means_in_its_own_organisation_only() -> None:
    college = College(codes={(6000, ASSESSOR): 7, (6000, CLASSROOM): 15379})

    assert [held.reason for held in college.plan(learner()).held] == [Reason.REFERENCE_NOT_FOUND]


def test_a_code_that_comes_to_be_known_is_tried_again_in_the_next_run() -> None:
    college = college_where(assessor=7)
    assert college.plan(learner()).creates == ()

    college.codes[ORGANISATION, CLASSROOM] = 15379

    assert [create.key.misid for create in college.plan(learner()).creates] == ["L1"]


def test_learner_moved_to_another_class_is_an_update_of_that_field_only() -> None:
    college = college_where(assessor=7, classroom=15379)
    college.carry_out(college.plan(learner()))
    moved = Code(Referent.CLASSROOM, "Name", "Business L3")
    college.codes[ORGANISATION, moved] = 15380

    plan = college.plan(person("L1", Role.LEARNER, codes={"DefaultAssessorID": ASSESSOR, "ClassroomID": moved}))

    assert [update.fields for update in plan.updates] == [{"ClassroomID": 15380}]


def test_codes_of_an_unchanged_record_are_not_looked_up_again() -> None:
    college = college_where(assessor=7, classroom=15379)
    college.carry_out(college.plan(learner()))
    college.codes.clear()

    assert college.plan(learner()) == Plan(unchanged=1)


def test_another_id_behind_the_same_code_is_an_update_of_that_alone() -> None:
    college = college_where(assessor=7, classroom=15379)
    college.carry_out(college.plan(learner()))
    college.codes[ORGANISATION, ASSESSOR] = college.looked_up[ASSESSOR] = 8

    plan = college.plan(learner())

    assert [update.fields for update in plan.updates] == [{"DefaultAssessorID": 8}]
    college.carry_out(plan)
    assert college.plan(learner()) == Plan(unchanged=1)


def test_learner_does_not_wait_for_an_assessor_that_is_only_linked() -> None:
    ann, code = person("A1"), Code(Referent.ASSESSOR, "MISID", "A1")
    learner = person("L1", Role.LEARNER, codes={"DefaultAssessorID": code})
    # OneFile has told her id before her record came.
    college = College.of(person("L1", Role.LEARNER, DefaultAssessorID=300_006))
    college.in_onefile[ann.key] = (300_006,)

    plan = college.plan(ann, learner)

    assert [(update.key, update.is_link) for update in plan.updates] == [(ann.key, True)]
    assert [refresh.key for refresh in plan.refreshes] == [learner.key]


DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SECOND = timedelta(seconds=1)


def found(meaning: int | Reason, age: timedelta, *, is_doubted: bool = False) -> LookedUp:
    return LookedUp(meaning, NOW - age, is_doubted)


@pytest.mark.parametrize(
    ("looked_up", "is_due"),
    [
        (found(7, timedelta()), False),
        (found(7, DAY - SECOND), False),
        (found(7, DAY), True),
        (found(7, -SECOND), True),
        (found(7, HOUR, is_doubted=True), True),
        (found(Reason.REFERENCE_NOT_FOUND, HOUR - SECOND), False),
        (found(Reason.REFERENCE_NOT_FOUND, HOUR), True),
        (found(Reason.AMBIGUOUS, HOUR - SECOND), False),
        (found(Reason.AMBIGUOUS, HOUR), True),
    ],
)
def test_an_id_lasts_for_a_day_and_its_absence_for_an_hour(looked_up: LookedUp, is_due: bool) -> None:
    assert looked_up.is_due(NOW) is is_due
    assert trusted({ASSESSOR: looked_up}, {ASSESSOR}, NOW) == ({} if is_due else {ASSESSOR: looked_up.meaning})


def test_only_an_id_that_is_due_takes_a_full_read() -> None:
    assert is_check_due([found(7, HOUR), found(8, DAY)], NOW)
    assert is_check_due([found(7, HOUR, is_doubted=True)], NOW)
    assert not is_check_due([found(7, HOUR), found(Reason.AMBIGUOUS, DAY)], NOW)


def test_an_outdated_id_has_the_other_ids_in_use_looked_up_as_well() -> None:
    missing = Code(Referent.CLASSROOM, "Name", "Nowhere")
    looked_up = {ASSESSOR: found(7, DAY), CLASSROOM: found(8, HOUR), missing: found(Reason.REFERENCE_NOT_FOUND, SECOND)}

    assert trusted(looked_up, {*looked_up}, NOW) == {missing: Reason.REFERENCE_NOT_FOUND}
    assert trusted(looked_up, {CLASSROOM}, NOW) == {CLASSROOM: 8}, "the outdated one is not in use"


def test_a_doubted_id_has_no_other_id_looked_up() -> None:
    looked_up = {ASSESSOR: found(7, HOUR, is_doubted=True), CLASSROOM: found(8, HOUR)}

    assert trusted(looked_up, {*looked_up}, NOW) == {CLASSROOM: 8}


def test_a_refused_record_is_sent_again_if_its_code_stands_for_another_id() -> None:
    college = college_where(assessor=7, classroom=15379)
    [create] = college.plan(learner(PlacementID=18928)).creates
    college.looked_up |= {ASSESSOR: 7, CLASSROOM: 15379}
    refused = Held(*create.key, create.feed, Reason.REFUSED, "", "refused", 0, stamped(create.fingerprint, create.ids))
    college.refused[create.key] = refused

    assert college.plan(learner(PlacementID=18928)).held == (refused,)
    college.codes[ORGANISATION, ASSESSOR] = college.looked_up[ASSESSOR] = 8

    assert [each.fields["DefaultAssessorID"] for each in college.plan(learner(PlacementID=18928)).creates] == [8]


# Codes of optional fields

_OF_LEARNERS = [column for column in REFERENCE_COLUMNS.values() if Role.LEARNER in FIELDS[column.field].roles]
_OPTIONAL = [column for column in _OF_LEARNERS if not is_mandatory(Role.LEARNER, column.field)]
_NOT_UNIQUE = {
    Reason.REFERENCE_NOT_FOUND: "OneFile has no {} with the {} 'X'",
    Reason.AMBIGUOUS: "OneFile has more than one {} with the {} 'X'",
}
_BOSS = Code(Referent.EMPLOYER, "MISID", "E1")


def code_in(column: ReferenceColumn) -> Code:
    referent = FIELDS[column.field].referent
    assert referent is not None
    return Code(referent, column.by, "X")


@pytest.mark.parametrize("reason", _NOT_UNIQUE)
@pytest.mark.parametrize("column", _OF_LEARNERS, ids=lambda column: column.name)
def test_only_an_optional_code_is_left_out_and_named(column: ReferenceColumn, reason: Reason) -> None:
    code = code_in(column)
    college = College(codes={(ORGANISATION, code): reason})
    detail = _NOT_UNIQUE[reason].format(code.referent, code.by)

    plan = college.plan(person("L1", Role.LEARNER, codes={column.field: code}))

    if column in _OPTIONAL:
        [create] = plan.creates
        assert column.field not in create.fields
        assert [(each.reason, each.field, each.detail) for each in plan.warnings] == [
            (reason, column.field, f"{column.field} is left out: {detail}")
        ]
        assert plan.held == ()
    else:
        assert [(hold.reason, hold.field, hold.detail) for hold in plan.held] == [(reason, column.field, detail)]
        assert (plan.creates, plan.warnings) == ((), ())


@pytest.mark.parametrize("clear", Clear)
@pytest.mark.parametrize("column", _OPTIONAL, ids=lambda column: column.name)
def test_other_changes_are_sent_beside_an_optional_code(column: ReferenceColumn, clear: Clear) -> None:
    sent: dict[str, Any] = {column.field: 7}
    college = College.of(person("L1", Role.LEARNER, **sent))
    college.rules = Rules(NOW, clear=clear)

    plan = college.plan(person("L1", Role.LEARNER, codes={column.field: code_in(column)}, LastName="Married"))

    assert [update.fields for update in plan.updates] == [{"LastName": "Married"}]
    assert [(each.reason, each.field) for each in plan.warnings] == [(Reason.REFERENCE_NOT_FOUND, column.field)]


@pytest.mark.parametrize("column", _OPTIONAL, ids=lambda column: column.name)
def test_an_optional_code_that_comes_to_resolve_is_one_field(column: ReferenceColumn) -> None:
    code, college = code_in(column), College()
    row = person("L1", Role.LEARNER, codes={column.field: code})
    college.carry_out(college.plan(row))
    again = college.plan(row)
    assert (again.calls, [each.field for each in again.warnings]) == (0, [column.field])
    college.carry_out(again)

    college.codes[ORGANISATION, code] = college.looked_up[code] = 7
    plan = college.plan(row)

    assert [update.fields for update in plan.updates] == [{column.field: 7}]
    assert plan.warnings == ()
    college.carry_out(plan)
    assert college.plan(row) == Plan(unchanged=1)


def test_a_held_employer_is_left_out_of_its_learners() -> None:
    learner = person("L1", Role.LEARNER, codes={"DefaultEmployerID": _BOSS})
    college = College()

    plan = college.plan(unfit("E1", Role.EMPLOYER), learner)

    assert [create.key.misid for create in plan.creates] == ["L1"]
    assert [each.field for each in plan.warnings] == ["DefaultEmployerID"]


def test_an_employer_in_doubt_is_left_out_and_named() -> None:
    boss, learner = person("E1", Role.EMPLOYER), person("L1", Role.LEARNER, codes={"DefaultEmployerID": _BOSS})
    college = College(in_doubt={boss.key: Doubt()})

    plan = college.plan(boss, learner)

    assert [create.key.misid for create in plan.creates] == ["L1"]
    assert [each.detail for each in plan.warnings] == ["DefaultEmployerID is left out: the Employer E1 is held as well"]
