"""Some of a plan, small enough to keep and to read: who a stopped run is about, and which fields, never a value."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from syncd.core.fields import GRANT, Role
from syncd.core.plan import Plan
from syncd.core.records import Key

#: More than this nobody reads before they decide.
_MOST: Final = 20


_Any = TypeVar("_Any")


def spread(steps: Sequence[_Any], most: int) -> list[_Any]:
    """So many of them, from the first to the last: what is wrong with a plan is seldom all at its beginning."""
    shown = min(most, len(steps))
    return [steps[number * len(steps) // shown] for number in range(shown)]


class _Step(NamedTuple):
    action: str
    key: Key
    fields: Sequence[str] = ()


def sample_of(plan: Plan, most: int = _MOST) -> dict[str, Any]:
    """What the guard has counted, as plain JSON: of creates, updates and leavers each the following.

    ``count``; ``by_role`` and ``by_field``, how many are about each; and ``some``, at most ``most`` of them from all
    over the plan, each with ``action``, ``role``, ``misid`` and the names of its ``fields``.
    """
    groups = {"creates": _creates(plan), "updates": _updates(plan), "leavers": _leavers(plan)}
    return {name: _group(list(steps), most) for name, steps in groups.items()}


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


def _group(steps: Sequence[_Step], most: int) -> dict[str, Any]:
    fields = Counter(name for step in steps for name in step.fields)
    return {
        "count": len(steps),
        "by_role": dict(_counted(step.key.role for step in steps)),
        "by_field": dict(fields.most_common()),
        "some": [
            {
                "action": step.action,
                "role": step.key.role.value,
                "misid": step.key.misid,
                "fields": sorted(step.fields),
            }
            for step in spread(steps, most)
        ],
    }


def _counted(roles: Iterable[Role]) -> list[tuple[str, int]]:
    return [(role.value, count) for role, count in Counter(roles).most_common()]
