"""Build the whole plan of a run from the changed records, the changed assignments and what is known of OneFile."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any, TypeVar, get_args

from syncd.core.accounts import Status
from syncd.core.assignments import ChangedAssignments, plan_assignments
from syncd.core.buffers import Buffer, BufferFactory
from syncd.core.changed import ChangedRecords
from syncd.core.compare import Comparison, RecordStep, Rules, Snapshot, contains_field
from syncd.core.fields import Role
from syncd.core.plan import Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Held, Key
from syncd.core.rekey import find_rekeyed

_StepType = TypeVar("_StepType", Held, Create, Update, Rekey, Refresh, Grant, Returner)


def build_plan(
    changed: ChangedRecords,
    assignments: ChangedAssignments,
    snapshot: Snapshot,
    rules: Rules,
    secret: bytes,
    buffers: BufferFactory | None = None,
) -> Plan:
    """Decide all that a run does; equal inputs produce equal plans.

    ``secret`` is the key of the records' fingerprints. ``buffers`` make the collections that the steps are kept in;
    they are in memory if it is left out.
    """
    lookalikes = _find_lookalikes(changed, snapshot)
    comparison = Comparison(changed, assignments, snapshot, rules, secret, lookalikes)
    steps = _Steps(buffers or BufferFactory())
    defaulted: Counter[tuple[Role, str]] = Counter()
    for record in changed.changed.records():
        of_record = comparison.steps_for(record)
        steps.add(of_record)
        defaulted.update((record.key.role, name) for name in record.defaulted if contains_field(of_record, name))
    creates, updates, refreshes = steps.of(Create), steps.of(Update), steps.of(Refresh)
    returners, rekeys = tuple(steps.of(Returner)), tuple(steps.of(Rekey))
    not_archived = {*lookalikes.values(), *(rekey.old for rekey in rekeys)}
    coming = _coming(creates, updates, returners) if assignments.to_assign else set()
    assigned = plan_assignments(assignments, snapshot.assignments, snapshot.known, coming)
    return Plan(
        creates=creates,
        updates=updates,
        refreshes=refreshes,
        returners=returners,
        leavers=tuple(_leavers(changed, rules, not_archived)),
        held=(*changed.held, *steps.of(Held), *assigned.held),
        warnings=(*changed.warnings, *comparison.warnings, *assigned.warnings),
        unchanged=changed.unchanged + len(refreshes),
        rekeys=rekeys,
        grants=steps.of(Grant),
        assigns=assigned.assigns,
        defaulted=dict(defaulted),
    )


class _Steps:
    """The steps so far, by their type."""

    def __init__(self, buffers: BufferFactory) -> None:
        self._by_type: Mapping[type[RecordStep], Buffer[Any]] = {
            kind: buffers.new_buffer(kind) for kind in get_args(RecordStep)
        }

    def add(self, steps: Iterable[RecordStep]) -> None:
        for step in steps:
            self._by_type[type(step)].append(step)

    def of(self, kind: type[_StepType]) -> Collection[_StepType]:
        return self._by_type[kind].close()


def _find_lookalikes(changed: ChangedRecords, snapshot: Snapshot) -> dict[Key, Key]:
    """The new records that resemble an account whose record is gone, each with that account's key."""
    new = (
        record
        for record in changed.changed.records()
        if record.key not in snapshot.known and record.key not in snapshot.confirmed_new
    )
    gone = {
        key: snapshot.values[key]
        for key, account in changed.absent.items()
        if account.status is not Status.ARCHIVED and key in snapshot.values
    }
    return find_rekeyed(new, gone) if gone else {}


def _coming(creates: Iterable[Create], updates: Iterable[Update], returners: Iterable[Returner]) -> Set[Key]:
    """The accounts that the plan creates, links or brings back."""
    return {
        *(create.key for create in creates),
        *(update.key for update in updates if update.is_link),
        *(returner.key for returner in returners),
    }


def _leavers(changed: ChangedRecords, rules: Rules, not_archived: Set[Key]) -> Iterable[Leaver]:
    for key, account in changed.missed.items():
        if account.status is Status.ARCHIVED:
            continue
        gone_for = rules.now - (account.left_at or rules.now)
        to_archive = (
            rules.archives_leavers
            and account.user_id is not None
            and gone_for >= rules.grace
            and key.misid not in rules.protected
            and key not in not_archived
            # OneFile may refuse to archive a user that a record still refers to (U20).
            and account.user_id not in changed.referenced_ids
            # A place that is gone from the MIS has no users and is never in the way.
            and not key.role.is_place
        )
        yield Leaver(key, account.user_id, account.left_at, to_archive)
