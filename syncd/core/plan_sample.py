"""A sample of a stopped run's plan, small enough to store and to read: records and field names, never values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from syncd.core.fields import GRANT, Role
from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.records import Key

#: An operator does not read more before deciding.
_MOST: Final = 20


_Any = TypeVar("_Any")


def spread(steps: Iterable[_Any], count: int, most: int) -> list[_Any]:
    """Return ``most`` of ``count`` steps, evenly spread: errors in a plan are seldom all at its beginning.

    The steps are read once, and may be more than fit in memory.
    """
    shown = min(most, count)
    places = {number * count // shown for number in range(shown)}
    return [step for place, step in enumerate(steps) if place in places]


class _Step(NamedTuple):
    action: str
    key: Key
    fields: Sequence[str] = ()


def sample_plan(plan: Plan, most: int = _MOST) -> dict[str, Any]:
    """Return what the guard has counted, as plain JSON, for each of creates, updates and leavers.

    Each has ``count``; ``by_role`` and ``by_field``, the number of steps for each; and ``some``, at most ``most`` steps
    from all over the plan, each with ``action``, ``role``, ``misid`` and the names of its ``fields``.
    """
    counts = Counts.from_plan(plan)
    return {
        "creates": _group(_creates(plan), counts.creates, most),
        "updates": _group(_updates(plan), counts.updates, most),
        "leavers": _group(_leavers(plan), counts.leavers, most),
    }


def _creates(plan: Plan) -> Iterator[_Step]:
    for create in plan.creates:
        yield _Step("create", create.key, [*create.fields, *create.waits_for])


def _updates(plan: Plan) -> Iterator[_Step]:
    for update in plan.updates:
        yield _Step("link" if update.is_link else "update", update.key, [*update.fields, *update.waits_for])
    for rekey in plan.rekeys:
        yield _Step("rekey", rekey.key, ["MISID"])
    for returner in plan.returners:
        yield _Step("return", returner.key)
    for grant in plan.grants:
        yield _Step("assign", grant.key, [GRANT])
    for assign in plan.assigns:
        yield _Step("assign", assign.learner)


def _leavers(plan: Plan) -> Iterator[_Step]:
    for leaver in plan.new_leavers:
        yield _Step("archive" if leaver.to_archive else "leave", leaver.key)


def _group(steps: Iterable[_Step], count: int, most: int) -> dict[str, Any]:
    roles: Counter[Role] = Counter()
    fields: Counter[str] = Counter()

    def counted() -> Iterator[_Step]:
        for step in steps:
            roles[step.key.role] += 1
            fields.update(step.fields)
            yield step

    some = spread(counted(), count, most)
    return {
        "count": count,
        "by_role": {role.value: times for role, times in roles.most_common()},
        "by_field": dict(fields.most_common()),
        "some": [
            {
                "action": step.action,
                "role": step.key.role.value,
                "misid": step.key.misid,
                "fields": sorted(step.fields),
            }
            for step in some
        ],
    }
