"""Who is assigned to a learner besides the default assessor: rows of assignments feeds, and what becomes of them."""

from collections import Counter
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.accounts import Known, Status
from syncd.core.assignments import (
    ASSIGNABLE,
    AssignmentLayout,
    AssignmentPlan,
    AssignmentRecord,
    Pair,
    StoredAssignment,
    find_changed_assignments,
    plan_assignments,
    users_by_learner,
)
from syncd.core.fields import Referent, Role
from syncd.core.plan import Assign
from syncd.core.records import Code, Held, Key, OtherOrganisation, Reason, UnusableColumns, Warned, stamped
from syncd.core.scope import EVERYONE, Scope
from tests.support.records import ORGANISATION, College, key, link, person

COLUMNS = ("LearnerMISID", "UserMISID")
L1, E1 = key("L1", Role.LEARNER), key("E1", Role.EMPLOYER)
KNOWN = {
    key(misid, role): Known(user_id, Status.ACTIVE, "")
    for misid, role, user_id in (
        ("L1", Role.LEARNER, 1),
        ("L2", Role.LEARNER, 2),
        ("E1", Role.EMPLOYER, 11),
        ("E2", Role.EMPLOYER, 12),
    )
}
MADE = {Pair(L1, E1): StoredAssignment(1, 11)}
REFUSED = {Pair(L1, E1): StoredAssignment(1, 11, "No such luck.")}


def layout(*columns: str, role: Role = Role.EMPLOYER) -> AssignmentLayout:
    return AssignmentLayout.from_columns(role, "assignments", columns, ORGANISATION)


def complaint(*columns: str) -> str:
    with pytest.raises(UnusableColumns) as refusal:
        layout(*columns)
    return str(refusal.value)


def become(
    *links: AssignmentRecord | Held | OtherOrganisation,
    remembered: dict[Pair, StoredAssignment] | None = None,
    known: dict[Key, Known] | None = None,
    coming: frozenset[Key] = frozenset(),
    scope: Scope = EVERYONE,
) -> AssignmentPlan:
    """What becomes of these links."""
    known = KNOWN if known is None else known
    return plan_assignments(
        find_changed_assignments(links, remembered or {}, known, scope), remembered or {}, known, coming
    )


# Reading


@pytest.mark.parametrize("columns", [*permutations((*COLUMNS, "OrganisationID"))])
def test_row_without_a_user_misid_is_held_in_the_organisation_it_names(columns: tuple[str, ...]) -> None:
    row = {"OrganisationID": 5741, "LearnerMISID": "L1", "UserMISID": " "}

    held = layout(*columns).read([row[column] for column in columns], 7)

    assert isinstance(held, Held)
    assert (held.organisation_id, held.reason, held.field, held.row) == (5741, Reason.MISSING, "UserMISID", 7)


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper, " {} ".format])
@pytest.mark.parametrize("role", ASSIGNABLE)
def test_row_is_read_as_a_learner_and_a_person_of_the_feed_role(spelling: Any, role: Role) -> None:
    backwards = layout(*map(spelling, reversed(COLUMNS)), role=role)

    assert backwards.read((" U1 ", 4711), 1) == AssignmentRecord(
        Pair(key("4711", Role.LEARNER), key("U1", role)), "assignments"
    )


def test_a_link_is_listed_under_its_learner() -> None:
    assert link("L1", "E1").key == L1


def test_organisation_column_is_mandatory_with_several_organisations() -> None:
    with pytest.raises(UnusableColumns, match=r"the column OrganisationID is missing.* onefile.organisations is set"):
        AssignmentLayout.from_columns(Role.IQA, "assignments", COLUMNS, ORGANISATION, has_several_organisations=True)


@pytest.mark.parametrize(
    ("given", "reason"), [(None, Reason.MISSING), ("  ", Reason.MISSING), ("Leeds", Reason.UNUSABLE)]
)
def test_of_several_organisations_an_assignment_that_names_none_is_held(given: object, reason: Reason) -> None:
    several = AssignmentLayout.from_columns(
        Role.IQA, "assignments", (*COLUMNS, "OrganisationID"), ORGANISATION, has_several_organisations=True
    )

    held = several.read(("L1", "Q1", given), 7)

    assert isinstance(held, Held)
    assert (held.organisation_id, held.reason, held.field, held.row) == (ORGANISATION, reason, "OrganisationID", 7)


@pytest.mark.parametrize(("given", "organisation"), [(6000, 6000), ("6000", 6000), (None, ORGANISATION)])
def test_a_row_may_be_of_another_organisation(given: object, organisation: int) -> None:
    read = layout(*COLUMNS, "organisationid").read(("L1", "E1", given), 1)

    assert isinstance(read, AssignmentRecord)
    assert {who.organisation_id for who in read.pair} == {organisation}


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("LernerMISID", "did you mean LearnerMISID?"),
        ("user_misid", "did you mean UserMISID?"),
        ("shoe size", "leave it out"),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest_right_name(column: str, hint: str) -> None:
    assert complaint(*COLUMNS, column) == f"column {column!r} is not one of an assignments feed; {hint}"


@pytest.mark.parametrize("twin", ["UserMISID", " usermisid "])
def test_a_column_that_is_there_twice_is_refused_in_any_letter_case(twin: str) -> None:
    assert complaint(*COLUMNS, twin) == "column UserMISID appears twice; keep one"


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (["UserMISID"], "LearnerMISID"),
        (["LearnerMISID"], "UserMISID"),
        (["OrganisationID"], "LearnerMISID; UserMISID"),
    ],
)
def test_both_ends_of_a_link_are_mandatory(columns: list[str], missing: str) -> None:
    assert complaint(*columns) == f"mandatory for assignments and not among the columns: {missing}"


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize("position", [0, 1])
def test_a_row_that_lacks_an_end_is_held_by_its_number(empty: object, position: int) -> None:
    row: list[object] = ["L1", "E1"]
    row[position] = empty
    name = COLUMNS[position]

    assert layout(*COLUMNS).read(row, 7) == Held(
        ORGANISATION, Role.EMPLOYER, "", "assignments", Reason.MISSING, name, f"{name} is empty", 7
    )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ((object(), "E1", None), "LearnerMISID"),
        (("L1", object(), None), "UserMISID"),
        (("L1", "E1", "a few"), "OrganisationID"),
    ],
)
def test_a_row_with_an_unusable_value_is_held_by_its_number(row: tuple[object, ...], name: str) -> None:
    read = layout(*COLUMNS, "OrganisationID").read(row, 7)

    assert isinstance(read, Held)
    assert (read.misid, read.reason, read.field, read.row) == ("", Reason.UNUSABLE, name, 7)


# What becomes of them


def test_a_link_that_was_never_made_is_to_be_made() -> None:
    assert become(link("L1", "E1")) == AssignmentPlan((Assign(L1, E1, "assignments"),), (), ())


def test_a_link_that_is_there_twice_is_made_once() -> None:
    assert len(become(link("L1", "E1"), link("L1", "E1"), link("L1", "E1", feed="more assignments")).assigns) == 1


def test_a_link_that_was_made_asks_nothing() -> None:
    assert become(link("L1", "E1"), remembered=MADE) == AssignmentPlan((), (), ())


@pytest.mark.parametrize(
    "before", [StoredAssignment(1, 99), StoredAssignment(99, 11), StoredAssignment(99, 11, "No such luck.")]
)
def test_assignment_tried_with_another_account_of_either_is_made_again(before: StoredAssignment) -> None:
    assert become(link("L1", "E1"), remembered={Pair(L1, E1): before}).assigns == (Assign(L1, E1, "assignments"),)


def test_refused_assignment_is_held_with_the_refusal_and_not_retried() -> None:
    detail = "the Employer E1: No such luck."

    assert become(link("L1", "E1"), remembered=REFUSED) == AssignmentPlan(
        (), (Held(*L1, "assignments", Reason.REFUSED, "UserMISID", detail),), ()
    )


def test_a_refused_link_that_is_gone_from_the_mis_is_nothing_to_speak_of() -> None:
    assert become(remembered=REFUSED) == AssignmentPlan((), (), ())


def test_people_created_in_the_same_run_can_be_assigned() -> None:
    new = link("L9", "E9")

    assert become(new, coming=frozenset(new.pair)).assigns == (Assign(*new.pair, "assignments"),)


@pytest.mark.parametrize(
    ("unknown", "field", "detail"),
    [
        (link("L9", "E1"), "LearnerMISID", "there is no account of the Learner with the MISID 'L9'"),
        (link("L1", "E9"), "UserMISID", "there is no account of the Employer with the MISID 'E9'"),
        (link("L9", "E9"), "LearnerMISID", "there is no account of the Learner with the MISID 'L9'"),
    ],
    ids=["learner", "user", "both"],
)
def test_assignment_of_a_person_without_an_account_is_held(unknown: AssignmentRecord, field: str, detail: str) -> None:
    held = Held(*unknown.key, "assignments", Reason.REFERENCE_NOT_FOUND, field, detail)

    assert become(unknown, link("L2", "E2")) == AssignmentPlan(
        (Assign(key("L2", Role.LEARNER), key("E2", Role.EMPLOYER), "assignments"),), (held,), ()
    )


@pytest.mark.parametrize(
    "account", [Known(11, Status.ARCHIVED, ""), Known(11, Status.UNSURE, ""), Known(None, Status.ACTIVE, "")]
)
def test_assignment_to_an_archived_or_in_doubt_account_is_held(account: Known) -> None:
    assert [held.field for held in become(link("L1", "E1"), known=KNOWN | {E1: account}).held] == ["UserMISID"]


def test_all_that_a_learner_and_a_feed_have_in_common_is_one_hold() -> None:
    """The held list has one place for them, where the last would push out the others."""
    unknown = [link("L1", "E8"), link("L2", "E9"), link("L1", "E9"), link("L1", "E7", feed="more")]

    held = become(*unknown).held

    named = [(each.misid, each.feed, [code for code in ("E7", "E8", "E9") if code in each.detail]) for each in held]
    assert named == [("L1", "assignments", ["E8", "E9"]), ("L2", "assignments", ["E9"]), ("L1", "more", ["E7"])]


def test_links_that_are_gone_from_the_mis_are_one_warning_a_learner() -> None:
    misids = ("E3", "E1", "E4", "E2")
    employers = {key(misid, Role.EMPLOYER): Known(number, Status.ACTIVE, "") for number, misid in enumerate(misids)}
    made = {Pair(L1, who): StoredAssignment(1, number) for number, who in enumerate(employers)}
    named = "Employer E1, Employer E2, Employer E3, Employer E4"
    detail = f"{named}: assigned in OneFile and no longer in the MIS; unassign by hand in OneFile"

    assert become(remembered=made, known=KNOWN | employers) == AssignmentPlan(
        (), (), (Warned(L1, "", Reason.CLEARED, "UserMISID", detail),)
    )


@pytest.mark.parametrize("gone", [L1, E1])
@pytest.mark.parametrize("status", [Status.LEAVER, Status.ARCHIVED])
def test_assignment_gone_along_with_either_person_gives_no_warning(gone: Key, status: Status) -> None:
    left = KNOWN | {gone: Known(1, status, "")}

    assert become(remembered=MADE, known=left).warnings == ()


def test_only_requested_learners_are_assigned() -> None:
    assert [each.learner for each in become(link("L1", "E1"), link("L2", "E1"), scope=Scope.of(["L1"])).assigns] == [L1]


def test_assignment_outside_the_requested_misids_is_not_taken_for_gone() -> None:
    assert become(link("L1", "E1"), remembered=MADE, scope=Scope.of(["L2"])) == AssignmentPlan((), (), ())


def test_rows_of_other_organisations_are_passed_over_and_unfit_ones_held() -> None:
    unfit = Held(ORGANISATION, Role.EMPLOYER, "", "assignments", Reason.MISSING, "UserMISID", "UserMISID is empty", 3)

    assert become(OtherOrganisation("assignments"), unfit) == AssignmentPlan((), (unfit,), ())


# Whatever the MIS and the memory are like

MISIDS = ("1", "2", "3")
learners = st.sampled_from(MISIDS).map(lambda misid: key(misid, Role.LEARNER))
users = st.tuples(st.sampled_from(MISIDS), st.sampled_from((Role.EMPLOYER, Role.IQA))).map(lambda who: key(*who))
pairs = st.builds(Pair, learners, users)
rows = st.lists(st.builds(AssignmentRecord, pairs, st.sampled_from(("assignments", "more assignments"))), max_size=8)
ids = st.integers(1, 2)
accounts = st.builds(Known, st.none() | ids, st.sampled_from(Status), st.just(""))
memories = st.dictionaries(pairs, st.builds(StoredAssignment, ids, ids, st.sampled_from(("", "", "no"))), max_size=6)
stores = st.dictionaries(learners | users, accounts, max_size=8)


def by_pencil(pair: Pair, remembered: dict[Pair, StoredAssignment], known: dict[Key, Known], coming: set[Key]) -> str:
    """What becomes of one pair, one question after the other."""
    before = remembered.get(pair)
    if before and [known[who].user_id if who in known else None for who in pair] == [before.learner_id, before.user_id]:
        return "refused" if before.refusal else "made already"
    return "to assign" if all(who in coming or (who in known and known[who].is_usable) for who in pair) else "held"


@given(rows, memories, stores, st.sets(learners | users, max_size=4))
def test_every_assignment_has_exactly_one_outcome(
    rows: list[AssignmentRecord], remembered: dict[Pair, StoredAssignment], known: dict[Key, Known], coming: set[Key]
) -> None:
    assigned = become(*rows, remembered=remembered, known=known, coming=frozenset(coming))

    expected = {row.pair: by_pencil(row.pair, remembered, known, coming) for row in rows}
    becomes = [Pair(each.learner, each.user) for each in assigned.assigns]
    assert Counter(becomes) == Counter(pair for pair, said in expected.items() if said == "to assign")
    for reason, said in ((Reason.REFUSED, "refused"), (Reason.REFERENCE_NOT_FOUND, "held")):
        holds = {each.key for each in assigned.held if each.reason is reason}
        assert holds == {pair.learner for pair, each in expected.items() if each == said}
    places = [(each.key, each.feed, each.reason, each.field) for each in assigned.held]
    assert len(places) == len(set(places))


@given(rows, memories, stores)
def test_assignment_gone_from_the_mis_gives_a_warning_while_both_remain(
    rows: list[AssignmentRecord], remembered: dict[Pair, StoredAssignment], known: dict[Key, Known]
) -> None:
    in_mis = {row.pair for row in rows}
    gone = {
        pair
        for pair, before in remembered.items()
        if pair not in in_mis and not before.refusal and all(who in known and known[who].is_settled for who in pair)
    }

    warnings = become(*rows, remembered=remembered, known=known).warnings

    assert {warned.key: warned.detail.split(":")[0] for warned in warnings} == {
        learner: ", ".join(f"{user.role} {user.misid}" for user in sorted(by))
        for learner, by in users_by_learner(gone).items()
    }
    assert len(warnings) == len(users_by_learner(gone))


codes = st.sampled_from(MISIDS).map(lambda misid: Code(Referent.EMPLOYER, "MISID", misid))


@given(
    st.sets(st.sampled_from(MISIDS)),
    st.dictionaries(st.sampled_from(MISIDS), st.none() | codes),
    rows,
    st.sets(st.sampled_from(MISIDS)),
)
def test_successful_run_leaves_the_next_run_nothing_to_assign_or_send(
    employers: set[str], learners: dict[str, Code | None], links: list[AssignmentRecord], there_before: set[str]
) -> None:
    staff = [person(misid, Role.EMPLOYER) for misid in sorted(employers)]
    taught = [
        person(misid, Role.LEARNER, codes={"DefaultEmployerID": code} if code else {})
        for misid, code in learners.items()
    ]
    college = College.of(*(person(misid, Role.LEARNER) for misid in there_before))
    first = college.plan(*staff, *taught, links=links)
    made = {Pair(each.learner, each.user) for each in first.assigns}
    assert all(Pair(update.key, update.after_assigning) in made for update in first.updates if update.after_assigning)
    college.carry_out(first)

    second = college.plan(*staff, *taught, links=links)

    assert (second.calls, second.assigns) == (0, ())
    assert {each.key for each in second.refreshes} == {warned.key for warned in second.warnings}
    assert {*second.warnings} == {*first.warnings}
    assert {*second.held} == {*first.held}


# A record's fingerprint, with what its codes stand for

resolved = st.dictionaries(st.sampled_from(("ClassroomID", "PlacementID", "DefaultAssessorID")), st.integers(1, 200))
fingerprints = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(fingerprints, fingerprints, resolved, resolved)
@example("0" * 32, "1" * 32, {"ClassroomID": 7}, {"PlacementID": 7})
@example("0" * 32, "1" * 32, {"ClassroomID": 1, "PlacementID": 2}, {"ClassroomID": 2, "PlacementID": 1})
def test_stamped_fingerprints_are_equal_only_for_equal_records_and_ids(
    one: str, other: str, ids: dict[str, int], other_ids: dict[str, int]
) -> None:
    assert stamped(one, dict(reversed(ids.items()))) == stamped(one, ids)
    assert (stamped(one, ids) == stamped(one, other_ids)) is (ids == other_ids)
    assert (stamped(one, ids) == stamped(other, ids)) is (one == other)


@given(fingerprints)
def test_a_fingerprint_stays_as_it_is_without_ids(fingerprint: str) -> None:
    assert stamped(fingerprint, {}) == fingerprint
