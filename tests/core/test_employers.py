"""Employers: what they may see, whose default they are; people who change roles; rows of other organisations."""

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.assignments import Pair, StoredAssignment
from syncd.core.compare import Clear, Rules
from syncd.core.fields import GRANT, Referent, Role
from syncd.core.plan import Assign, Grant, Plan, Refresh
from syncd.core.records import Code, OtherOrganisation, Reason, Record, Warned
from syncd.core.scope import Scope
from tests.support.records import NOW, ORGANISATION, SECRET, College, key, link, person, place

E1, E2, L1 = key("E1", Role.EMPLOYER), key("E2", Role.EMPLOYER), key("L1", Role.LEARNER)


def coded(employer: str) -> Code:
    return Code(Referent.EMPLOYER, "MISID", employer)


def employer(misid: str = "E1", **fields: Any) -> Record:
    return person(misid, Role.EMPLOYER, **{"PlacementID": 7, **fields})


def learner(employer: str = "E1", **fields: Any) -> Record:
    """One whose default employer is this."""
    return person("L1", Role.LEARNER, codes={"DefaultEmployerID": coded(employer)}, **fields)


def college_with(*records: Record) -> College:
    """One where a run has sent these."""
    college = College()
    college.carry_out(college.plan(*records))
    return college


# What an employer may see


@pytest.mark.parametrize("is_open", [True, False])
def test_access_of_a_new_employer_is_sent_after_the_create_not_in_it(is_open: bool) -> None:
    ann = employer(GrantAccess=is_open)

    plan = College().plan(ann)

    [create] = plan.creates
    assert GRANT not in create.fields
    assert plan.grants == (Grant(E1, ann.feed, 7, is_open, ann.fingerprint(SECRET)),)
    assert plan.calls == 2


def test_what_comes_before_a_grant_is_not_all_that_is_to_be_said() -> None:
    """A run that ends between the two must not leave a record that counts as sent."""
    college, ann = College(), employer(GrantAccess=True)
    plan = college.plan(ann)
    assert [create.needs_recheck for create in plan.creates] == [True]

    college.carry_out(replace(plan, grants=()))

    assert college.plan(ann) == Plan(grants=plan.grants)


@pytest.mark.parametrize("is_open", [True, False])
def test_employer_access_is_sent_again_with_a_changed_placement(is_open: bool) -> None:
    college = college_with(employer(GrantAccess=is_open))
    moved = employer(GrantAccess=is_open, PlacementID=8)

    plan = college.plan(moved)

    assert [(update.fields, update.needs_recheck) for update in plan.updates] == [({"PlacementID": 8}, True)]
    assert plan.grants == (Grant(E1, moved.feed, 8, is_open, moved.fingerprint(SECRET)),)
    college.carry_out(plan)
    assert college.plan(moved) == Plan(unchanged=1)


def test_a_grant_that_did_not_follow_a_move_follows_it_in_the_next_run() -> None:
    college = college_with(employer(GrantAccess=True))
    moved = employer(GrantAccess=True, PlacementID=8)
    plan = college.plan(moved)

    college.carry_out(replace(plan, grants=()))

    assert college.plan(moved) == Plan(grants=plan.grants)


def test_employer_access_is_sent_again_with_an_awaited_placement() -> None:
    code = Code(Referent.PLACEMENT, "MISID", "P1")
    college = college_with(employer(GrantAccess=True))
    moved = person("E1", Role.EMPLOYER, codes={"PlacementID": code}, GrantAccess=True)

    plan = college.plan(place("P1", "The Mill"), moved)

    assert [update.waits_for for update in plan.updates] == [{"PlacementID": key("P1", Role.PLACEMENT)}]
    assert [grant.key for grant in plan.grants] == [E1]


@pytest.mark.parametrize("is_open", [True, False])
def test_access_changed_alone_is_sent_alone(is_open: bool) -> None:
    college = college_with(employer(GrantAccess=not is_open))
    ann = employer(GrantAccess=is_open)

    plan = college.plan(ann)

    assert plan == Plan(grants=(Grant(E1, ann.feed, 7, is_open, ann.fingerprint(SECRET)),))
    college.carry_out(plan)
    assert college.plan(ann) == Plan(unchanged=1)


def test_another_change_of_an_employer_does_not_tell_the_access_again() -> None:
    college = college_with(employer(GrantAccess=True))

    plan = college.plan(employer(GrantAccess=True, Telephone="0113 496 0000"))

    assert [update.fields for update in plan.updates] == [{"Telephone": "0113 496 0000"}]
    assert plan.grants == ()


def test_employer_without_an_access_value_is_created_without_a_grant() -> None:
    ann = employer()

    plan = College().plan(ann)

    assert [(create.fingerprint, create.needs_recheck) for create in plan.creates] == [(ann.fingerprint(SECRET), False)]
    assert plan.grants == ()


@pytest.mark.parametrize("clear", Clear)
def test_an_access_that_became_empty_takes_nothing_back(clear: Clear) -> None:
    college = college_with(employer(GrantAccess=True))
    college.rules = Rules(NOW, clear=clear)

    plan = college.plan(employer())

    assert (plan.calls, plan.unchanged, plan.warnings) == (0, 1, ())


def test_employer_found_in_onefile_is_linked_and_then_granted_access() -> None:
    college, ann = College(in_onefile={E1: (4711,)}), employer(GrantAccess=True)

    plan = college.plan(ann)

    [update] = plan.updates
    assert (update.is_link, update.needs_recheck, GRANT in update.fields) == (True, True, False)
    assert plan.grants == (Grant(E1, ann.feed, 7, True, ann.fingerprint(SECRET)),)


# Whose default employer somebody is


def test_default_employer_is_sent_in_the_create_without_an_assignment() -> None:
    college = college_with(employer())

    [create] = college.plan(employer(), learner()).creates

    assert create.fields["DefaultEmployerID"] == 100
    assert not create.needs_recheck


def test_default_employer_still_to_be_assigned_is_sent_after_the_create() -> None:
    college = college_with(employer())

    plan = college.plan(employer(), learner(), links=[link("L1", "E1")])

    [create], [update] = plan.creates, plan.updates
    assert "DefaultEmployerID" not in create.fields
    assert create.needs_recheck
    assert (update.key, update.user_id, update.fields, update.after_assigning) == (
        L1,
        None,
        {"DefaultEmployerID": 100},
        E1,
    )
    assert (update.fingerprint, update.needs_recheck) == (learner().fingerprint(SECRET), False)
    assert plan.assigns == (Assign(L1, E1, "assignments"),)


def test_default_employer_created_and_assigned_in_one_run_is_then_in_sync() -> None:
    college, rows, links = College(), (employer(), learner()), [link("L1", "E1")]

    plan = college.plan(*rows, links=links)
    college.carry_out(plan)

    assert [create.waits_for for create in plan.creates] == [{}, {}]
    assert [(update.fields, update.waits_for) for update in plan.updates] == [({}, {"DefaultEmployerID": E1})]
    assert college.values[L1]["DefaultEmployerID"] == 100
    assert college.plan(*rows, links=links) == Plan(unchanged=2)


def test_run_ended_before_assignment_leaves_default_employer_to_the_next() -> None:
    college, rows, links = college_with(employer()), (employer(), learner()), [link("L1", "E1")]
    plan = college.plan(*rows, links=links)
    college.carry_out(replace(plan, updates=(), assigns=()))

    again = college.plan(*rows, links=links)

    assert [(update.fields, update.after_assigning) for update in again.updates] == [({"DefaultEmployerID": 100}, E1)]
    assert again.assigns == plan.assigns


def test_linked_learner_gets_default_employer_with_all_other_fields() -> None:
    college = college_with(employer())
    college.in_onefile[L1] = (4711,)

    (update,) = college.plan(employer(), learner(), links=[link("L1", "E1")]).updates

    assert (update.is_link, update.user_id, update.after_assigning) == (True, 4711, E1)
    assert update.fields.keys() >= {"LastName", "DefaultEmployerID"}


def test_the_update_of_a_known_learner_waits_as_a_whole_for_the_assignment() -> None:
    college = college_with(employer(), employer("E2"), learner())

    plan = college.plan(employer(), employer("E2"), learner("E2", LastName="Married"), links=[link("L1", "E2")])

    [update] = plan.updates
    assert (update.fields, update.after_assigning) == ({"DefaultEmployerID": 101, "LastName": "Married"}, E2)


def test_update_without_a_new_default_employer_waits_for_no_assignment() -> None:
    college = college_with(employer(), learner())

    [update] = college.plan(employer(), learner(LastName="Married"), links=[link("L1", "E1")]).updates

    assert (update.fields, update.after_assigning) == ({"LastName": "Married"}, None)


def test_assignment_of_another_employer_is_not_waited_for() -> None:
    college = college_with(employer(), employer("E2"))

    plan = college.plan(employer(), employer("E2"), learner(), links=[link("L1", "E2")])

    assert [create.fields.get("DefaultEmployerID") for create in plan.creates] == [100]
    assert plan.updates == ()


def test_default_employer_given_by_userid_is_also_assigned_first() -> None:
    college = college_with(employer())
    by_id = person("L1", Role.LEARNER, DefaultEmployerID=100)

    plan = college.plan(employer(), by_id, links=[link("L1", "E1")])

    assert [(update.fields, update.after_assigning) for update in plan.updates] == [({"DefaultEmployerID": 100}, E1)]


REFUSED = {Pair(L1, E1): StoredAssignment(101, 100, "No such luck.")}


def test_default_employer_with_refused_assignment_is_left_out_with_warning() -> None:
    college = college_with(employer(), person("L1", Role.LEARNER))
    college.remembered |= REFUSED
    said = "DefaultEmployerID is left out: OneFile has refused to assign the employer E1"

    married = learner(LastName="Married")
    for fields in ({"LastName": "Married"}, {}, {}):
        plan = college.plan(employer(), married, links=[link("L1", "E1")])
        college.carry_out(plan)

        assert [update.fields for update in plan.updates] == ([fields] if fields else [])
        assert plan.warnings == (Warned(L1, "Learner feed", Reason.REFUSED, "DefaultEmployerID", said),)
        assert plan.refreshes == (
            ()
            if fields
            else (Refresh(L1, "Learner feed", married.fingerprint(SECRET), {"DefaultEmployerID": 100}, True),)
        )


def test_default_employer_is_sent_once_the_refused_assignment_succeeds() -> None:
    college = college_with(employer(), person("L1", Role.LEARNER))
    college.remembered |= REFUSED
    college.carry_out(college.plan(employer(), learner(), links=[link("L1", "E1")]))
    college.remembered = {Pair(L1, E1): StoredAssignment(101, 100)}

    plan = college.plan(employer(), learner(), links=[link("L1", "E1")])

    assert [(update.fields, update.after_assigning) for update in plan.updates] == [({"DefaultEmployerID": 100}, None)]
    assert plan.warnings == ()


# Somebody changes roles


def test_role_change_makes_a_new_account_and_a_leaver_and_moves_learners() -> None:
    code = Code(Referent.ASSESSOR, "MISID", "T1")
    learners = [person(misid, Role.LEARNER, codes={"DefaultAssessorID": code}) for misid in ("L1", "L2")]
    college = college_with(person("T1", Role.TRAINEE_ASSESSOR), *learners)
    promoted = person("T1", Role.ASSESSOR)

    plan = college.plan(promoted, *learners)

    assert [(create.key, create.former_role) for create in plan.creates] == [(key("T1"), Role.TRAINEE_ASSESSOR)]
    assert [leaver.key for leaver in plan.leavers] == [key("T1", Role.TRAINEE_ASSESSOR)]
    assert [(update.key.misid, update.fields, update.waits_for) for update in plan.updates] == [
        ("L1", {}, {"DefaultAssessorID": key("T1")}),
        ("L2", {}, {"DefaultAssessorID": key("T1")}),
    ]
    college.carry_out(plan)
    again = college.plan(promoted, *learners)
    assert (again.calls, again.unchanged, again.refreshes) == (0, 3, ())


def test_person_with_two_roles_at_once_has_not_changed_roles() -> None:
    college = college_with(person("A1", Role.IQA))

    assert [create.former_role for create in college.plan(person("A1"), person("A1", Role.IQA)).creates] == [None]


def test_person_with_an_older_leaver_account_has_not_changed_roles() -> None:
    college = college_with(person("T1", Role.TRAINEE_ASSESSOR))
    college.has_left("T1", role=Role.TRAINEE_ASSESSOR)

    assert [create.former_role for create in college.plan(person("T1")).creates] == [None]


def test_code_prefers_the_account_with_a_record_to_the_likelier_role() -> None:
    code = Code(Referent.ASSESSOR, "MISID", "A1")
    college = college_with(person("A1"), person("A1", Role.TRAINEE_ASSESSOR))

    plan = college.plan(
        person("A1", Role.TRAINEE_ASSESSOR), person("L1", Role.LEARNER, codes={"DefaultAssessorID": code})
    )

    assert [create.fields["DefaultAssessorID"] for create in plan.creates] == [101]


def test_a_learner_keeps_the_trainee_while_only_others_are_asked_for() -> None:
    code = Code(Referent.ASSESSOR, "MISID", "T1")
    taught = person("L1", Role.LEARNER, codes={"DefaultAssessorID": code})
    college = college_with(person("T1", Role.TRAINEE_ASSESSOR), taught)

    assert college.plan(person("T1"), taught, scope=Scope.of(["L1"])) == Plan(unchanged=1)


# Defaults


def test_plan_counts_learners_to_be_sent_with_a_default() -> None:
    def defaulted(misid: str, **fields: Any) -> Record:
        given = person(misid, Role.LEARNER, ClassroomID=1, PlacementID=2, **fields)
        return replace(given, defaulted=frozenset({"ClassroomID", "PlacementID"}))

    college = college_with(defaulted("L1"), person("L2", Role.LEARNER, ClassroomID=9, PlacementID=2))

    plan = college.plan(
        defaulted("L1", LastName="Married"), defaulted("L2"), defaulted("L3"), person("L4", Role.LEARNER, ClassroomID=1)
    )

    assert plan.defaulted == {(Role.LEARNER, "ClassroomID"): 2, (Role.LEARNER, "PlacementID"): 1}


def test_awaited_default_counts_and_default_of_a_held_record_does_not() -> None:
    code = Code(Referent.CLASSROOM, "MISID", "C1")
    row = person("L1", Role.LEARNER, codes={"ClassroomID": code})
    row = replace(row, defaulted=frozenset({"ClassroomID"}))

    assert College().plan(row).defaulted == {}
    assert College().plan(place("C1", "Leavers", Role.CLASSROOM), row).defaulted == {(Role.LEARNER, "ClassroomID"): 1}


# Several organisations


def test_row_of_another_organisation_is_counted_but_not_planned() -> None:
    ann = person("A1")
    college = College.of(ann)

    sifted = college.sift(ann, OtherOrganisation(ann.feed), OtherOrganisation(ann.feed), OtherOrganisation("others"))

    assert (sifted.rows, sifted.elsewhere) == ({ann.feed: 1}, {ann.feed: 2, "others": 1})
    assert college.plan(ann, OtherOrganisation(ann.feed)) == Plan(unchanged=1)


def test_a_default_employer_of_another_organisation_is_not_ours() -> None:
    college = college_with(employer())
    elsewhere = Record(L1._replace(organisation_id=6000), "learners", learner().fields, learner().codes, frozenset())

    [warned] = college.plan(elsewhere).warnings

    assert warned == Warned(
        L1._replace(organisation_id=6000),
        "learners",
        Reason.REFERENCE_NOT_FOUND,
        "DefaultEmployerID",
        "DefaultEmployerID is left out: OneFile has no employer with the MISID 'E1'",
    )
    assert ORGANISATION != 6000
