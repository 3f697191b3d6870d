"""Reading, comparing, guarding: from the MIS and the store to a plan, and whether it may run. Changes nothing."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import takewhile

from syncd.core.assignments import AssignmentPlan, plan_assignments, users_by_learner
from syncd.core.buffers import KeySet, RecordSet
from syncd.core.changed import ChangedRecords
from syncd.core.compare import Snapshot, compare
from syncd.core.guard import Counts, FeedSize, guard, required_approval
from syncd.core.plan import Plan
from syncd.core.records import Code, Key, Reason, Record
from syncd.core.references import Resolved
from syncd.core.values import Value
from syncd.state import accounts, changes, held_records, references
from syncd.sync.context import SyncContext
from syncd.sync.disk_buffers import DiskBufferFactory
from syncd.sync.incremental import ReadResult, read_changes
from syncd.sync.lookup import OneFileLookup


@dataclass(frozen=True, slots=True)
class GuardedPlan:
    """A plan with what the guard says of it."""

    plan: Plan
    objections: tuple[str, ...]
    """Why it must not run unasked; empty when it may."""
    lookup: OneFileLookup
    """What was learnt of OneFile on the way."""
    references: Mapping[Code, int | None] = field(default_factory=dict)
    """The ids that were looked up, to be kept; ``None`` where OneFile had nothing."""
    needs: Counts | None = None
    """What an approval must cover; all that is counted, if left out."""
    read_result: ReadResult | None = None
    """What it was made from, where the feeds were read."""

    @property
    def counts(self) -> Counts:
        """What the guard has counted."""
        return Counts.from_plan(self.plan)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was found that the store does not say already, and there is nothing to send."""
        return self.read_result is not None and self.read_result.is_quiet and not self.plan.calls


def make_plan(
    context: SyncContext,
    only: frozenset[str] = frozenset(),
    ambiguous: Mapping[Key, str] | None = None,
    *,
    absent: Set[Key] = frozenset(),
    asks_again: bool = True,
    is_poll: bool = False,
) -> GuardedPlan:
    """Read every feed and work out what a run would do; OneFile is only asked, and only for what is needed.

    ``only`` limits the plan to these MISIDs. ``ambiguous`` says of some unsettled creates why they cannot be settled,
    and ``absent`` are those whom OneFile has just been asked for and does not have.
    ``asks_again`` has codes looked up afresh that OneFile had nothing by a short while ago. ``is_poll`` lets it go by
    what the last poll has left in step.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`, and what OneFile's reads raise.
    """
    store, organisation_id, now = context.store, context.organisation_id, context.clock()
    buffers = DiskBufferFactory(store.file.parent if store.file else None)
    found = read_changes(context, only, is_poll=is_poll, buffers=buffers)
    if found.is_quiet:
        return _quiet_plan(context, found)
    known, sifted, links = found.known, found.changed, found.assignments
    with store.reading() as connection:
        kept = references.known(connection, organisation_id, now)
        unsettled = changes.unsettled(connection, store.cipher, organisation_id)
        accounts_by_feed = accounts.count_by_feed(connection, organisation_id)
        active = accounts.count_by_role(connection, organisation_id).total()
        surely_new = held_records.confirmed_new(connection, organisation_id)
    # Whoever is gone matters only if somebody new may be the same person.
    is_anybody_new = not sifted.changed <= known.keys()
    wanted = (sifted.changed & known.keys()) | (sifted.absent.keys() if is_anybody_new else set())
    with store.reading() as connection:
        values = accounts.values(connection, store.cipher, wanted)

    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    if asks_again:
        kept = {code: onefile_id for code, onefile_id in kept.items() if onefile_id is not None}
    in_doubt = {each.key: (ambiguous or {}).get(each.key, "") for each in unsettled}
    strangers = UnknownKeys(sifted.changed, known, in_doubt.keys() | absent)
    codes, asked = _resolve(organisation_id, sifted, kept, strangers, lookup)
    strangers.leave_out_the_stuck(codes)
    around = Snapshot(
        known,
        values,
        {(organisation_id, code): resolved for code, resolved in codes.items()},
        lookup.find_new(strangers),
        in_doubt,
        {key for key in sifted.changed if key.misid in surely_new},
        users_by_learner(links.to_assign),
        users_by_learner(links.refused),
    )
    plan = compare(sifted, around, context.policy.rules(now), store.cipher.fingerprint_secret, buffers)
    if context.assignment_feeds:
        plan = _with_assignments(plan, plan_assignments(links, found.stored_assignments, known, _accounts_after(plan)))
    sizes = tuple(_sizes(context, sifted, accounts_by_feed, _leavers_by_feed(context, plan)))
    limits = context.policy.limits
    return GuardedPlan(
        plan,
        guard(plan, limits, active, sizes),
        lookup,
        asked,
        required_approval(plan, limits, active, sizes),
        read_result=found,
    )


def _quiet_plan(context: SyncContext, found: ReadResult) -> GuardedPlan:
    """What is held stays held, and whoever left some time ago may have to be archived; nothing need be looked up."""
    secret, rules = context.store.cipher.fingerprint_secret, context.policy.rules(context.clock())
    plan = compare(found.changed, Snapshot(found.known, {}), rules, secret)
    objections = guard(plan, context.policy.limits, 0, _sizes(context, found.changed, {}, {}))
    lookup = OneFileLookup(context.onefile, context.organisation_id, found.known, context.policy.max_in_flight)
    return GuardedPlan(plan, objections, lookup, read_result=found)


def _accounts_after(plan: Plan) -> Set[Key]:
    """The accounts that syncd is to have by the end of the plan."""
    return {
        *(create.key for create in plan.creates),
        *(update.key for update in plan.updates if update.is_link),
        *(returner.key for returner in plan.returners),
    }


def _with_assignments(plan: Plan, assigned: AssignmentPlan) -> Plan:
    return replace(
        plan,
        assigns=assigned.assigns,
        held=(*plan.held, *assigned.held),
        warnings=(*plan.warnings, *assigned.warnings),
    )


class UnknownKeys(Mapping[Key, Mapping[str, Value]]):
    """Whom OneFile is to be asked about, because the store knows nobody of the key; of places also what is in them.

    Nor about whom it was asked already. There may be more than memory has room for.
    """

    def __init__(self, changed: RecordSet, known: Container[Key], asked_about: Container[Key]) -> None:
        self._changed = changed
        self._known = known
        self._asked_about = asked_about
        self._stuck = KeySet()
        places = takewhile(lambda record: record.key.role.is_place, changed.records())
        self._places = {record.key: record.fields for record in places}

    def not_waiting_for(self, unknown: Set[Code], codes: Mapping[Code, Resolved]) -> Iterator[Key]:
        """Those who are to be asked about whatever the unknown codes turn out to stand for."""
        return (
            record.key
            for record in self._changed.records()
            if self._is_one(record.key) and unknown.isdisjoint(record.codes.values()) and not _is_stuck(record, codes)
        )

    def leave_out_the_stuck(self, codes: Mapping[Code, Resolved]) -> None:
        """Ask nothing about a record that is going to be held for a code of it."""
        if any(isinstance(meaning, Reason) for meaning in codes.values()):
            self._stuck |= {record.key for record in self._changed.records() if _is_stuck(record, codes)}

    def __getitem__(self, key: Key) -> Mapping[str, Value]:
        return self._places.get(key, {})

    def __iter__(self) -> Iterator[Key]:
        return filter(self._is_one, self._changed)

    def __len__(self) -> int:
        return sum(map(self._is_one, self._changed))

    def _is_one(self, key: Key) -> bool:
        return key not in self._known and key not in self._asked_about and key not in self._stuck


def _is_stuck(record: Record, codes: Mapping[Code, Resolved]) -> bool:
    return any(isinstance(codes.get(code), Reason) for code in record.codes.values())


def _leavers_by_feed(context: SyncContext, plan: Plan) -> Counter[str]:
    """How many accounts each feed has newly lost."""
    if not plan.new_leavers:
        return Counter()
    with context.store.reading() as connection:
        feeds = accounts.feeds(connection, context.organisation_id)
    return Counter(feeds[leaver.key] for leaver in plan.new_leavers)


def _sizes(
    context: SyncContext, sifted: ChangedRecords, accounts_by_feed: Mapping[str, int], gone: Mapping[str, int]
) -> Iterable[FeedSize]:
    for feed in context.feeds:
        name = feed.name
        yield FeedSize(
            name, sifted.rows[name], accounts_by_feed.get(name, 0), sifted.elsewhere[name], gone.get(name, 0)
        )


def _resolve(
    organisation_id: int,
    sifted: ChangedRecords,
    kept: Mapping[Code, int | None],
    strangers: UnknownKeys,
    lookup: OneFileLookup,
) -> tuple[dict[Code, Resolved], dict[Code, int | None]]:
    """What the codes stand for that nobody in the feeds is known by: an id kept, or one looked up; and the latter."""
    resolved: dict[Code, Resolved] = {}
    unknown: set[Code] = set()
    for record in sifted.changed.records():
        for code in record.codes.values():
            if sifted.references.resolve(organisation_id, code) is not None:
                continue
            if code in kept:
                resolved[code] = kept[code] or Reason.REFERENCE_NOT_FOUND
            else:
                unknown.add(code)
    if unknown:
        lookup.expect(strangers.not_waiting_for(unknown, resolved))
    asked = lookup.resolve(unknown)
    told: dict[Code, int | None] = {code: answer for code, answer in asked.items() if isinstance(answer, int)}
    told |= {code: None for code, answer in asked.items() if answer is Reason.REFERENCE_NOT_FOUND}
    return resolved | asked, told
