"""Placements and classrooms: kept in step like people, and never archived."""

from typing import Any

import pytest

from syncd.core.accounts import Status
from syncd.core.compare import Rules
from syncd.core.fields import PLACES, Referent, Role
from syncd.core.plan import Create, Leaver, Plan, Update
from syncd.core.records import Code, Held, Key, Reason, Record
from tests.support.records import NOW, ORGANISATION, SECRET, College, key, person, place

P1, P2 = key("P1", Role.PLACEMENT), key("P2", Role.PLACEMENT)
BY_NAME = Code(Referent.PLACEMENT, "Name", "The Mill")
BY_MISID = Code(Referent.PLACEMENT, "MISID", "P1")
MILL = place("P1", "The Mill")
BY_EITHER = pytest.mark.parametrize("code", [BY_NAME, BY_MISID], ids=["by name", "by MISID"])


def learner(code: Code, misid: str = "L1") -> Record:
    """One who is placed at what this code stands for."""
    return person(misid, Role.LEARNER, codes={"PlacementID": code})


def holds(plan: Plan) -> list[tuple[str, Reason, str]]:
    return [(held.misid, held.reason, held.field) for held in plan.held]


@pytest.mark.parametrize("role", PLACES)
def test_new_place_is_created_with_all_fields_of_its_record(role: Role) -> None:
    mill = place("P1", "The Mill", role)

    plan = College().plan(mill)

    assert plan == Plan(creates=(Create(mill.key, f"{role} feed", mill.fields, {}, mill.fingerprint(SECRET)),))


@pytest.mark.parametrize(
    ("role", "change"),
    [
        (Role.PLACEMENT, {"Address": "1 High Street\nLeeds"}),
        (Role.PLACEMENT, {"Active": False}),
        (Role.CLASSROOM, {"StartOn": "2026-09-01T00:00:00.000Z"}),
        (Role.CLASSROOM, {"Archive": True}),
    ],
)
def test_an_update_of_a_place_carries_only_what_changed(role: Role, change: dict[str, Any]) -> None:
    college = College.of(place("P1", "The Mill", role))

    [update] = college.plan(place("P1", "The Mill", role, **change)).updates

    assert (update.key, update.user_id, update.fields) == (key("P1", role), 100, change)


@pytest.mark.parametrize("role", PLACES)
def test_place_already_in_onefile_is_linked_and_not_created(role: Role) -> None:
    mill = place("P1", "The Mill", role)
    college = College(in_onefile={mill.key: (18928,)})

    plan = college.plan(mill)

    link = Update(mill.key, mill.feed, 18928, {**mill.fields}, {}, mill.fingerprint(SECRET), is_link=True)
    assert plan == Plan(updates=(link,))


def test_a_place_that_onefile_has_twice_is_held() -> None:
    plan = College(in_onefile={P1: (18928, 18929)}).plan(MILL)

    assert holds(plan) == [("P1", Reason.AMBIGUOUS, "MISID")]
    assert plan.held[0].detail == "OneFile has it or its name on several places: IDs 18928, 18929"
    assert plan.calls == 0


def test_two_places_of_one_name_cannot_both_be_the_one_that_onefile_has() -> None:
    plan = College(in_onefile={P1: (18928,), P2: (18928,)}).plan(MILL, place("P2", "The Mill"))

    assert holds(plan) == [("P1", Reason.AMBIGUOUS, "Name"), ("P2", Reason.AMBIGUOUS, "Name")]
    assert {held.detail for held in plan.held} == {
        "OneFile has one Placement of this name, ID 18928, and the MIS several"
    }
    assert plan.calls == 0


def test_a_classroom_and_a_placement_with_one_id_are_two_things() -> None:
    room = place("C1", "The Mill", Role.CLASSROOM)
    college = College(in_onefile={P1: (7,), room.key: (7,)})

    assert [update.key for update in college.plan(MILL, room).updates] == [P1, room.key]


def test_a_place_that_onefile_has_under_the_id_of_one_of_ours_is_held() -> None:
    college = College.of(place("P2", "The Forge"))
    college.in_onefile[P1] = (100,)

    plan = college.plan(MILL, place("P2", "The Forge"))

    assert holds(plan) == [("P1", Reason.AMBIGUOUS, "MISID")]


@pytest.mark.parametrize("role", PLACES)
def test_a_place_that_is_gone_from_the_mis_is_listed_and_never_archived(role: Role) -> None:
    college = College.of(place("P1", "The Mill", role), rules=Rules(NOW, archives_leavers=True))
    long_ago = NOW - 10 * Rules(NOW).grace
    college.has_left("P1", left_at=long_ago, role=role)

    plan = college.plan()

    assert plan == Plan(leavers=(Leaver(key("P1", role), 100, long_ago, to_archive=False),))


def test_a_place_that_is_back_asks_nothing_of_onefile() -> None:
    college = College.of(MILL)
    college.has_left("P1", role=Role.PLACEMENT)

    plan = college.plan(MILL)

    assert [(back.key, back.is_archived) for back in plan.returners] == [(P1, False)]
    assert plan.calls == 0


def test_new_place_with_the_name_of_a_place_that_is_gone_is_held() -> None:
    plan = College.of(MILL).plan(place("P2", "The Mill"))

    assert holds(plan) == [("P2", Reason.REKEYED, "MISID")]
    assert plan.held[0].detail == (
        "looks like P1, whose record is gone (Name equal): 'syncd rekey P1 P2' if it is the same place, "
        "'syncd retry P2' if it is a new one"
    )
    assert plan.calls == 0


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ([MILL], [place("P2", "The Forge")]),
        ([MILL], [place("C2", "The Mill", Role.CLASSROOM)]),
        ([MILL], [MILL, place("P2", "The Mill")]),
    ],
    ids=["another name", "a classroom of the name", "the other is still there"],
)
def test_a_new_place_that_is_like_none_that_is_gone_is_created(earlier: list[Record], now: list[Record]) -> None:
    plan = College.of(*earlier).plan(*now)

    assert [create.key for create in plan.creates] == [now[-1].key]
    assert plan.held == ()


@BY_EITHER
def test_code_resolves_to_the_place_of_the_feed_before_the_onefile_one(code: Code) -> None:
    college = College.of(MILL)
    college.codes[ORGANISATION, code] = 555

    [create] = college.plan(MILL, learner(code)).creates

    assert create.fields["PlacementID"] == 100
    assert create.waits_for == {}


@BY_EITHER
def test_a_learner_waits_for_a_place_that_the_same_run_creates(code: Code) -> None:
    college = College()

    plan = college.plan(MILL, learner(code))
    college.carry_out(plan)

    assert [create.waits_for for create in plan.creates] == [{}, {"PlacementID": P1}]
    assert college.plan(MILL, learner(code)) == Plan(unchanged=2)


@pytest.mark.parametrize("after", [BY_MISID, Code(Referent.PLACEMENT, "Name", "The New Mill")], ids=["MISID", "name"])
def test_a_place_that_is_renamed_changes_nothing_on_its_learners(after: Code) -> None:
    before = BY_MISID if after is BY_MISID else BY_NAME
    college = College()
    college.carry_out(college.plan(MILL, learner(before)))

    plan = college.plan(place("P1", "The New Mill"), learner(after))
    college.carry_out(plan)

    assert [(update.key, update.fields) for update in plan.updates] == [(P1, {"Name": "The New Mill"})]
    assert plan.held == ()
    assert college.plan(place("P1", "The New Mill"), learner(after)) == Plan(unchanged=2)


def test_learner_moved_to_another_place_is_an_update_of_that_field_only() -> None:
    college, forge = College(), place("P2", "The Forge")
    college.carry_out(college.plan(MILL, forge, learner(BY_NAME)))

    plan = college.plan(MILL, forge, learner(Code(Referent.PLACEMENT, "Name", "The Forge")))

    assert [update.fields for update in plan.updates] == [{"PlacementID": 101}]


def test_name_shared_by_two_places_is_ambiguous_and_misids_still_resolve() -> None:
    twins = (MILL, place("P2", "The Mill"))
    college = College.of(*twins)
    college.codes[ORGANISATION, BY_NAME] = 555

    plan = college.plan(*twins, learner(BY_NAME), learner(BY_MISID, "L2"))

    assert holds(plan) == [("L1", Reason.AMBIGUOUS, "PlacementID")]
    assert [create.fields["PlacementID"] for create in plan.creates] == [100]


def test_the_places_of_one_name_in_two_organisations_are_no_twins() -> None:
    abroad = Key(6000, Role.PLACEMENT, "P2")
    college = College.of(MILL)
    other = Record(abroad, MILL.feed, {**MILL.fields, "MISID": "P2"}, {}, MILL.supplied)

    sifted = college.sift(MILL, other)

    assert sifted.references.resolve(ORGANISATION, BY_NAME) == 100
    assert sifted.references.resolve(6000, BY_NAME) == abroad


def test_held_place_holds_only_the_learners_that_refer_to_it() -> None:
    college = College.of(place("P2", "The Forge"))
    college.in_onefile[P1] = (18928, 18929)
    forge = Code(Referent.PLACEMENT, "Name", "The Forge")

    plan = college.plan(MILL, place("P2", "The Forge"), learner(BY_NAME), learner(BY_MISID, "L2"), learner(forge, "L3"))

    assert holds(plan) == [
        ("P1", Reason.AMBIGUOUS, "MISID"),
        ("L1", Reason.REFERENCE_NOT_FOUND, "PlacementID"),
        ("L2", Reason.REFERENCE_NOT_FOUND, "PlacementID"),
    ]
    assert {held.detail for held in plan.held[1:]} == {"the Placement P1 is held as well"}
    assert [create.key.misid for create in plan.creates] == ["L3"]


def test_unfit_row_of_a_known_place_leaves_its_learners_unchanged() -> None:
    college = College()
    college.carry_out(college.plan(MILL, learner(BY_MISID)))
    unfit = Held(*P1, MILL.feed, Reason.MISSING, "Name", "Name is empty")

    assert college.plan(unfit, learner(BY_MISID)) == Plan(held=(unfit,), unchanged=1)


def test_a_place_that_has_left_can_still_be_named_by_its_misid() -> None:
    college = College.of(MILL)
    college.has_left("P1", Status.LEAVER, role=Role.PLACEMENT)

    assert [create.fields["PlacementID"] for create in college.plan(learner(BY_MISID)).creates] == [100]
