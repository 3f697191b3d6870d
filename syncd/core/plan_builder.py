"""Build the whole plan of a run from the changed records, the changed assignments and what is known of OneFile."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import datetime
from typing import Any, TypeVar, get_args

from syncd.core.accounts import Known, Status
from syncd.core.assignments import ChangedAssignments, plan_assignments
from syncd.core.buffers import Buffer
from syncd.core.changed import ChangedRecords
from syncd.core.compare import Comparison, RecordStep, Rules, Snapshot, contains_field
from syncd.core.fields import Role
from syncd.core.identity import Finding, Identity, PeopleKnown, identify
from syncd.core.plan import Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Held, Key

_StepType = TypeVar("_StepType", Held, Create, Update, Rekey, Refresh, Grant, Returner)


def find_people(changed: ChangedRecords, snapshot: Snapshot, secret: bytes) -> dict[Key, Finding]:
    """Return what is found about the people of the changed records; what OneFile was searched for does not matter."""
    people = PeopleKnown(
        snapshot.known,
        snapshot.values,
        snapshot.resembling,
        snapshot.unconfirmed,
        snapshot.person_keys,
        snapshot.answers,
    )
    in_doubt = changed.without_record(snapshot.in_doubt)
    return identify(changed.changed.records, changed.absent.keys() | in_doubt, people, secret)


def build_plan(
    changed: ChangedRecords,
    assignments: ChangedAssignments,
    snapshot: Snapshot,
    rules: Rules,
    secret: bytes,
    findings: Mapping[Key, Finding] | None = None,
) -> Plan:
    """Decide all that a run does; equal inputs produce equal plans.

    ``secret`` is the key of the records' fingerprints. ``findings`` are those of `find_people`, if it was called
    already.
    """
    if findings is None:
        findings = find_people(changed, snapshot, secret)
    comparison = Comparison(changed, assignments, snapshot, rules, secret, findings)
    steps = _Steps()
    defaulted: Counter[tuple[Role, str]] = Counter()
    for record in changed.changed.records():
        of_record = comparison.steps_for(record)
        steps.add(of_record)
        defaulted.update((record.key.role, name) for name in record.defaulted if contains_field(of_record, name))
    creates, updates, refreshes = steps.of(Create), steps.of(Update), steps.of(Refresh)
    rekeys = tuple(steps.of(Rekey))
    unarchived, archived = around_rekeys(rekeys, snapshot.known, rules.now)
    returners = (*steps.of(Returner), *unarchived)
    asked_about = {Identity.LOOKALIKE, Identity.REKEYED}
    not_archived = {found.other for found in findings.values() if found.other and found.identity in asked_about}
    rekeyed = {rekey.old for rekey in rekeys}
    coming = _coming(creates, updates, returners) if assignments.to_assign else set()
    assigned = plan_assignments(assignments, snapshot.assignments, snapshot.known, coming)
    return Plan(
        creates=creates,
        updates=updates,
        refreshes=refreshes,
        returners=returners,
        leavers=(*_leavers(changed, rules, not_archived, rekeyed), *archived),
        held=(*changed.held, *steps.of(Held), *assigned.held),
        warnings=(*changed.warnings, *comparison.warnings, *assigned.warnings),
        unchanged=changed.unchanged + len(refreshes),
        rekeys=rekeys,
        grants=steps.of(Grant),
        assigns=assigned.assigns,
        next_programmes=tuple(comparison.next_programmes),
        defaulted=dict(defaulted),
    )


def around_rekeys(
    rekeys: Iterable[Rekey], known: Mapping[Key, Known], now: datetime
) -> tuple[list[Returner], list[Leaver]]:
    """Return the steps before and after new MISIDs: OneFile refuses changes to archived accounts (U21).

    An account that may be archived is unarchived first; one that is released is archived again, being a leaver's.
    """
    old = {rekey: account for rekey in rekeys if (account := known.get(rekey.old))}
    archived = [rekey for rekey, account in old.items() if account.status in {Status.ARCHIVED, Status.UNSURE}]
    return (
        [Returner(rekey.old, rekey.user_id, is_archived=True) for rekey in archived],
        [Leaver(rekey.key, rekey.user_id, now, to_archive=True) for rekey in archived if rekey.is_release],
    )


class _Steps:
    """The steps so far, by their type."""

    def __init__(self) -> None:
        self._by_type: Mapping[type[RecordStep], Buffer[Any]] = {kind: Buffer(kind) for kind in get_args(RecordStep)}

    def add(self, steps: Iterable[RecordStep]) -> None:
        for step in steps:
            self._by_type[type(step)].append(step)

    def of(self, kind: type[_StepType]) -> Collection[_StepType]:
        return self._by_type[kind].close()


def _coming(creates: Iterable[Create], updates: Iterable[Update], returners: Iterable[Returner]) -> Set[Key]:
    """The accounts that the plan creates, links or brings back."""
    return {
        *(create.key for create in creates),
        *(update.key for update in updates if update.is_link),
        *(returner.key for returner in returners),
    }


def _leavers(changed: ChangedRecords, rules: Rules, not_archived: Set[Key], rekeyed: Set[Key]) -> Iterable[Leaver]:
    for key, account in changed.missed.items():
        if account.status is Status.ARCHIVED or key in rekeyed:
            continue
        gone_for = rules.now - (account.left_at or rules.now)
        to_archive = (
            rules.archives_leavers
            and account.user_id is not None
            # The clock may be wrong: so many days must also have had a complete reading without the record.
            and gone_for >= rules.grace
            and account.days_gone >= rules.grace.days
            and key.misid not in rules.protected
            and key not in not_archived
            # OneFile may refuse to archive a user that a record still refers to (U20).
            and account.user_id not in changed.referenced_ids
            # A place that is gone from the MIS has no users and is never in the way.
            and not key.role.is_place
        )
        yield Leaver(key, account.user_id, account.left_at, to_archive)
