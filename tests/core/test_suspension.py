"""When refusals are systematic, and what of a plan is left queued then."""

import pytest

from syncd.core.decisions import SplitPlan
from syncd.core.fields import Role
from syncd.core.plan import Assign, Create, Leaver, Plan, Returner, Step, Update
from syncd.core.records import Key
from syncd.core.run import Action
from syncd.core.suspension import SUSPENDED_AFTER, ActionKind, Streak, reason_of
from syncd.core.values import Sent

_HERE = 1
_CREATES = ActionKind(Role.LEARNER, Action.CREATE)
_UPDATES = ActionKind(Role.LEARNER, Action.UPDATE)
_ARCHIVES = ActionKind(Role.LEARNER, Action.ARCHIVE)


def _key(misid: str, role: Role = Role.LEARNER) -> Key:
    return Key(_HERE, role, misid)


def _create(misid: str, role: Role = Role.LEARNER, **waits_for: Key) -> Create:
    return Create(_key(misid, role), "people", {"FirstName": "Ann"}, waits_for)


def _update(misid: str) -> Update:
    return Update(_key(misid), "people", 7, {"Email": "a@example.org"})


def _misids(plan: Plan) -> list[str]:
    return [(step.learner if isinstance(step, Assign) else step.key).misid for step in plan.steps()]


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("No seat for Ann Example: 100 in use.", "No seat for Bob Jones-O'Neill: 101 in use."),
        (
            "Learner L1 cannot be added to the class 'Bricklaying L2'.",
            "Learner L77 cannot be added to the class 'Art'.",
        ),
        ("ann@example.org is in use", "bob@example.org is in use"),
        ("Zoe is not allowed.", "Xin is not allowed."),
        ("", ""),
    ],
)
def test_reasons_that_differ_in_names_and_numbers_are_one(one: str, another: str) -> None:
    ann: dict[str, Sent] = {"FirstName": "Ann", "LastName": "Example", "Level": 7}
    assert reason_of(400, one, ann, {"FirstName": "Zoe"}) == reason_of(400, another, ann, {"FirstName": "Xin"})


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ((400, "Email is not valid."), (400, "ULN is not valid.")),
        ((400, "The Email is not valid."), (400, "The ULN is not valid.")),
        ((400, "no seat"), (403, "no seat")),
        ((400, "no seat is left"), (400, "no class is left")),
    ],
)
def test_reasons_that_differ_in_other_words_are_two(one: tuple[int, str], another: tuple[int, str]) -> None:
    assert reason_of(*one) != reason_of(*another)


def test_a_reason_has_no_names_numbers_or_values() -> None:
    reason = reason_of(
        400, "There is no seat for Ann Example (a.e@example.org): all 100 are in use by 'Ann'.", {"FirstName": "Ann"}
    )
    assert reason == "status 400: There is no seat for all are in use by"


def _streak(*refusals: tuple[str, str]) -> Streak:
    streak = Streak("")
    for reason, misid in refusals:
        streak = streak.refused(reason, misid)
    return streak


def test_the_fifth_different_record_in_a_row_suspends() -> None:
    refusals = [("no seat", f"L{number}") for number in range(SUSPENDED_AFTER)]
    assert not _streak(*refusals[:-1]).is_suspended
    assert _streak(*refusals).is_suspended


def test_one_record_refused_again_and_again_does_not_suspend() -> None:
    assert not _streak(*[("no seat", "L1")] * 20).is_suspended


def test_two_reasons_in_turn_do_not_suspend() -> None:
    assert not _streak(*[(("no seat", "no class")[number % 2], f"L{number}") for number in range(20)]).is_suspended


def test_another_reason_does_not_end_a_suspension() -> None:
    suspended = _streak(*[("no seat", f"L{number}") for number in range(SUSPENDED_AFTER)])
    assert suspended.refused("no class", "L9") == suspended


@pytest.mark.parametrize("tries", [0, 1, 2, 3])
def test_one_step_of_a_suspended_action_is_tried_another_each_time(tries: int) -> None:
    plan = Plan(creates=[_create("L0"), _create("L1"), _create("L2")], updates=[_update("L3"), _update("L4")])
    split = SplitPlan(plan, Plan()).hold_back({_CREATES: tries})
    assert _misids(split.to_send) == [f"L{tries % 3}", "L3", "L4"]
    assert _misids(split.queued) == [each for each in ("L0", "L1", "L2") if each != f"L{tries % 3}"]


def test_what_depends_on_a_queued_step_is_queued() -> None:
    assessors = [_create(f"A{number}", Role.ASSESSOR) for number in range(3)]
    learners = [_create(f"L{number}", DefaultAssessorID=_key(f"A{number}", Role.ASSESSOR)) for number in range(3)]
    plan = Plan(
        creates=[*assessors, *learners],
        assigns=(Assign(_key("L1"), _key("A0", Role.ASSESSOR), "assignments"),),
    )
    split = SplitPlan(plan, Plan()).hold_back({ActionKind(Role.ASSESSOR, Action.CREATE): 0})
    assert _misids(split.to_send) == ["A0", "L0"]
    assert _misids(split.queued) == ["A1", "A2", "L1", "L2", "L1"]


def test_the_step_that_is_tried_depends_on_no_queued_one() -> None:
    assessors = [_create(f"A{number}", Role.ASSESSOR) for number in range(2)]
    waiting = [_create(f"L{number}", DefaultAssessorID=_key("A1", Role.ASSESSOR)) for number in range(3)]
    plan = Plan(creates=[*assessors, *waiting, _create("L3")])
    split = SplitPlan(plan, Plan()).hold_back({_CREATES: 0, ActionKind(Role.ASSESSOR, Action.CREATE): 0})
    assert _misids(split.to_send) == ["A0", "L3"]


def test_creates_and_updates_are_suspended_separately() -> None:
    plan = Plan(creates=[_create("L0"), _create("L1")], updates=[_update("L2"), _update("L3")])
    assert _misids(SplitPlan(plan, Plan()).hold_back({_UPDATES: 0}).queued) == ["L3"]
    assert SplitPlan(plan, Plan()).hold_back({}).to_send is plan


def test_an_unarchiving_that_is_queued_queues_its_update() -> None:
    returners = tuple(Returner(_key(f"L{number}"), number, is_archived=True) for number in range(2))
    plan = Plan(updates=[_update("L0"), _update("L1")], returners=returners)
    split = SplitPlan(plan, Plan()).hold_back({ActionKind(Role.LEARNER, Action.UNARCHIVE): 0})
    assert _misids(split.to_send) == ["L0", "L0"]
    assert _misids(split.queued) == ["L1", "L1"]


def test_a_leaver_that_cannot_be_archived_is_recorded() -> None:
    leavers = tuple(Leaver(_key(f"L{number}"), number, None, to_archive=True) for number in range(3))
    split = SplitPlan(Plan(leavers=leavers), Plan()).hold_back({_ARCHIVES: 0})
    assert _misids(split.to_send) == ["L0"]
    assert [(each.key.misid, each.to_archive) for each in split.to_send.new_leavers] == [
        ("L0", True),
        ("L1", False),
        ("L2", False),
    ]
    assert _misids(split.queued) == ["L1", "L2"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (_create("L1"), "creates of learners"),
        (_update("L1"), "updates of learners"),
        (Update(_key("L1"), "people", 7, {}, is_link=True), "links of learners"),
        (Assign(_key("L1"), _key("A1", Role.ASSESSOR), "assignments"), "assignments of learners"),
        (Leaver(_key("A1", Role.TRAINEE_ASSESSOR), 7, None, to_archive=True), "archivings of trainee assessors"),
        (_create("Q1", Role.IQA), "creates of IQAs"),
    ],
)
def test_a_kind_of_action_in_words(step: Step, words: str) -> None:
    assert str(ActionKind.of(step)) == words
