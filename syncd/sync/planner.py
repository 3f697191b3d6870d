"""Fetch what a plan needs to know, from the MIS, the state store and OneFile; `build_plan` decides. Changes nothing."""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, takewhile
from typing import Final, Self

from syncd.core.accounts import Known, Status
from syncd.core.buffers import KeySet, RecordSet
from syncd.core.changed import ChangedRecords
from syncd.core.compare import QUESTIONS, Doubt, Snapshot
from syncd.core.evidence import Traits
from syncd.core.fields import Role, is_mandatory
from syncd.core.guard import Counts, FeedSize, Limits, Usage, guard
from syncd.core.identity import Answer, Finding, Identity, Person, StoredAnswer, marks_to_look_up
from syncd.core.plan import Plan
from syncd.core.plan_builder import build_plan, find_people
from syncd.core.records import Code, Key, Reason, Record
from syncd.core.references import LookedUp, ids_of, trusted
from syncd.core.scope import EVERYONE, Scope
from syncd.core.undo import NotUndone
from syncd.core.values import Value
from syncd.state import accounts, answers, changes, guard_usage, likely_accounts, link_proposals, marks, references
from syncd.state.likely_accounts import LikelyAccounts
from syncd.sync.context import SyncContext
from syncd.sync.incremental import ReadResult, read_changes
from syncd.sync.lookup import OneFileLookup
from syncd.sync.namesakes import Owners, find_likely_accounts

_NOTHING: Final[Mapping[Key, str]] = {}
_NO_DOUBTS: Final[Mapping[Key, Doubt]] = {}


@dataclass(frozen=True, slots=True)
class GuardTerms:
    """What the guard needs to know besides a plan."""

    limits: Limits
    usage: Usage
    feeds: tuple[FeedSize, ...] = ()

    def objections(self, plan: Plan, *, is_approved: bool = False) -> tuple[str, ...]:
        """Why these steps must not be sent without an approval; empty if they may.

        ``is_approved`` says that an operator has approved the rest of the plan, and so has seen what the feeds have: a
        feed that has shrunk is then an objection to its leavers only.
        """
        if is_approved:
            has_leavers = any(leaver.left_at is None or leaver.to_archive for leaver in plan.leavers)
            return guard(replace(plan, held=()), self.limits, self.usage, self.feeds if has_leavers else ())
        return guard(plan, self.limits, self.usage, self.feeds)


@dataclass(frozen=True, slots=True)
class GuardedPlan:
    """A plan, and what the guard needs to decide about it."""

    plan: Plan
    guard: GuardTerms
    lookup: OneFileLookup
    """What was read from OneFile for the plan."""
    references: Mapping[Code, LookedUp] = field(default_factory=dict)
    """What was looked up, to be stored."""
    unused_references: Set[Code] = frozenset()
    """Codes that no record has any more, to be deleted from the store."""
    likely_accounts: Mapping[Key, LikelyAccounts] = field(default_factory=dict)
    """The accounts in OneFile that may be those of new records, to be stored."""
    mismatched: Mapping[Key, str] = field(default_factory=dict)
    """The new records that are held because OneFile's search has returned other MISIDs, with what was wrong."""
    read_result: ReadResult | None = None
    """What the feeds had, if they were read."""
    not_undone: Sequence[NotUndone] = ()
    """What the plan leaves alone of the run that it undoes."""

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
    doubts: Mapping[Key, Doubt] = _NO_DOUBTS,
    *,
    absent: Set[Key] = frozenset(),
    mismatched: Mapping[Key, str] = _NOTHING,
    asks_again: bool = True,
    is_poll: bool = False,
) -> GuardedPlan:
    """Read the feeds and plan a run; from OneFile only what the plan needs is read.

    ``doubts`` says why creates in doubt are not settled. ``absent`` are keys that OneFile was just searched for and
    does not have; ``mismatched`` are those for which its search has returned others. ``asks_again`` looks up again what
    OneFile was searched for a short while ago: codes that it did not have, and accounts that may be those of new
    records. ``is_poll`` lets it read incrementally.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`, and what OneFile's reads raise.
    """
    organisation_id, now = context.organisation_id, context.clock()
    read = read_changes(context, scope, is_poll=is_poll)
    if read.is_quiet:
        return _quiet_plan(context, read)
    with context.reading_session() as session:
        stored_references = references.looked_up(session)
        unsettled = changes.unsettled(session)
        accounts_by_feed = accounts.count_by_feed(session)
        usage = guard_usage.usage(session)
        proposed = link_proposals.pending(session)
    in_doubt = {each.key: doubts.get(each.key, Doubt()) for each in unsettled}
    lookup = OneFileLookup(context.onefile, organisation_id, read.known, context.policy.max_in_flight)
    codes = _Codes(stored_references, lookup, asks_again=asks_again)
    # A record with an unanswered proposal is held whatever a search finds.
    searched = absent | proposed.keys()
    reading = _Reading.of(context, read, in_doubt, searched, asks_again=asks_again)
    while codes.resolve(read, reading.unknown_keys, context.clock()):
        # Records were compared with ids that their codes do not stand for any more.
        read = read_changes(context, scope, is_poll=is_poll, ids=codes.ids)
        lookup.use_accounts(read.known)
        reading = _Reading.of(context, read, in_doubt, searched, asks_again=asks_again)
    in_onefile = reading.find_in_onefile(lookup, codes.meanings)
    likely = reading.find_likely(lookup, in_onefile, now)
    # The searches for names may have shown more.
    mismatched = {**mismatched, **lookup.mismatched(key for key in reading.unknown_keys if key not in in_onefile)}
    maybe_archived = _maybe_archived(read.changed.changed, read.known, in_onefile, reading.findings)
    snapshot = replace(
        reading.snapshot,
        codes={(organisation_id, code): meaning for code, meaning in codes.meanings.items()},
        in_onefile=in_onefile,
        mismatched=mismatched,
        likely_accounts={key: each.ids for key, each in likely.items()} | proposed,
        traits_in_onefile=_traits(lookup, in_onefile),
        archived={maybe_archived[user_id] for user_id in lookup.find_archived(maybe_archived)},
    )
    changed, secret, rules = read.changed, context.store.cipher.fingerprint_secret, context.policy.rules(now)
    plan = build_plan(changed, read.assignments, snapshot, rules, secret, reading.findings)
    sizes = tuple(_feed_sizes(context, changed, accounts_by_feed, _leavers_by_feed(context, plan)))
    return GuardedPlan(
        plan,
        GuardTerms(context.policy.limits, usage, sizes),
        lookup,
        {code: LookedUp(meaning, now) for code, meaning in codes.found.items()},
        codes.unused(read, context.clock()) if scope.is_everyone else frozenset(),
        likely,
        mismatched,
        read_result=read,
    )


def guard_plan(context: SyncContext, plan: Plan, lookup: OneFileLookup) -> GuardedPlan:
    """Return a plan that was not made from the feeds, to be guarded as any other. Raises `StateUnusable`."""
    with context.reading_session() as session:
        return GuardedPlan(plan, GuardTerms(context.policy.limits, guard_usage.usage(session)), lookup)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the store knows about the records of one reading of the feeds, and which of them OneFile is searched for."""

    changed: RecordSet
    secret: bytes
    snapshot: Snapshot
    """What the plan needs to know, without what OneFile has."""
    findings: Mapping[Key, Finding]
    owners: Owners
    suspected: Mapping[Key, int]
    """The known accounts that may be those of new records with other MISIDs: an operator is asked about them."""
    likely: Mapping[Key, LikelyAccounts]
    """The accounts that an earlier run has found for records which have not changed since."""
    not_asked: Set[Key]
    """The records of which OneFile was asked a short while ago."""
    unknown_keys: "UnknownKeys"

    @classmethod
    def of(
        cls,
        context: SyncContext,
        read: ReadResult,
        in_doubt: Mapping[Key, Doubt],
        searched: Set[Key],
        *,
        asks_again: bool,
    ) -> Self:
        """Fetch it from the store. Raises `StateUnusable`."""
        known, changed, secret = read.known, read.changed, context.store.cipher.fingerprint_secret
        records = changed.changed
        with context.reading_session() as session:
            values = accounts.values(session, records & known.keys())
            has_person_keys = any(record.person_key for record in records.records())
            person_keys = marks.person_keys(session, values.keys()) if has_person_keys else {}
            wanted = marks_to_look_up(records.records(), secret)
            resembling = marks.resembling(session, wanted) if known else []
            without_answer = in_doubt.keys() | {key for key, account in known.items() if not account.fingerprint}
            sent = changes.sent_creates(session, without_answer)
            answered = answers.stored(session)
            found_before = likely_accounts.stored(session)
        unconfirmed = [Person.of_values(key, fields) for key, fields in sent.items()]
        snapshot = Snapshot(
            known,
            values,
            in_doubt=in_doubt,
            resembling=resembling,
            unconfirmed=unconfirmed,
            person_keys=person_keys,
            answers=answered,
            assignments=read.stored_assignments,
        )
        findings = find_people(changed, snapshot, secret)
        held_keys = {hold.key for hold in changed.held}
        in_feeds = records, changed.not_in_scope, held_keys, in_doubt
        owners = Owners(known, in_feeds, records.records)
        decided = _decided(findings, answered) if context.policy.compare_names else None
        suspected = _suspected(findings, known)
        likely = _unchanged(found_before, records, owners, suspected, decided, secret)
        now = context.clock()
        not_asked = {key for key, each in likely.items() if each.is_recent(now) and not asks_again}
        unknown_keys = UnknownKeys(records, known, in_doubt.keys() | searched | not_asked, decided, likely)
        return cls(records, secret, snapshot, findings, owners, suspected, likely, not_asked, unknown_keys)

    def find_in_onefile(
        self, lookup: OneFileLookup, meanings: Mapping[Code, int | Reason]
    ) -> dict[Key, tuple[int, ...]]:
        """Return the ids that OneFile has for new keys; ``meanings`` are what the codes stand for."""
        self.unknown_keys.leave_out_held(meanings)
        return lookup.find_new(self.unknown_keys, self.unknown_keys.to_compare(self.unknown_keys))

    def find_likely(
        self, lookup: OneFileLookup, in_onefile: Mapping[Key, tuple[int, ...]], now: datetime
    ) -> dict[Key, LikelyAccounts]:
        """Return the accounts that may be those of new records whose keys are not ``in_onefile``."""
        left = {key: each.ids for key, each in self.likely.items() if key not in in_onefile}
        before = {key: ids for key, ids in left.items() if key not in self.suspected}
        found = find_likely_accounts(lookup, lambda: self.unknown_keys.compared(in_onefile), self.owners, before)
        found |= {key: (user_id,) for key, user_id in self.suspected.items() if key not in in_onefile}
        kept = {key: self.likely[key] for key in self.not_asked}
        return kept | {
            record.key: LikelyAccounts(found[record.key], record.fingerprint(self.secret), now)
            for record in (self.changed.records() if found else ())
            if record.key in found and record.key not in kept
        }


def _quiet_plan(context: SyncContext, read: ReadResult) -> GuardedPlan:
    """The plan if no record has changed: held records stay held, and leavers may be due to be archived."""
    secret, rules = context.store.cipher.fingerprint_secret, context.policy.rules(context.clock())
    plan = build_plan(read.changed, read.assignments, Snapshot(read.known, {}), rules, secret)
    usage = Usage(0, 0)
    if Counts.from_plan(plan) != Counts():
        with context.reading_session() as session:
            usage = guard_usage.usage(session)
    terms = GuardTerms(context.policy.limits, usage, tuple(_feed_sizes(context, read.changed, {}, {})))
    lookup = OneFileLookup(context.onefile, context.organisation_id, read.known, context.policy.max_in_flight)
    return GuardedPlan(plan, terms, lookup, read_result=read)


class UnknownKeys(Mapping[Key, Mapping[str, Value]]):
    """The changed records that the store knows no account of: OneFile is searched for them.

    Keys that OneFile was already ``searched`` for are left out. If their MISIDs are not found, the records are compared
    by name with OneFile's accounts, but for those in ``decided``; none is if it is ``None``. Those in ``likely`` need
    no search by name. The values are the fields of places. There may be more keys than fit in memory.
    """

    def __init__(
        self,
        changed: RecordSet,
        known: Container[Key],
        searched: Container[Key],
        decided: Container[Key] | None,
        likely: Container[Key],
    ) -> None:
        self._changed = changed
        self._known = known
        self._searched = searched
        self._decided = decided
        self._likely = likely
        self._held = KeySet()
        places = takewhile(lambda record: record.key.role.is_place, changed.records())
        self._places = {record.key: record.fields for record in places}

    def not_waiting_for(self, unknown: Set[Code], codes: Mapping[Code, int | Reason]) -> list[Key]:
        """Return the keys that must be searched for, whichever ids the unknown codes stand for."""
        return [
            record.key
            for record in self._changed.records()
            if self._is_one(record.key)
            and unknown.isdisjoint(_mandatory_codes(record))
            and not _has_unresolved(record, codes)
        ]

    def leave_out_held(self, codes: Mapping[Code, int | Reason]) -> None:
        """Leave out the records that will be held for one of their codes."""
        if any(isinstance(meaning, Reason) for meaning in codes.values()):
            self._held |= {record.key for record in self._changed.records() if _has_unresolved(record, codes)}

    def to_compare(self, keys: Iterable[Key]) -> Counter[Role]:
        """How many of these keys must be searched for by name if OneFile does not have their MISIDs, by role."""
        users = (key for key in keys if not key.role.is_place and key not in self._likely)
        return Counter(key.role for key in users if self._is_compared(key))

    def compared(self, found: Container[Key]) -> Iterator[Record]:
        """The records that must be compared by name; ``found`` are those whose MISIDs OneFile has."""
        return (
            record
            for record in self._changed.records()
            if self._is_one(record.key) and self._is_compared(record.key) and record.key not in found
        )

    def __getitem__(self, key: Key) -> Mapping[str, Value]:
        return self._places.get(key, {})

    def __iter__(self) -> Iterator[Key]:
        return filter(self._is_one, self._changed)

    def __len__(self) -> int:
        return sum(map(self._is_one, self._changed))

    def _is_one(self, key: Key) -> bool:
        return key not in self._known and key not in self._searched and key not in self._held

    def _is_compared(self, key: Key) -> bool:
        return self._decided is not None and key not in self._decided


def _decided(findings: Mapping[Key, Finding], answers: Mapping[Key, StoredAnswer]) -> set[Key]:
    """The new records about which names decide nothing: an operator has answered, or another question comes first."""
    asked = {key for key, finding in findings.items() if finding.identity in QUESTIONS}
    return asked | {key for key, stored in answers.items() if stored.answer is Answer.NEW}


def _suspected(findings: Mapping[Key, Finding], known: Mapping[Key, Known]) -> dict[Key, int]:
    """The accounts that an operator is asked about, by the key of the new record."""
    others = (
        (key, known.get(finding.other))
        for key, finding in findings.items()
        if finding.other is not None and finding.identity in QUESTIONS
    )
    return {key: account.user_id for key, account in others if account is not None and account.user_id is not None}


def _unchanged(
    before: Mapping[Key, LikelyAccounts],
    changed: RecordSet,
    owners: Owners,
    suspected: Mapping[Key, int],
    decided: Container[Key] | None,
    secret: bytes,
) -> dict[Key, LikelyAccounts]:
    """Return what an earlier run has found, if neither the record nor the accounts have changed since."""

    def is_as_before(key: Key, found: LikelyAccounts) -> bool:
        if key in suspected:
            return found.ids == (suspected[key],)
        is_compared = decided is not None and key not in decided
        return is_compared and owners.known_ids(key.role).isdisjoint(found.ids)

    return {
        record.key: found
        for record in (changed.records() if before else ())
        if (found := before.get(record.key)) is not None
        and is_as_before(record.key, found)
        and found.fingerprint == record.fingerprint(secret)
    }


def _traits(lookup: OneFileLookup, in_onefile: Mapping[Key, Collection[int]]) -> dict[int, Traits]:
    """The names of the users that OneFile has under new MISIDs."""
    user_ids = {user_id for key, ids in in_onefile.items() if not key.role.is_place for user_id in ids}
    return {
        user_id: Traits.from_fields({"FirstName": names.first, "LastName": names.last})
        for user_id in user_ids
        if (names := lookup.names_of(user_id)) is not None
    }


def _has_unresolved(record: Record, codes: Mapping[Code, int | Reason]) -> bool:
    return any(isinstance(codes.get(code), Reason) for code in _mandatory_codes(record))


def _mandatory_codes(record: Record) -> list[Code]:
    """The codes for which a record is held if they cannot be resolved."""
    return [code for name, code in record.codes.items() if is_mandatory(record.key.role, name)]


def _maybe_archived(
    changed: RecordSet,
    known: Mapping[Key, Known],
    in_onefile: Mapping[Key, tuple[int, ...]],
    findings: Mapping[Key, Finding],
) -> dict[int, Key]:
    """Return the accounts to link, and the leavers that are back and not another person's, by UserID.

    A person may have archived a leaver in OneFile, or the state store may be a backup from before it was archived.
    """
    to_link = ((key, user_ids[0]) for key, user_ids in in_onefile.items() if len(user_ids) == 1)
    leavers = ((key, account.user_id) for key, account in known.items() if account.status is Status.LEAVER)
    others = {key for key, finding in findings.items() if finding.identity is Identity.ANOTHER_PERSON}
    returning = (
        (key, user_id) for key, user_id in leavers if user_id is not None and key in changed and key not in others
    )
    return {user_id: key for key, user_id in chain(to_link, returning) if not key.role.is_place}


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


class _Codes:
    """What the codes stand for that no account of the feeds answers to: by the store, else by a search in OneFile.

    ``asks_again`` does not believe the store that OneFile has no id for a code.
    """

    def __init__(self, stored: Mapping[Code, LookedUp], lookup: OneFileLookup, *, asks_again: bool) -> None:
        self._stored = stored
        self._lookup = lookup
        self._asks_again = asks_again
        self.ids = ids_of(stored)
        """The ids that records are to be compared with."""
        self.found: dict[Code, int | Reason] = {}
        """What OneFile was searched for."""
        self.meanings: dict[Code, int | Reason] = {}
        """What each code of the last reading stands for."""

    def resolve(self, read: ReadResult, unknown_keys: "UnknownKeys", now: datetime) -> bool:
        """Resolve the codes of a reading; return whether it must be read again, compared with other ids."""
        in_use = read.changed.references.unanswered
        known = {
            code: meaning
            for code, meaning in trusted(self._stored, in_use, now).items()
            if isinstance(meaning, int) or not self._asks_again
        }
        known |= self.found
        unknown = in_use - known.keys()
        if unknown:
            expected = unknown_keys.not_waiting_for(unknown, known)
            self._lookup.expect(expected, unknown_keys.to_compare(expected), unknown)
        found = self._lookup.resolve(unknown)
        self.found |= found
        self.meanings = known | found
        outdated = {code for code, meaning in found.items() if self.ids.get(code, meaning) != meaning}
        self.ids = {code: onefile_id for code, onefile_id in self.ids.items() if code not in outdated}
        self.ids |= {code: meaning for code, meaning in found.items() if isinstance(meaning, int) and code in outdated}
        return bool(outdated)

    def unused(self, read: ReadResult, now: datetime) -> Set[Code]:
        """Return the codes that must be looked up again and that no record has, after a reading of all rows."""
        if not read.is_full:
            return frozenset()
        in_use = read.changed.references.unanswered
        return {code for code, each in self._stored.items() if each.is_due(now) and code not in in_use}
