"""Whole populations: what must hold of a plan whatever the MIS, the store and OneFile look like."""

from collections import defaultdict
from dataclasses import fields
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.accounts import Status
from syncd.core.compare import Clear
from syncd.core.plan import Create, Plan, Refresh, Update
from syncd.core.records import Code, Held, Key, Record
from syncd.core.values import Sent
from tests.support.populations import Row, populations, taught_by
from tests.support.records import ORGANISATION, College, key, person


def by_pencil(college: College, rows: list[Row]) -> dict[Key, tuple[str, dict[str, Sent]]]:
    """What becomes of everybody and the fields to send, worked out with no fingerprint and no short cut."""
    by_key: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[whose(row)].append(row)
    return {who: for_one(college, who, by_key) for who in by_key if who.misid}


def meaning(college: College, code: Code, by_key: dict[Key, list[Row]]) -> int | Key | None:
    """What an assessor's code stands for: an account, somebody who comes with this run, or what OneFile has told."""
    who = key(code.text)
    account = college.known.get(who)
    if account is not None and account.status in {Status.ACTIVE, Status.LEAVER}:
        return account.user_id
    if [type(row) for row in by_key.get(who, [])] == [Record]:
        if for_one(college, who, by_key)[0] == "held":
            return None
        # OneFile has the account already: it becomes ours by this run, and its id is known.
        return who if who in college.known else next(iter(college.in_onefile.get(who, ())), who)
    told = college.codes.get((ORGANISATION, code))
    return told if isinstance(told, int) else None


def for_one(college: College, who: Key, by_key: dict[Key, list[Row]]) -> tuple[str, dict[str, Sent]]:
    same = by_key[who]
    row = same[0]
    hits = () if who in college.known else college.in_onefile.get(who, ())
    if len(same) > 1 or isinstance(row, Held) or who in college.in_doubt or len(hits) > 1:
        return "held", {}
    meanings = {name: meaning(college, code, by_key) for name, code in row.codes.items()}
    if None in meanings.values():
        return "held", {}
    ids = {name: meaning for name, meaning in meanings.items() if isinstance(meaning, int)}
    wanted: dict[str, Sent] = {**row.fields, **ids}
    if who not in college.known and not hits:
        return "created", wanted
    stored = college.values.get(who, {})
    different = {name: value for name, value in wanted.items() if name not in stored or stored[name] != value}
    if college.rules.clear is not Clear.KEEP:
        standing = {*wanted, *meanings, *(warned.field for warned in row.warnings)}
        nothing = None if college.rules.clear is Clear.NULL else ""
        different |= {name: nothing for name in stored if name not in standing}
    return "updated" if different or len(ids) < len(meanings) else "at rest", different


def whose(row: Row) -> Key:
    return row.key if isinstance(row, Record) else key(row.misid, row.role)


@example((College(in_onefile={key("1"): (900,)}), [person("1"), taught_by("1")]))
@given(populations)
def test_a_plan_is_what_comparing_value_by_value_with_a_pencil_gives(population: tuple[College, list[Row]]) -> None:
    college, rows = population
    plan, expected = college.plan(*rows), by_pencil(college, rows)

    becomes = {create.key: ("created", dict[str, Sent](create.fields)) for create in plan.creates}
    becomes |= {update.key: ("updated", update.fields) for update in plan.updates}
    becomes |= {whose(held): ("held", {}) for held in plan.held if held.misid}
    assert becomes == {who: each for who, each in expected.items() if each[0] != "at rest"}
    assert plan.unchanged == len(expected) - len(becomes)
    gone = {who for who, account in college.known.items() if account.status is not Status.ARCHIVED} - expected.keys()
    assert {leaver.key for leaver in plan.leavers} == gone


@given(populations)
def test_every_person_has_exactly_one_result_in_the_plan(
    population: tuple[College, list[Row]],
) -> None:
    college, rows = population
    plan = college.plan(*rows)

    everyone = {whose(row) for row in rows}
    changes: list[Create | Update | Refresh] = [*plan.creates, *plan.updates, *plan.refreshes]
    named = [change.key for change in changes] + [whose(held) for held in plan.held]
    with_misid = [who for who in named if who.misid]
    assert len(with_misid) == len(set(with_misid))
    assert set(named) <= everyone
    noted = plan.unchanged - len(plan.refreshes)
    assert len(with_misid) + noted == len([who for who in everyone if who.misid])
    nameless = [row for row in rows if isinstance(row, Held) and not row.misid]
    assert [held for held in plan.held if not held.misid] == nameless


@given(populations)
def test_a_run_that_went_well_leaves_the_next_one_nothing_to_do(population: tuple[College, list[Row]]) -> None:
    college, rows = population
    first = college.plan(*rows)
    college.carry_out(first)

    second = college.plan(*rows)

    assert second.calls == 0
    assert (second.creates, second.updates, second.returners, second.new_leavers) == ((), (), (), ())
    assert as_sets(second, "held", "warnings") == as_sets(first, "held", "warnings")


@given(populations, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(population: tuple[College, list[Row]], chance: Any) -> None:
    college, rows = population
    shuffled = rows.copy()
    chance.shuffle(shuffled)

    assert as_sets(college.plan(*shuffled)) == as_sets(college.plan(*rows))


@given(populations)
def test_equal_inputs_give_equal_plans_and_are_left_as_they_were(population: tuple[College, list[Row]]) -> None:
    college, rows = population
    before = repr((college, rows))

    assert college.plan(*rows) == college.plan(*rows)
    assert repr((college, rows)) == before


def as_sets(plan: Plan, *names: str) -> dict[str, list[str]]:
    """Parts of a plan, all of them if none is named, without the order within them."""
    return {name: sorted(map(repr, _listed(plan, name))) for name in names or [each.name for each in fields(plan)]}


def _listed(plan: Plan, name: str) -> list[object]:
    part = getattr(plan, name)
    return [*part] if isinstance(part, tuple) else [part]
