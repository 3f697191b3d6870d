"""Fetch what a plan needs to know, from the MIS, the state store and OneFile; `build_plan` decides. Changes nothing."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import takewhile

from syncd.core.buffers import KeySet, RecordSet
from syncd.core.changed import ChangedRecords
from syncd.core.compare import Snapshot
from syncd.core.guard import Counts, FeedSize, guard, required_approval
from syncd.core.plan import Plan
from syncd.core.plan_builder import build_plan
from syncd.core.records import Code, Key, Reason, Record
from syncd.core.references import Resolved
from syncd.core.scope import EVERYONE, Scope
from syncd.core.values import Value
from syncd.state import accounts, changes, held_records, references
from syncd.sync.context import SyncContext
from syncd.sync.disk_buffers import DiskBufferFactory
from syncd.sync.incremental import ReadResult, read_changes
from syncd.sync.lookup import OneFileLookup


@dataclass(frozen=True, slots=True)
class GuardedPlan:
    """A plan, and whether the guard lets it run."""

    plan: Plan
    objections: tuple[str, ...]
    """Why it must not run without an approval; empty if it may."""
    lookup: OneFileLookup
    """What was read from OneFile for the plan."""
    references: Mapping[Code, int | None] = field(default_factory=dict)
    """The ids that were looked up, to be stored; ``None`` if OneFile has none."""
    needs: Counts | None = None
    """What an approval must cover; all counts if left out."""
    read_result: ReadResult | None = None
    """What the feeds had, if they were read."""

    @property
    def counts(self) -> Counts:
        """What the guard has counted."""
        return Counts.from_plan(self.plan)

    @property
    def is_quiet(self) -> bool:
        """Whether the feeds are as the store has them, and there is nothing to send."""
        return self.read_result is not None and self.read_result.is_quiet and not self.plan.calls


def make_plan(
    context: SyncContext,
    scope: Scope = EVERYONE,
    ambiguous: Mapping[Key, str] | None = None,
    *,
    absent: Set[Key] = frozenset(),
    asks_again: bool = True,
    is_poll: bool = False,
) -> GuardedPlan:
    """Read the feeds and plan a run; from OneFile only what the plan needs is read.

    ``ambiguous`` says of some creates in doubt why a person must settle them. ``absent`` are keys that OneFile was just
    searched for and does not have. ``asks_again`` looks codes up again that OneFile did not have a short while ago.
    ``is_poll`` lets it read incrementally.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`, and what OneFile's reads raise.
    """
    store, organisation_id, now = context.store, context.organisation_id, context.clock()
    buffers = DiskBufferFactory(store.file.parent if store.file else None)
    read = read_changes(context, scope, is_poll=is_poll, buffers=buffers)
    if read.is_quiet:
        return _quiet_plan(context, read)
    known, changed = read.known, read.changed
    with context.reading_session() as session:
        stored_ids = references.known(session)
        unsettled = changes.unsettled(session)
        accounts_by_feed = accounts.count_by_feed(session)
        active = accounts.count_by_role(session).total()
        confirmed_new = held_records.confirmed_new(session)
    # The accounts without a record matter only if a new record may be the same person.
    has_new = not changed.changed <= known.keys()
    with_values = (changed.changed & known.keys()) | (changed.absent.keys() if has_new else set())
    with context.reading_session() as session:
        values = accounts.values(session, with_values)

    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    if asks_again:
        stored_ids = {code: onefile_id for code, onefile_id in stored_ids.items() if onefile_id is not None}
    in_doubt = {each.key: (ambiguous or {}).get(each.key, "") for each in unsettled}
    unknown_keys = UnknownKeys(changed.changed, known, in_doubt.keys() | absent)
    codes, looked_up = _resolve(organisation_id, changed, stored_ids, unknown_keys, lookup)
    unknown_keys.leave_out_held(codes)
    snapshot = Snapshot(
        known,
        values,
        {(organisation_id, code): resolved for code, resolved in codes.items()},
        lookup.find_new(unknown_keys),
        in_doubt,
        {key for key in changed.changed if key.misid in confirmed_new},
        read.stored_assignments,
    )
    secret, rules = store.cipher.fingerprint_secret, context.policy.rules(now)
    plan = build_plan(changed, read.assignments, snapshot, rules, secret, buffers)
    sizes = tuple(_feed_sizes(context, changed, accounts_by_feed, _leavers_by_feed(context, plan)))
    limits = context.policy.limits
    return GuardedPlan(
        plan,
        guard(plan, limits, active, sizes),
        lookup,
        looked_up,
        required_approval(plan, limits, active, sizes),
        read_result=read,
    )


def _quiet_plan(context: SyncContext, read: ReadResult) -> GuardedPlan:
    """The plan if no record has changed: held records stay held, and leavers may be due to be archived."""
    secret, rules = context.store.cipher.fingerprint_secret, context.policy.rules(context.clock())
    plan = build_plan(read.changed, read.assignments, Snapshot(read.known, {}), rules, secret)
    objections = guard(plan, context.policy.limits, 0, _feed_sizes(context, read.changed, {}, {}))
    lookup = OneFileLookup(context.onefile, context.organisation_id, read.known, context.policy.max_in_flight)
    return GuardedPlan(plan, objections, lookup, read_result=read)


class UnknownKeys(Mapping[Key, Mapping[str, Value]]):
    """The changed records that the store knows no account of: OneFile is searched for them.

    Keys that OneFile was already searched for are left out. The values are the fields of places. There may be more keys
    than fit in memory.
    """

    def __init__(self, changed: RecordSet, known: Container[Key], searched: Container[Key]) -> None:
        self._changed = changed
        self._known = known
        self._searched = searched
        self._held = KeySet()
        places = takewhile(lambda record: record.key.role.is_place, changed.records())
        self._places = {record.key: record.fields for record in places}

    def not_waiting_for(self, unknown: Set[Code], codes: Mapping[Code, Resolved]) -> Iterator[Key]:
        """Return the keys that must be searched for, whichever ids the unknown codes stand for."""
        return (
            record.key
            for record in self._changed.records()
            if self._is_one(record.key)
            and unknown.isdisjoint(record.codes.values())
            and not _has_unresolved(record, codes)
        )

    def leave_out_held(self, codes: Mapping[Code, Resolved]) -> None:
        """Leave out the records that will be held for one of their codes."""
        if any(isinstance(meaning, Reason) for meaning in codes.values()):
            self._held |= {record.key for record in self._changed.records() if _has_unresolved(record, codes)}

    def __getitem__(self, key: Key) -> Mapping[str, Value]:
        return self._places.get(key, {})

    def __iter__(self) -> Iterator[Key]:
        return filter(self._is_one, self._changed)

    def __len__(self) -> int:
        return sum(map(self._is_one, self._changed))

    def _is_one(self, key: Key) -> bool:
        return key not in self._known and key not in self._searched and key not in self._held


def _has_unresolved(record: Record, codes: Mapping[Code, Resolved]) -> bool:
    return any(isinstance(codes.get(code), Reason) for code in record.codes.values())


def _leavers_by_feed(context: SyncContext, plan: Plan) -> Counter[str]:
    """How many accounts of each feed have lost their record since the last run."""
    if not plan.new_leavers:
        return Counter()
    with context.reading_session() as session:
        feeds = accounts.feeds(session)
    return Counter(feeds[leaver.key] for leaver in plan.new_leavers)


def _feed_sizes(
    context: SyncContext, changed: ChangedRecords, accounts_by_feed: Mapping[str, int], gone: Mapping[str, int]
) -> Iterable[FeedSize]:
    for feed in context.feeds:
        name = feed.name
        yield FeedSize(
            name, changed.rows[name], accounts_by_feed.get(name, 0), changed.elsewhere[name], gone.get(name, 0)
        )


def _resolve(
    organisation_id: int,
    changed: ChangedRecords,
    stored_ids: Mapping[Code, int | None],
    unknown_keys: UnknownKeys,
    lookup: OneFileLookup,
) -> tuple[dict[Code, Resolved], dict[Code, int | None]]:
    """Resolve the codes that no record of the feeds answers to: from the store, else by a search in OneFile.

    Returns what each code stands for, and which ids were looked up, to be stored.
    """
    resolved: dict[Code, Resolved] = {}
    unknown: set[Code] = set()
    for record in changed.changed.records():
        for code in record.codes.values():
            if changed.references.resolve(organisation_id, code) is not None:
                continue
            if code in stored_ids:
                resolved[code] = stored_ids[code] or Reason.REFERENCE_NOT_FOUND
            else:
                unknown.add(code)
    if unknown:
        lookup.expect(unknown_keys.not_waiting_for(unknown, resolved))
    found = lookup.resolve(unknown)
    to_store: dict[Code, int | None] = {code: answer for code, answer in found.items() if isinstance(answer, int)}
    to_store |= {code: None for code, answer in found.items() if answer is Reason.REFERENCE_NOT_FOUND}
    return resolved | found, to_store
