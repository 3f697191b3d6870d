"""What is sent is exactly what was approved and is still wanted, plus what the limits allow."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.decisions import (
    Decision,
    Decisions,
    DividedPlan,
    Part,
    StepDigester,
    StepKind,
    all_stages,
    count_steps,
    describe_step,
    divide,
    steps_with_decisions,
)
from syncd.core.fields import Role
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Rekey, Returner, Step, Update
from syncd.core.records import Key, Reason
from tests.support.populations import Row, assessor_code, populations, rows
from tests.support.records import NOW, SECRET, College, key, link, person

DIGESTER = StepDigester(SECRET)


def steps(plan: Plan) -> list[Step]:
    return list(chain.from_iterable(all_stages(plan)))


def identity(step: Step) -> tuple[Any, ...]:
    """What an operator has seen of a step."""
    match step:
        case Create() | Update():
            names = {**step.fields, **step.refers_to}
            shown = {name: names[name] for name in step.fields.keys() | step.waits_for.keys()}
            linked = step.user_id if isinstance(step, Update) and step.is_link else None
            return type(step), step.key, linked, tuple(sorted(shown.items(), key=str))
        case Grant():
            return type(step), step.key, step.is_open, step.refers_to.get("PlacementID", step.placement)
        case Leaver():
            return type(step), step.key, step.to_archive
        case _:
            return type(step), step


def digests(some: Iterable[Step]) -> dict[str, int]:
    return {DIGESTER.digest(step): 1 for step in some}


def depends_on(step: Step) -> set[Key]:
    match step:
        case Create() | Update():
            return {step.key, *step.waits_for.values()}
        case Grant():
            return {step.key, step.placement} if isinstance(step.placement, Key) else {step.key}
        case Assign():
            return {step.learner, step.user}
        case Rekey():
            return {step.old, step.key}
        case _:
            return {step.key}


def model(wanted: set[Any], approved: set[Any], rejected: set[Any], aside: set[Any], limit: int) -> set[Any]:
    """The sentence that an operator relies on."""
    new = wanted - approved - rejected - aside
    sent = (wanted & approved) - rejected
    return sent | (new if len(new) <= limit else set())


@given(populations, rows, st.data())
def test_sent_is_what_was_approved_and_is_wanted_plus_what_the_limits_allow(
    population: tuple[College, list[Row]], later: list[Row], data: st.DataObject
) -> None:
    college, earlier = population
    # That a record is back is noted, whatever was decided.
    shown = [step for step in steps(college.plan(*earlier)) if not isinstance(step, Returner) or step.is_archived]
    plan = college.plan(*later)
    of_choice = [data.draw(st.sampled_from(["approve", "approve", "reject", "set aside", ""])) for _ in shown]
    chosen = {
        what: [step for step, each in zip(shown, of_choice, strict=True) if each == what]
        for what in ("approve", "reject", "set aside")
    }
    limit = data.draw(st.integers(0, 4))
    decisions = Decisions(
        digests(chosen["approve"]), set(digests(chosen["set aside"])), set(digests(chosen["reject"])), is_approved=True
    )

    divided = divide(plan, decisions, DIGESTER)
    split = divided.split(sends_new=count_steps(divided.new) <= limit)

    wanted = {identity(step): step for step in steps(plan)}
    groups = [{identity(step) for step in chosen[what]} for what in ("approve", "reject", "set aside")]
    approved, rejected, aside = groups
    expected = model(set(wanted), approved, rejected, aside, limit)
    sent = {identity(step) for step in steps(split.to_send)}
    assert sent <= expected
    assert _depend_on(
        [wanted[each] for each in expected - sent], [step for other, step in wanted.items() if other not in expected]
    )
    waiting = {identity(step) for step in steps(split.waiting)}
    held = {hold.key for hold in divided.plan.held if hold.reason is Reason.REJECTED}
    for other, step in wanted.items():
        assert (other in sent) + (other in waiting) + (describe_step(step).key in held) >= 1, "a step is lost"
    assert not sent & waiting


def _depend_on(missing: list[Step], not_sent: list[Step]) -> bool:
    """Whether each missing step needs one that is not sent, or another missing one that does."""
    keys = {describe_step(step).key for step in not_sent}
    while blocked := [step for step in missing if depends_on(step) & keys]:
        keys |= {describe_step(step).key for step in blocked}
        missing = [step for step in missing if step not in blocked]
    return not missing


@given(populations)
def test_without_decisions_the_plan_is_all_new_or_all_waits(population: tuple[College, list[Row]]) -> None:
    college, rows_ = population
    plan = college.plan(*rows_)
    divided = divide(plan, Decisions(), DIGESTER)
    assert divided == DividedPlan(plan)
    sent, stopped = divided.split(sends_new=True), divided.split(sends_new=False)
    assert (steps(sent.to_send), steps(sent.waiting)) == (steps(plan), [])
    assert (steps(stopped.to_send), steps(stopped.waiting)) == ([], steps(plan))
    stored = [(step, decision) for _, step, _, decision in steps_with_decisions(stopped, Decisions(), DIGESTER)]
    assert stored == [(step, Decision.UNDECIDED) for step in steps(plan)]


def test_same_step_has_same_digest_before_and_after_its_assessor_is_created() -> None:
    learner = person("L1", Role.LEARNER, codes={"DefaultAssessorID": assessor_code("A1")})
    college = College()
    before = college.plan(person("A1"), learner)
    college.carry_out(Plan(creates=tuple(before.creates)[:1]))
    after = college.plan(person("A1"), learner)

    assert [create.key.misid for create in after.creates] == ["L1"]
    waiting, resolved = list(before.creates)[1], next(iter(after.creates))
    assert waiting.waits_for
    assert not resolved.waits_for
    assert DIGESTER.digest(waiting) == DIGESTER.digest(resolved)


def test_another_value_key_action_or_account_is_another_step() -> None:
    who = key("L1", Role.LEARNER)
    some: list[Step] = [
        Create(who, "feed", {"Email": "a@example.org"}),
        Create(who, "feed", {"Email": "b@example.org"}),
        Create(who, "feed", {"Email": "a@example.org", "ULN": "1"}),
        Create(key("L2", Role.LEARNER), "feed", {"Email": "a@example.org"}),
        Update(who, "feed", 1, {"Email": "a@example.org"}),
        Update(who, "feed", 1, {"Email": "a@example.org"}, is_link=True),
        Update(who, "feed", 2, {"Email": "a@example.org"}, is_link=True),
        Returner(who, 1, is_archived=True),
        Returner(who, 1, is_archived=False),
        Leaver(who, 1, None, to_archive=True),
        Leaver(who, 1, None, to_archive=False),
        Rekey(who, key("L3", Role.LEARNER), 1),
        Rekey(who, key("L4", Role.LEARNER), 1),
        Grant(who, "feed", 7, is_open=True),
        Grant(who, "feed", 7, is_open=False),
        Assign(who, key("A1"), "feed"),
        Assign(who, key("A2"), "feed"),
    ]
    assert len(set(digests(some))) == len(some)
    assert DIGESTER.digest(some[0]) != StepDigester(b"another").digest(some[0])


def test_what_depends_on_a_waiting_step_waits_and_what_depends_on_a_rejected_one_is_held() -> None:
    learner = person("L1", Role.LEARNER, codes={"DefaultAssessorID": assessor_code("A1")})
    plan = College().plan(person("A1"), person("A2"), learner, links=[link("L1", "A1", Role.ASSESSOR)])
    assessor, other, create = plan.creates
    (assign,) = plan.assigns
    of = DIGESTER.digest

    approved = Decisions({of(create): 1, of(assign): 1, of(other): 1})
    split = divide(plan, approved, DIGESTER).split(sends_new=False)
    assert steps(split.to_send) == [other]
    assert split.has_blocked
    assert steps(split.waiting) == [assessor, create, assign]

    divided = divide(plan, Decisions(rejected={of(assessor)}), DIGESTER)
    assert steps(divided.split(sends_new=True).to_send) == [other]
    assert [(hold.misid, hold.reason) for hold in divided.plan.held] == [
        ("A1", Reason.REJECTED),
        ("L1", Reason.REJECTED),
        ("L1", Reason.REJECTED),
    ]


def test_leaver_that_an_earlier_run_reported_is_no_step() -> None:
    old, new = Leaver(key("A1"), 1, NOW, to_archive=False), Leaver(key("A2"), 2, None, to_archive=False)
    plan = Plan(leavers=(old, new))
    split = divide(plan, Decisions(rejected={DIGESTER.digest(old)}), DIGESTER).split(sends_new=False)
    assert steps(split.waiting) == [] or steps(split.waiting) == [new]
    assert old in split.to_send.leavers


@pytest.mark.parametrize("is_rejected", [False, True])
def test_record_that_is_back_is_noted_whatever_was_decided(*, is_rejected: bool) -> None:
    """Days of grace would otherwise begin when it was missed before."""
    back, unarchived = Returner(key("A1"), 1, is_archived=False), Returner(key("A2"), 2, is_archived=True)
    found = set(digests([back, unarchived]))
    decisions = Decisions(rejected=found) if is_rejected else Decisions(set_aside=found)

    split = divide(Plan(returners=(back, unarchived)), decisions, DIGESTER).split(sends_new=True)

    assert split.to_send.returners == (back,)


def test_every_kind_of_step_is_in_one_part_of_a_plan() -> None:
    kinds = [kind for part in Part for kind in part.kinds]
    assert sorted(kinds) == sorted(StepKind)
